//! Named places where a test may end the process as a power cut would. With
//! the feature `kill-points` and `CROSSBILL_KILL_AT=name:occurrence` in the
//! environment, the process sends itself SIGKILL the given time (from 1) it
//! reaches that place. With `CROSSBILL_HOLD_AT=name:occurrence` a thread that
//! reaches it makes the file that `CROSSBILL_HOLD_FILE` names and waits until
//! somebody removes it, so that a test can act at exactly that moment. Without
//! the feature this is an empty inline function.

/// Every place the product calls [`reach`] with.
pub const KILL_POINTS: &[&str] = &[
    "import.record_written",
    "import.listed",
    "import.planned",
    "import.task_started",
    "import.batch_decoded",
    "import.rejects_written",
    "import.build_started",
    "import.segment_built",
    "import.part_published",
    "import.commit_before",
    "import.commit_after",
    "import.publish_decided",
    "import.published",
    "import.finish_before",
    "import.finish_after",
    "import.manifest_entries",
    "import.manifest_written",
    "manifest.put_before",
    "manifest.put_after",
    "wal.append_before",
    "wal.append_written",
    "wal.synced",
    "flush.started",
    "flush.part_published",
    "flush.committed",
    "catalog.commit_before",
    "catalog.commit_after",
    "sweep.before_delete",
    "backup.held",
    "backup.content_written",
    "backup.deleted",
    "restore.manifests_written",
    "restore.committed",
    "snapshot.started",
    "copy.file_written",
    "copy.manifest_written",
    "copy.finished",
];

/// Says that the process is at the place named `name`.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn reach(_name: &'static str) {}

/// Says that the process is at the place named `name`, and ends it there if
/// the environment asks for that.
#[cfg(feature = "kill-points")]
pub fn reach(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static TARGET: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);

    debug_assert!(KILL_POINTS.contains(&name), "kill point {name:?} is not in the list");
    hold(name);
    let target = TARGET.get_or_init(|| parse(&std::env::var("CROSSBILL_KILL_AT").ok()?));
    let Some((wanted, occurrence)) = target else { return };
    if wanted == name && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *occurrence {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal may be delivered a moment later; nothing may happen until then.
        loop {
            std::thread::park();
        }
    }
}

/// How long a thread is held at most, whatever became of the test.
#[cfg(feature = "kill-points")]
const HOLD_MAX: std::time::Duration = std::time::Duration::from_secs(120);

/// Waits at the place named `name` if the environment asks for that.
#[cfg(feature = "kill-points")]
fn hold(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use crossbill_core::{Clock as _, SystemClock};

    static TARGET: OnceLock<Option<(String, u64, std::path::PathBuf)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);

    let target = TARGET.get_or_init(|| {
        let (name, occurrence) = parse(&std::env::var("CROSSBILL_HOLD_AT").ok()?)?;
        Some((name, occurrence, std::env::var_os("CROSSBILL_HOLD_FILE")?.into()))
    });
    let Some((wanted, occurrence, file)) = target else { return };
    if wanted != name || REACHED.fetch_add(1, Ordering::SeqCst) + 1 != *occurrence {
        return;
    }
    let clock = SystemClock::new();
    if std::fs::write(file, name).is_ok() {
        while file.exists() && clock.monotonic() < HOLD_MAX {
            clock.sleep(Duration::from_millis(2));
        }
    }
}

#[cfg(any(test, feature = "kill-points"))]
fn parse(text: &str) -> Option<(String, u64)> {
    let (name, occurrence) = text.rsplit_once(':')?;
    Some((name.to_owned(), occurrence.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_setting_parses() {
        let mut names = KILL_POINTS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KILL_POINTS.len());
        assert_eq!(parse("wal.synced:3"), Some(("wal.synced".into(), 3)));
        assert_eq!(parse("wal.synced"), None);
        assert_eq!(parse("wal.synced:x"), None);
    }

    /// Runs only as the victim of the test below, in a process of its own.
    #[cfg(feature = "kill-points")]
    #[test]
    fn victim() {
        (0..3).for_each(|_| reach("wal.synced"));
    }

    #[cfg(feature = "kill-points")]
    #[test]
    fn a_thread_is_held_until_the_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("held");
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killpoint::tests::victim"])
            .env("CROSSBILL_HOLD_AT", "wal.synced:2")
            .env("CROSSBILL_HOLD_FILE", &file)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while std::fs::read_to_string(&file).unwrap_or_default() != "wal.synced" {
            assert_eq!(victim.try_wait().unwrap(), None, "it went on without a hold");
            std::thread::yield_now();
        }
        assert_eq!(victim.try_wait().unwrap(), None);
        std::fs::remove_file(&file).unwrap();
        assert!(victim.wait().unwrap().success());
    }

    #[cfg(feature = "kill-points")]
    #[test]
    fn the_process_ends_at_the_occurrence_and_not_before() {
        use std::os::unix::process::ExitStatusExt as _;
        for (setting, signal) in
            [("wal.synced:3", Some(9)), ("wal.synced:4", None), ("wal.append_before:1", None)]
        {
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "killpoint::tests::victim"])
                .env("CROSSBILL_KILL_AT", setting)
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.signal(), signal, "{setting}: {status}");
        }
    }
}
