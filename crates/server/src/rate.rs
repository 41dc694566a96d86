//! How often a caller may ask. The generic cell rate algorithm (ITU-T I.371):
//! of each caller one number is kept, the time at which the requests so far
//! would have come had they come evenly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// Requests a second, as many of them at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Nanoseconds from one request to the next.
    step: u64,
    /// How far requests may run ahead of even ones.
    ahead: u64,
}

impl RateLimit {
    /// So many; nothing for none, or for more than a clock could tell apart.
    pub fn per_second(count: u32) -> Option<Self> {
        let step = SECOND.checked_div(u64::from(count)).filter(|&step| step > 0)?;
        Some(Self { step, ahead: SECOND - step })
    }
}

/// What a caller has used of a limit lately.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Nanoseconds of the server's clock.
    next: AtomicU64,
}

impl Bucket {
    /// Counts a request at the time `now`. False where it comes too soon; then
    /// it is not counted.
    pub(crate) fn take(&self, limit: RateLimit, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let taken = |next: u64| {
            let due = next.max(now);
            (due - now <= limit.ahead).then(|| due.saturating_add(limit.step))
        };
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_holds_as_many_as_the_limit() {
        let limit = RateLimit::per_second(4).unwrap();
        let bucket = Bucket::default();
        let take = |millis| bucket.take(limit, Duration::from_millis(millis));
        let at_once = (0..10).filter(|_| take(5000)).count();
        assert_eq!(at_once, 4);
        assert!(!take(5249) && take(5250) && !take(5250) && take(5500));
        assert_eq!((0..10).filter(|_| take(99_000)).count(), 4);
        assert_eq!((RateLimit::per_second(0), RateLimit::per_second(u32::MAX)), (None, None));
    }

    proptest! {
        /// However requests come, those let through within any span of time
        /// are at most what the limit gives for it and one second's more.
        #[test]
        fn no_span_of_time_holds_more(
            steps in prop::collection::vec(0_u64..400, 1..300),
            count in 1_u32..50,
        ) {
            let limit = RateLimit::per_second(count).unwrap();
            let bucket = Bucket::default();
            let mut now = 0;
            let mut through = Vec::new();
            for step in steps {
                now += step;
                if bucket.take(limit, Duration::from_millis(now)) {
                    through.push(now);
                }
            }
            for (number, first) in through.iter().enumerate() {
                for (more, last) in through[number..].iter().enumerate() {
                    let span = (last - first) as f64 / 1000.0;
                    prop_assert!((more + 1) as f64 <= f64::from(count) * (span + 1.0) + 1e-6);
                }
            }
        }
    }
}
