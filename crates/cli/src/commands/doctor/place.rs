//! The data directory as a place: owner, permissions, file system, room, and
//! whether what is synced is written.

use std::path::Path;
use std::time::Duration;

use crossbill_core::{RandomIds, SystemClock};
use crossbill_db::doctor::{DataPlace, PlaceFacts, probe_sync};

use super::check::Report;
use crate::units::{ByteSize, count};

/// Free bytes below which little is possible.
const FREE_MIN: u64 = 256 << 20;
/// Percent of a disk, or of its files, that should be free.
const FREE_PERCENT: u64 = 10;
/// Free bytes that are enough however large the disk is.
const FREE_PLENTY: u64 = 100 << 30;
/// A sync that takes longer makes writes slow.
const SYNC_SLOW: Duration = Duration::from_millis(100);
/// Files that should be allowed to be open: connections, logs and a margin.
const FILES_MIN: u64 = 1024;
/// Percent of the areas that may be mapped that segments may take.
const MAPS_PERCENT: u64 = 70;

/// Checks the directory; whether there is one to look into.
pub(super) fn check(data: &Path, all: bool, report: &mut Report) -> bool {
    let facts = match DataPlace::look(data) {
        Ok(DataPlace::There(facts)) => facts,
        Ok(DataPlace::Missing(above)) => {
            let found = format!("{} does not exist yet", data.display());
            if !all {
                report.problem("data", found, "name the directory with --data");
                return false;
            }
            report.ok("data", found);
            sync(&above, report);
            return false;
        }
        Err(error) => {
            report.problem(
                "data",
                error.message(),
                "run this as the server's own user, or give that user the directory",
            );
            return false;
        }
    };
    match &facts.holder {
        Some(holder) => {
            let shown = facts.path.display();
            report.ok("data", format!("{shown}, in use by {holder}: it is only read beside it"));
        }
        None => report.ok("data", format!("{}, in use by no server", facts.path.display())),
    }
    if all {
        access(&facts, report);
        disk(&facts, report);
        sync(&facts.path, report);
        bounds(&facts, report);
    }
    true
}

fn access(facts: &PlaceFacts, report: &mut Report) {
    let (path, mode) = (facts.path.display(), facts.mode);
    if !facts.is_own {
        report.warning(
            "permissions",
            format!("{path} belongs to another user than the one who asks"),
            "run this as the server's own user, or give that user the directory (chown -R)",
        );
    }
    if facts.is_open_to_writers() {
        report.problem(
            "permissions",
            format!("{path} has mode {mode:04o}: every user of this machine may delete all of it"),
            format!("chmod 750 {path}"),
        );
    }
    for one in &facts.exposed {
        let file = facts.path.join(&one.file);
        let (shown, mode) = (file.display(), one.mode);
        match one.is_own {
            true => report.problem(
                "permissions",
                format!("{shown} holds secrets and has mode {mode:04o}, expected 0600"),
                format!("chmod 600 {shown}, and change the secrets if others may have read them"),
            ),
            false => report.warning(
                "permissions",
                format!("{shown} holds secrets and belongs to another user"),
                "give it to the server's own user (chown)",
            ),
        }
    }
    if facts.is_own && !facts.is_open_to_writers() && facts.exposed.is_empty() {
        report.ok("permissions", format!("mode {mode:04o}, secrets are this user's alone"));
    }
}

fn disk(facts: &PlaceFacts, report: &mut Report) {
    let (free, total) = (facts.bytes_free, facts.bytes_total);
    let room = format!("{} of {} free", ByteSize(free), ByteSize(total));
    if free < FREE_MIN {
        report.problem(
            "disk",
            room,
            "make room: writes are refused and imports fail when it is full",
        );
    } else if free / 100 < total / 100 * FREE_PERCENT / 100 && free < FREE_PLENTY {
        report.warning("disk", room, "make room: merging segments needs as much as they have");
    } else {
        report.ok("disk", room);
    }
    let (free, total) = (facts.inodes_free, facts.inodes_total);
    // Some file systems have no bound on files and say 0 or nonsense.
    if total > 0 && free <= total && free / 100 < total / 100 * FREE_PERCENT / 100 {
        let found = format!("room for {} more files of {}", count(free), count(total));
        report.warning("disk", found, "make room: each segment and each manifest is a file");
    }
    match facts.file_system {
        Some(kind @ ("nfs" | "smb" | "9p")) => report.problem(
            "file system",
            format!("{kind}: locks, syncs and mapped files are not what they are on a disk"),
            "move the data directory to a local disk",
        ),
        Some(kind @ ("tmpfs" | "overlay")) => report.warning(
            "file system",
            format!("{kind}: it may be gone with the machine or container"),
            "keep the data directory on a disk or a volume",
        ),
        Some("fuse") => report.warning(
            "file system",
            "fuse: whether it keeps locks and syncs depends on what is behind it",
            "prefer a local disk",
        ),
        Some(kind) => report.ok("file system", kind),
        None => report.ok("file system", "of a kind that is not known here"),
    }
}

fn sync(directory: &Path, report: &mut Report) {
    match probe_sync(directory, &SystemClock::new(), &RandomIds) {
        Ok(took) if took > SYNC_SLOW => report.warning(
            "sync",
            format!("a synced write took {} ms", took.as_millis()),
            "each acknowledged write waits for one: look for a faster disk",
        ),
        Ok(took) => {
            report.ok("sync", format!("a synced write took {:.1} ms", took.as_secs_f64() * 1e3))
        }
        Err(error) => report.problem(
            "sync",
            error.message(),
            "the server could not write: make room, or run this as the server's own user",
        ),
    }
}

fn bounds(facts: &PlaceFacts, report: &mut Report) {
    if let Some(files) = facts.files_max.filter(|files| *files < FILES_MIN) {
        let found = format!("a process may have {files} files open");
        report.warning("limits", found, "raise it: ulimit -n 65536, or LimitNOFILE in systemd");
    }
    let Some(maps) = facts.maps_max else { return };
    let segments = count(facts.segments);
    let found = format!("{segments} segments, {} areas of memory may be mapped", count(maps));
    if facts.segments > maps / 100 * MAPS_PERCENT {
        report.problem("limits", found, "raise it: sysctl -w vm.max_map_count=1048576");
    } else {
        report.ok("limits", found);
    }
}
