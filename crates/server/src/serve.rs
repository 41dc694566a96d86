//! Starting and stopping the server: checks the settings, opens every
//! listener, waits for the signal, drains, closes the database.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbill_db::Database;
use futures::future::join_all;

use crate::ServerConfig;
use crate::call::Site;
use crate::dispatch::{Shared, router};
use crate::listen::{Listening, bind, listen};
use crate::ports::Ports;

/// Where the server listens once it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The control plane.
    pub control: SocketAddr,
    /// The data plane of each index, by name.
    pub indexes: Vec<(String, SocketAddr)>,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No key, and an address that others can reach.
    #[error(
        "listening at {0} without an API key would let anyone in: \
         set a key, listen on loopback, or say that insecure is meant"
    )]
    NoKey(SocketAddr),
    /// The control plane's address cannot be listened at.
    #[error("cannot listen at {address} for the control plane: {source}")]
    Listen {
        /// The address tried.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// An index's port cannot be listened at.
    #[error("{0}")]
    Index(crossbill_core::Error),
}

/// Serves `db` until `shutdown` completes, then stops accepting, lets
/// requests under way finish (for the configured time at most) and shuts the
/// database down. `ready` is called once, when every listener accepts
/// connections. Where it cannot start, `db` is left open.
pub async fn serve(
    db: Arc<Database>,
    config: ServerConfig,
    ready: impl FnOnce(&Bound) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    if config.keys.is_empty() && !config.insecure && !config.listen.ip().is_loopback() {
        return Err(ServeError::NoKey(config.listen));
    }
    let shared = Arc::new(Shared::new(db, config, Ports::listening()));
    let (control, bound) = match open(&shared) {
        Ok(opened) => opened,
        Err(error) => {
            shared.ports.take_all().iter().for_each(Listening::stop);
            return Err(error);
        }
    };
    shared.ready.store(true, Ordering::Release);
    tracing::info!(address = %bound.control, indexes = bound.indexes.len(), "control plane listens");
    ready(&bound);
    shutdown.await;
    tracing::info!("draining");
    shared.ready.store(false, Ordering::Release);
    let patience = shared.config.drain_timeout;
    let indexes = shared.ports.take_all();
    indexes.iter().for_each(Listening::stop);
    let listeners = std::iter::once(control).chain(indexes);
    join_all(listeners.map(|listening| listening.drain(patience))).await;
    // An index that was made while the control plane drained.
    shared.ports.take_all().iter().for_each(Listening::stop);
    let db = shared.db.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || db.shutdown()).await {
        tracing::error!(%error, "the database did not shut down cleanly");
    }
    Ok(())
}

/// Opens the control plane's listener and that of every index there is.
fn open(shared: &Arc<Shared>) -> Result<(Listening, Bound), ServeError> {
    let address = shared.config.listen;
    let listener = bind(address).map_err(|source| ServeError::Listen { address, source })?;
    let mut indexes = Vec::new();
    for info in shared.db.list_indexes() {
        let address = shared.ports.open(shared, &info).map_err(ServeError::Index)?;
        indexes.push((info.name.to_string(), address));
    }
    // Last, so that nothing is created or deleted before all are open.
    let control = listen(listener, router(shared, &Site::Control), &shared.config);
    let bound = Bound { control: control.address, indexes };
    Ok((control, bound))
}
