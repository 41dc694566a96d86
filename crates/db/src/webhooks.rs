//! Tells the operator's webhook of imports that have ended: at least once
//! each, also after a crash, with longer and longer pauses while it fails.
//!
//! An import's record says whether somebody is to be told; it is changed only
//! once they were. What goes over the wire is the server's business.

use std::sync::Arc;
use std::time::Duration;

use crossbill_core::limits::WEBHOOKS_WAITING_MAX;
use crossbill_store::{Webhook, WebhookMessage};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::background::Queue;
use crate::env::Env;
use crate::imports::Waiting;
use crate::types::{ImportView, IndexInfo};

/// The first pause after a failure; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// After so long, in milliseconds since the import ended, it is given up.
const TRIED_FOR_MS: i64 = 24 * 3_600_000;

/// Whom to tell, and how.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// Where to.
    pub target: Webhook,
    /// What is said of an import that has ended, as JSON.
    pub body: fn(&IndexInfo, ImportView) -> Vec<u8>,
}

/// How far telling of an import's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WebhookState {
    /// It is told as soon as the import has ended, again and again until it
    /// arrives.
    Due,
    /// It was told, and that was acknowledged.
    Delivered,
    /// Nobody took it for a day.
    Expired,
}

impl WebhookState {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookState::Due => "due",
            WebhookState::Delivered => "delivered",
            WebhookState::Expired => "expired",
        }
    }
}

/// An import whose end is to be told.
struct Due {
    waiting: Waiting,
    failures: u32,
    /// Not before this moment.
    at: Duration,
}

/// The imports whose end is to be told.
pub(crate) struct Webhooks {
    options: Option<WebhookOptions>,
    due: Mutex<Vec<Due>>,
    wakes: Arc<Queue<()>>,
}

impl Webhooks {
    /// None are due yet.
    pub(crate) fn new(options: Option<WebhookOptions>) -> Self {
        Self { options, due: Mutex::new(Vec::new()), wakes: Arc::new(Queue::new()) }
    }

    /// What the record of a new import is to say.
    pub(crate) fn state_of_new(&self) -> Option<WebhookState> {
        self.options.as_ref().map(|_| WebhookState::Due)
    }

    /// Calls for [`Self::run`], to be drained; to be closed at the end.
    pub(crate) fn wakes(&self) -> &Arc<Queue<()>> {
        &self.wakes
    }

    /// Tells of an import soon, if it has ended and somebody is to be told.
    pub(crate) fn tell(&self, waiting: Waiting) {
        if self.options.is_none() || !waiting.job.is_to_be_told() {
            return;
        }
        let mut due = self.due.lock();
        let is_there = due.iter().any(|one| Arc::ptr_eq(&one.waiting.job, &waiting.job));
        // Beyond the bound they wait in their records until the next start.
        if !is_there && due.len() < WEBHOOKS_WAITING_MAX {
            due.push(Due { waiting, failures: 0, at: Duration::ZERO });
            drop(due);
            self.wakes.push(());
        }
    }

    /// Tells what is due until nothing is, or the queue is closed.
    pub(crate) fn run(&self, env: &Env) {
        let Some(options) = &self.options else { return };
        while let Some(at) = self.next_at() {
            let now = env.clock.monotonic();
            if at > now {
                if self.wakes.closed_within(at - now) {
                    return;
                }
                continue;
            }
            let next = {
                let due = self.due.lock();
                due.iter().position(|one| one.at <= now).map(|place| {
                    let one = &due[place];
                    (one.waiting.clone(), one.failures)
                })
            };
            let Some((waiting, failures)) = next else { continue };
            let is_settled = self.tell_once(env, options, &waiting);
            if self.wakes.is_closed() {
                return;
            }
            let mut due = self.due.lock();
            let place = due.iter().position(|one| Arc::ptr_eq(&one.waiting.job, &waiting.job));
            match place {
                Some(place) if is_settled => drop(due.swap_remove(place)),
                Some(place) => {
                    due[place].failures = failures + 1;
                    due[place].at = env.clock.monotonic() + pause(failures);
                }
                None => {}
            }
        }
    }

    fn next_at(&self) -> Option<Duration> {
        self.due.lock().iter().map(|one| one.at).min()
    }

    /// Tells once; whether nothing more is to be done.
    fn tell_once(&self, env: &Env, options: &WebhookOptions, waiting: &Waiting) -> bool {
        let (Some(index), job) = (waiting.index.upgrade(), &waiting.job) else { return true };
        if index.check_open().is_err() || !job.is_to_be_told() {
            return true;
        }
        let (info, view) = (index.info(), job.view(&*env.clock));
        let now = env.clock.now();
        let ended_at = view.finished_at.unwrap_or(now);
        let message = WebhookMessage {
            id: format!("{}-import-{}", info.uid, job.name()),
            sent_at: now,
            body: (options.body)(&info, view),
        };
        let told = options.target.send(&message, &|| self.wakes.is_closed());
        let state = match told {
            Ok(()) => WebhookState::Delivered,
            Err(error) if now.0 - ended_at.0 < TRIED_FOR_MS => {
                tracing::warn!(id = message.id, %error, "a webhook did not take it, trying again");
                return false;
            }
            Err(error) => {
                tracing::error!(id = message.id, %error, "no webhook took it for a day");
                WebhookState::Expired
            }
        };
        match job.note_webhook(state) {
            Ok(()) => true,
            Err(error) => {
                // Told again: better twice than never.
                tracing::warn!(id = message.id, %error, "that a webhook was told was not stored");
                false
            }
        }
    }
}

/// The pause after so many failures before the last one.
fn pause(failures: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << failures.min(16)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let seconds: Vec<u64> = (0..12).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
