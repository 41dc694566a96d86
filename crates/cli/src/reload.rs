//! What can be changed while the server runs: keys and the TLS certificate,
//! read again when their files change or at SIGHUP, which also lets the audit
//! log go on in a new file. A file that cannot be used changes nothing: what
//! was in force stays, and the log says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::Clock;
use crossbill_core::limits::KEY_FILE_BYTES_MAX;
use crossbill_server::{AuditLog, Keys, Tls, read_tls_file};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::ServeArgs;
use crate::error::{CliError, Result};
use crate::keys::KeySources;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The files that are watched and what they are for.
pub(crate) struct Watched {
    keys: Keys,
    given: Vec<String>,
    lines: Option<PathBuf>,
    table: Option<PathBuf>,
    tls: Option<(Tls, PathBuf, PathBuf)>,
    audit: Option<AuditLog>,
    clock: Arc<dyn Clock>,
    /// What was in the files of keys, and in those of TLS, when they were last
    /// looked at.
    seen: [Vec<Vec<u8>>; 2],
}

impl Watched {
    /// The files that `args` name, as they are now.
    pub(crate) fn new(
        args: &ServeArgs,
        keys: Keys,
        tls: Option<Tls>,
        audit: Option<AuditLog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tls = match (tls, &args.tls_cert, &args.tls_key) {
            (Some(tls), Some(certificate), Some(key)) => {
                Some((tls, certificate.clone(), key.clone()))
            }
            _ => None,
        };
        let (lines, table) = (args.api_key_file.clone(), args.keys_file.clone());
        let given = args.api_key.clone();
        let mut made =
            Self { keys, given, lines, table, tls, audit, clock, seen: Default::default() };
        made.seen = made.contents();
        made
    }

    /// Looks at them until it is dropped. Must be called inside a runtime.
    pub(crate) async fn watch(mut self) {
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => return tracing::error!(%error, "SIGHUP cannot be listened for"),
        };
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            let is_asked = tokio::select! {
                _ = tick.tick() => false,
                _ = hangups.recv() => true,
            };
            let looked = tokio::task::spawn_blocking(move || {
                self.look(is_asked);
                self
            });
            match looked.await {
                Ok(watched) => self = watched,
                Err(error) => {
                    return tracing::error!(%error, "keys and certificates are not watched any more");
                }
            }
        }
    }

    /// Takes over what has changed, or everything where it is asked for.
    fn look(&mut self, is_asked: bool) {
        if let (true, Some(audit)) = (is_asked, &self.audit) {
            self.tell(
                "audit log",
                "goes on in its file",
                audit.reopen().map_err(|e| e.to_string()),
            );
        }
        let now = self.contents();
        let [keys, tls] = [0, 1].map(|part| is_asked || now[part] != self.seen[part]);
        self.seen = now;
        if keys && (self.lines.is_some() || self.table.is_some()) {
            let read = self.read_keys().map_err(|error| error.to_string());
            self.tell("keys", "read again", read);
        }
        if let (true, Some((tls, certificate, key))) = (tls, &self.tls) {
            let read = read_tls_file(certificate)
                .and_then(|certificate| tls.replace(&certificate, &read_tls_file(key)?));
            self.tell("certificate", "read again", read.map_err(|error| error.to_string()));
        }
    }

    fn read_keys(&self) -> Result<()> {
        let (lines, table) = (self.lines.as_deref(), self.table.as_deref());
        let keys = KeySources { given: &self.given, lines, table }.read()?;
        self.keys.replace(keys).map_err(|error| CliError::usage(error.to_string()))
    }

    fn tell(&self, what: &str, done: &str, result: std::result::Result<(), String>) {
        let said = match result {
            Ok(()) => {
                tracing::info!("{what}: {done}");
                done.to_owned()
            }
            Err(error) => {
                tracing::error!(error, "{what}: not changed");
                format!("not changed: {error}")
            }
        };
        if let Some(audit) = &self.audit {
            audit.note_event(&*self.clock, what, &said);
        }
    }

    fn contents(&self) -> [Vec<Vec<u8>>; 2] {
        let keys = self.lines.iter().chain(&self.table);
        let tls = self.tls.iter().flat_map(|(_, certificate, key)| [certificate, key]);
        [keys.map(|path| content(path)).collect(), tls.map(|path| content(path)).collect()]
    }
}

/// What is in the file, so far as it is read at all; nothing where it is not
/// there.
fn content(path: &Path) -> Vec<u8> {
    let is_short = fs::metadata(path).is_ok_and(|file| file.len() <= KEY_FILE_BYTES_MAX);
    if is_short { fs::read(path).unwrap_or_default() } else { Vec::new() }
}
