//! What the server is doing now: requests are counted where they are answered,
//! the rest is asked of the database and the system when somebody wants to know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbill_wire::{ImportLoad, MemoryLoad, RequestLoad, ServerLoad};

use crate::call::{Answer, Call, Reply};
use crate::process;

/// What has become of requests so far.
pub(crate) struct Requests {
    since: Duration,
    answered: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

impl Requests {
    /// None yet, at the time `since` of the server's clock.
    pub(crate) fn new(since: Duration) -> Self {
        let none = AtomicU64::default;
        Self { since, answered: none(), refused: none(), failed: none(), micros: none() }
    }

    /// Counts one that took so long and ended with this status.
    pub(crate) fn note(&self, took_us: u64, status: u16) {
        let counter = match status {
            ..=399 => &self.answered,
            400..=499 | 501 => &self.refused,
            _ => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(took_us, Ordering::Relaxed);
    }
}

/// `GET /load` (ours).
pub(crate) fn load(call: &Call) -> Answer {
    let shared = &call.shared;
    let found = shared.db.load()?;
    let requests = &shared.requests;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let seen = process::look();
    let body = ServerLoad {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: shared
            .config
            .clock
            .monotonic()
            .saturating_sub(requests.since)
            .as_secs_f64(),
        requests: RequestLoad {
            // This one works, too.
            working: shared.working().saturating_sub(1),
            working_max: shared.config.concurrent_requests_max as u64,
            answered: read(&requests.answered),
            refused: read(&requests.refused),
            failed: read(&requests.failed),
            micros: read(&requests.micros),
        },
        threads: found.threads,
        searches: found.searches,
        imports: ImportLoad { running: found.imports_running, waiting: found.imports_waiting },
        memory: MemoryLoad {
            resident_bytes: seen.as_ref().map(|seen| seen.resident_bytes),
            anonymous_bytes: seen.and_then(|seen| seen.anonymous_bytes),
            memtables_bytes: found.memtables_bytes,
        },
        disk_free_bytes: found.disk_free_bytes,
    };
    Reply::json(200, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_became_of_them() {
        let requests = Requests::new(Duration::ZERO);
        for status in [200, 404, 501, 500, 507, 202] {
            requests.note(10, status);
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = [&requests.answered, &requests.refused, &requests.failed, &requests.micros];
        assert_eq!(counts.map(read), [2, 2, 2, 60]);
    }
}
