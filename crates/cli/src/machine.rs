//! What this machine has: memory and processors, for the defaults.

use std::fs;

use crate::units::ByteSize;

/// Memory where nothing can be learned.
const FALLBACK: u64 = 4 << 30;

/// A quarter of the memory that this process may use.
pub(crate) fn memory_quarter() -> ByteSize {
    ByteSize(memory_bytes().unwrap_or(FALLBACK) / 4)
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The smallest of the machine's memory and its control group's limits.
pub(crate) fn memory_bytes() -> Option<u64> {
    let installed = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    installed.into_iter().chain(limits).filter(|bytes| *bytes > 0).min()
}

/// `MemTotal` of /proc/meminfo, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16 << 20));
        assert_eq!(total("nothing"), None);
        assert!(memory_quarter().0 > 0);
        assert!(processors() > 0);
    }
}
