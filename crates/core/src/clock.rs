//! Time as a port. The product asks a [`Clock`]; tests and the simulator
//! bring their own. Nothing else may read the system clock (a lint says so).

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const UTC: jiff::tz::Offset = jiff::tz::Offset::UTC;
const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

/// Milliseconds since the Unix epoch, UTC. Displays as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Timestamp {
    /// The same time of day so many days later, in UTC.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days).saturating_mul(MILLIS_PER_DAY)))
    }

    /// The same time of the same day so many months later, in UTC; the month's
    /// last day where it has no such day.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let later = jiff::Timestamp::from_millisecond(self.0)
            .ok()
            .map(|at| UTC.to_datetime(at))
            .and_then(|at| at.checked_add(jiff::Span::new().try_months(months).ok()?).ok())
            .and_then(|at| UTC.to_timestamp(at).ok());
        match later {
            Some(at) => Self(at.as_millisecond()),
            // Beyond what a calendar can say.
            None => self.plus_days(months.saturating_mul(30)),
        }
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at: jiff::Timestamp =
            text.parse().map_err(|_| format!("not an RFC 3339 time: {text:?}"))?;
        Ok(Self(at.as_millisecond()))
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time of day.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back. For durations.
    fn monotonic(&self) -> Duration;
    /// Lets `duration` pass on the calling thread.
    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the port's one real implementation")]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that moves only when told, for tests. Sleeping moves it.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(i64, Duration)>,
}

impl ManualClock {
    /// A clock that reads `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { state: Mutex::new((now.0, Duration::ZERO)) }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.0 += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        state.1 += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).0)
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).1
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_read_back() {
        let at = Timestamp(1_795_000_000_123);
        assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
        assert!(at.to_string().ends_with(".123Z"), "{at}");
    }

    #[test]
    fn months_end_where_they_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let start = at("2027-01-31T08:30:00Z");
        assert_eq!(start.plus_months(1), at("2027-02-28T08:30:00Z"));
        assert_eq!(start.plus_months(2), at("2027-03-31T08:30:00Z"));
        assert_eq!(start.plus_months(13), at("2028-02-29T08:30:00Z"));
        assert_eq!(start.plus_days(29), at("2027-03-01T08:30:00Z"));
        assert!(Timestamp(i64::MAX).plus_months(u32::MAX) >= start);
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::at(Timestamp(5));
        clock.sleep(Duration::from_millis(7));
        assert_eq!(clock.now(), Timestamp(12));
        assert_eq!(clock.monotonic(), Duration::from_millis(7));
    }
}
