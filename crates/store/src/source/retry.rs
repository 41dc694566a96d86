//! Trying again what may work later: exponential pauses with full jitter,
//! until a budget without any progress is used up or somebody cancels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbill_core::{Clock, Rng, Seed};
use parking_lot::Mutex;

use super::SourceError;

/// The longest first pause; it doubles with each attempt.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long a cancellation may go unnoticed.
pub(super) const CANCEL_POLL: Duration = Duration::from_millis(100);

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may work when tried again.
    Transient {
        problem: String,
        retry_after: Option<Duration>,
        /// Whether it brought something that the next attempt builds on.
        progressed: bool,
    },
    /// It will not.
    Permanent(SourceError),
}

impl Failure {
    pub(super) fn transient(problem: impl Into<String>) -> Self {
        Self::Transient { problem: problem.into(), retry_after: None, progressed: false }
    }

    /// The same failure of an attempt that got somewhere.
    pub(super) fn after_progress(self, got_somewhere: bool) -> Self {
        match self {
            Self::Transient { problem, retry_after, progressed } => {
                Self::Transient { problem, retry_after, progressed: progressed || got_somewhere }
            }
            permanent => permanent,
        }
    }
}

/// Tries again, for one source.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub clock: Arc<dyn Clock>,
    pub budget: Duration,
    pause_max: Duration,
    pub cancel: Option<Arc<AtomicBool>>,
    rng: Arc<Mutex<Rng>>,
}

impl Retry {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        seed: Seed,
        budget: Duration,
        pause_max: Duration,
    ) -> Self {
        let rng = Arc::new(Mutex::new(seed.derive("source retry").rng()));
        Self { clock, budget, pause_max, cancel: None, rng }
    }

    /// Runs `attempt` until it works, fails for good, or the budget is used
    /// up. `what` says in messages what is being done.
    pub(super) fn run<T>(
        &self,
        what: &dyn Fn() -> String,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, SourceError> {
        let mut first_failure: Option<Duration> = None;
        let (mut attempts, mut since_progress) = (0_u32, 0_u32);
        loop {
            if self.is_cancelled() {
                return Err(SourceError::Cancelled(what()));
            }
            let (problem, retry_after, progressed) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Permanent(error)) => return Err(error),
                Err(Failure::Transient { problem, retry_after, progressed }) => {
                    (problem, retry_after, progressed)
                }
            };
            attempts += 1;
            since_progress = if progressed { 1 } else { since_progress + 1 };
            let now = self.clock.monotonic();
            if progressed {
                first_failure = None;
            }
            let spent = now.saturating_sub(*first_failure.get_or_insert(now));
            if spent >= self.budget {
                return Err(SourceError::Unavailable(format!(
                    "{}: gave up after {attempts} attempts, {} s without progress: {problem}",
                    what(),
                    spent.as_secs()
                )));
            }
            let pause = self.pause(since_progress, retry_after).min(self.budget - spent);
            tracing::debug!(attempts, ?pause, problem, "a source did not answer, trying again");
            self.sleep(pause);
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::SeqCst))
    }

    fn pause(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let bound = PAUSE_FIRST.saturating_mul(1 << (attempt - 1).min(16)).min(self.pause_max);
        let jitter = self.rng.lock().unit_f32();
        // At least a millisecond, so that no clock stands still here.
        let pause = bound.mul_f32(jitter).max(Duration::from_millis(1));
        pause.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }

    fn sleep(&self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.is_cancelled() {
            let slice = if self.cancel.is_some() { left.min(CANCEL_POLL) } else { left };
            self.clock.sleep(slice);
            left -= slice;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbill_core::{ManualClock, Timestamp};

    fn retry() -> (Retry, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        (
            Retry::new(clock.clone(), Seed(1), Duration::from_secs(600), Duration::from_secs(20)),
            clock,
        )
    }

    fn what() -> String {
        "reading x".to_owned()
    }

    #[test]
    fn transient_failures_are_tried_again_until_the_budget_is_used_up() {
        let (retry, clock) = retry();
        let mut left = 3;
        let answer = retry.run(&what, || {
            left -= 1;
            if left == 0 { Ok(7) } else { Err(Failure::transient("busy")) }
        });
        assert_eq!(answer.unwrap(), 7);
        let start = clock.monotonic();
        let mut attempts = 0;
        let error = retry.run(&what, || {
            attempts += 1;
            Err::<(), _>(Failure::transient("busy"))
        });
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains(&format!("gave up after {attempts} attempts, 600 s")),
            "{message}"
        );
        assert!(message.starts_with("reading x: ") && message.ends_with(": busy"), "{message}");
        assert_eq!((clock.monotonic() - start).as_secs(), 600);
        assert!((30..300).contains(&attempts), "{attempts} attempts");
    }

    #[test]
    fn progress_renews_the_budget_and_servers_may_ask_for_time() {
        let (retry, clock) = retry();
        let mut left = 30;
        let answer = retry.run(&what, || {
            left -= 1;
            if left == 0 {
                return Ok(());
            }
            let retry_after = Some(Duration::from_secs(3600));
            Err(Failure::Transient { problem: "slow down".into(), retry_after, progressed: true })
        });
        answer.unwrap();
        assert_eq!(clock.monotonic(), RETRY_AFTER_MAX * 29);
    }

    #[test]
    fn permanent_failures_and_cancellation_end_it_at_once() {
        let (mut retry, clock) = retry();
        let gone = || Err::<(), _>(Failure::Permanent(SourceError::NotFound("gone".into())));
        assert!(matches!(retry.run(&what, gone), Err(SourceError::NotFound(_))));
        let flag = Arc::new(AtomicBool::new(false));
        retry.cancel = Some(Arc::clone(&flag));
        let cancelled = retry.run(&what, || {
            flag.store(true, Ordering::SeqCst);
            Err::<(), _>(Failure::transient("busy"))
        });
        assert!(matches!(cancelled, Err(SourceError::Cancelled(_))));
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }
}
