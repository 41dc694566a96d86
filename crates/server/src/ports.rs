//! The listeners of the indexes: each has its own port, opened before the
//! answer to its creation and closed before the answer to its deletion.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbill_core::{Error, Result};
use crossbill_db::IndexInfo;

use crate::call::Site;
use crate::dispatch::{Shared, router};
use crate::listen::{Listening, bind, listen};

/// The open listeners, by index uid.
pub(crate) struct Ports {
    listening: Mutex<BTreeMap<String, Listening>>,
    /// Whether any is opened: not where the server is called in process.
    wanted: bool,
}

impl Ports {
    /// Each index gets one.
    pub(crate) fn listening() -> Self {
        Self { listening: Mutex::default(), wanted: true }
    }

    /// None is opened: indexes keep the numbers of their ports for a server to come.
    pub(crate) fn none() -> Self {
        Self { listening: Mutex::default(), wanted: false }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Listening>> {
        // The map is whole between any two statements, so a panic elsewhere
        // does not spoil it.
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the listener of `info`; the port accepts connections when this
    /// returns. Must run within the server's runtime.
    pub(crate) fn open(&self, shared: &Arc<Shared>, info: &IndexInfo) -> Result<SocketAddr> {
        let address = SocketAddr::new(shared.config.listen.ip(), info.port);
        if !self.wanted {
            return Ok(address);
        }
        let listener = bind(address).map_err(|error| {
            Error::unavailable(format!(
                "port {} of index {} cannot be listened at: {error}; stop what uses the port",
                info.port, info.name
            ))
            .with_source(error)
        })?;
        let site = Site::Index(info.uid.as_str().into());
        let listening = listen(listener, router(shared, &site), &shared.config);
        let local = listening.address;
        self.lock().insert(info.uid.clone(), listening);
        tracing::info!(index = %info.name, address = %local, "index listens");
        Ok(local)
    }

    /// Closes the listener of the index with `uid`; the port is free when
    /// this returns, while requests under way still finish. Blocks.
    pub(crate) fn close(&self, uid: &str) {
        let listening = self.lock().remove(uid);
        if let Some(listening) = listening {
            listening.close_blocking();
        }
    }

    /// Takes all listeners out, to be drained.
    pub(crate) fn take_all(&self) -> Vec<Listening> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }
}
