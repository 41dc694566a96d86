//! When the next request may go: at most so many a second, and after a
//! failure later and later. Arithmetic on times only; who waits is the caller.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbill_core::Rng;

/// The wait before the second try; twice as long before each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest wait that nobody asked for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Spreads requests evenly, whoever makes them.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next one may go.
    next: Mutex<Duration>,
}

impl Pace {
    /// At most `rate` requests a second.
    pub(super) fn new(rate: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate), next: Mutex::new(Duration::ZERO) }
    }

    /// Takes the next turn; how long to wait for it from `now` on.
    pub(super) fn turn(&self, now: Duration) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*next).max(now);
        *next = at + self.interval;
        at - now
    }

    /// Lets nobody go before `until`.
    pub(super) fn hold(&self, until: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(until);
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Tries {
    begin: Duration,
    end: Duration,
    pause: Duration,
}

impl Tries {
    /// The first is made `now`, the last begins within `budget`.
    pub(super) fn new(now: Duration, budget: Duration) -> Self {
        Self { begin: now, end: now + budget, pause: PAUSE_FIRST }
    }

    /// How long it has been tried.
    pub(super) fn took(&self, now: Duration) -> Duration {
        now - self.begin
    }

    /// How long to wait before the next try, at least as long as was asked
    /// for; none where the budget is used up.
    pub(super) fn pause(
        &mut self,
        now: Duration,
        asked: Option<Duration>,
        rng: &mut Rng,
    ) -> Option<Duration> {
        // Half of it by chance, so that many clients do not come back at once.
        let pause = self.pause.mul_f32(0.5 + rng.unit_f32() / 2.0);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        let pause = pause.max(asked.unwrap_or_default());
        (now + pause <= self.end).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use crossbill_core::Seed;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn turns_are_spread_and_held() {
        let pace = Pace::new(4.0);
        let waits: Vec<_> = (0..5).map(|_| pace.turn(SECOND).as_millis()).collect();
        assert_eq!(waits, [0, 250, 500, 750, 1000]);
        // Who comes late gets no turns that nobody took.
        assert_eq!(pace.turn(60 * SECOND), Duration::ZERO);
        assert_eq!(pace.turn(60 * SECOND).as_millis(), 250);
        pace.hold(70 * SECOND);
        pace.hold(65 * SECOND);
        assert_eq!(pace.turn(61 * SECOND), 9 * SECOND);
    }

    #[test]
    fn pauses_grow_within_the_budget_and_heed_what_is_asked() {
        let mut rng = Seed(1).rng();
        let (mut now, budget) = (SECOND, 600 * SECOND);
        let mut tries = Tries::new(now, budget);
        let mut expected = PAUSE_FIRST;
        while let Some(pause) = tries.pause(now, None, &mut rng) {
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?} of {expected:?}");
            expected = (expected * 2).min(PAUSE_MAX);
            now += pause;
        }
        assert!(now > 560 * SECOND && now <= 601 * SECOND, "{now:?}");
        let mut tries = Tries::new(now, budget);
        assert_eq!(tries.pause(now, Some(90 * SECOND), &mut rng), Some(90 * SECOND));
        assert_eq!(tries.pause(now, Some(601 * SECOND), &mut rng), None);
    }
}
