//! Ctrl-C and SIGTERM, as a flag that long commands look at. The second one
//! ends the process on the spot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{CliError, Exit, Result};

/// Whether the user asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen for SIGINT and SIGTERM on a thread of its own.
    pub(crate) fn listen() -> Result<Self> {
        Self::start()
            .map_err(|error| CliError::failed(format!("cannot listen for signals: {error}")))
    }

    fn start() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = flag.clone();
        // The thread lives as long as the process: there is nothing to join.
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(mut signals) = Signals::new() else { return };
                signals.next().await;
                asked.store(true, Ordering::SeqCst);
                signals.next().await;
                std::process::exit(Exit::Interrupted as i32);
            });
        })?;
        Ok(Self(flag))
    }

    /// Whether a signal has come.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Both signals as one stream.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over; must be called inside a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
