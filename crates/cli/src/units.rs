//! Numbers as people write and read them: byte sizes, counts, durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes, read from `1GiB`, `512 MiB`, `2GB` or plain digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

const BINARY: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000)];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("found {text:?}, expected a size such as 512MiB, 2GiB or 1000000");
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[digits.len()..];
        let factor = match unit {
            "" | "B" | "b" => 1,
            unit => {
                BINARY
                    .iter()
                    .chain(&DECIMAL)
                    .find(|(name, _)| {
                        name.eq_ignore_ascii_case(unit)
                            || (name.contains('i') && name[..1].eq_ignore_ascii_case(unit))
                    })
                    .ok_or_else(wrong)?
                    .1
            }
        };
        let digits = digits.trim();
        if let Ok(whole) = digits.parse::<u64>() {
            return whole.checked_mul(factor).map(ByteSize).ok_or_else(wrong);
        }
        match digits.parse::<f64>() {
            Ok(number) if number >= 0.0 && number * (factor as f64) < 1e18 => {
                Ok(ByteSize((number * factor as f64) as u64))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BINARY.iter().find(|(_, factor)| self.0 >= *factor) {
            Some((name, factor)) if self.0.is_multiple_of(*factor) => {
                write!(f, "{}{name}", self.0 / factor)
            }
            Some((name, factor)) => write!(f, "{:.1}{name}", self.0 as f64 / *factor as f64),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A length of time, read from `250ms`, `30s`, `10m` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let number = digits.trim().parse::<u64>().ok();
        factor
            .and_then(|factor: u64| number?.checked_mul(factor))
            .filter(|milliseconds| (1..=SPAN_MS_MAX).contains(milliseconds))
            .map(|milliseconds| Self(Duration::from_millis(milliseconds)))
            .ok_or_else(|| format!("found {text:?}, expected a time such as 250ms, 30s, 10m or 1h"))
    }
}

/// Thirty days: whoever means longer means something else.
const SPAN_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration with the two units that matter: `1h 02m`, `3m 20s`, `4.2s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Seconds from another party as a duration; absurd ones become none.
pub(crate) fn seconds(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && (0.0..1e9).contains(&seconds)).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_all_spellings() {
        let read = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        assert_eq!(read("1GiB"), Ok(1 << 30));
        assert_eq!(read("1.5 GiB"), Ok(3 << 29));
        assert_eq!(read("2gb"), Ok(2_000_000_000));
        assert_eq!(read("64M"), Ok(64 << 20));
        assert_eq!(read("4096"), Ok(4096));
        assert_eq!(read("0"), Ok(0));
        for wrong in ["", "GiB", "1XB", "-1", "1e99", "99999999999TiB", "nan"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_read_back() {
        for bytes in [0, 1, 1023, 1 << 10, 5 << 20, 3 << 30] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
        assert_eq!(ByteSize(1_500_000_000).to_string(), "1.4GiB");
    }

    #[test]
    fn times_are_read() {
        let read = |text: &str| text.parse::<Span>().map(|span| span.0.as_millis());
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("30s"), Ok(30_000));
        assert_eq!(read("10 m"), Ok(600_000));
        assert_eq!(read("1h"), Ok(3_600_000));
        for wrong in ["", "0s", "5", "s", "1d", "-1s", "1.5s", "9999999h", "18446744073709551615h"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_millis(4230)), "4.2s");
        assert_eq!(duration(Duration::from_secs(200)), "3m 20s");
        assert_eq!(duration(Duration::from_secs(3720)), "1h 02m");
        assert_eq!(seconds(f64::NAN), None);
    }
}
