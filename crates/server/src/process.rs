//! What the system says of this process. Linux only, from `/proc/self`.

use std::fs;

/// Of this process, at one moment.
pub(crate) struct Seen {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    /// Those of them that are no file's.
    pub(crate) anonymous_bytes: Option<u64>,
    pub(crate) open_files: u64,
}

/// Nothing where the system does not say.
pub(crate) fn look() -> Option<Seen> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    Some(Seen {
        cpu_seconds: cpu_seconds(&stat)?,
        resident_bytes: kilobytes(&status, "VmRSS:")?,
        anonymous_bytes: kilobytes(&status, "RssAnon:"),
        open_files: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
    })
}

/// Ticks of a second in `/proc`: Linux tells programs 100, whatever it uses.
const TICKS: f64 = 100.0;

/// User and system time; the name of the program, which comes before them,
/// may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_writes_is_read() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 8 0 99";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("nothing"), None);
        assert_eq!(kilobytes("VmPeak: 9 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12 << 10));
        assert_eq!(kilobytes("VmRSS: many\n", "VmRSS:"), None);
    }
}
