//! The database through its public calls, one directory a test.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and may wait")]

mod backup_schedules;
mod backups;
mod crash;
mod disk_full;
mod documents;
mod dry_run;
mod errors_max;
mod exports;
mod fixtures;
mod imports;
mod indexes;
mod law;
mod listings;
mod loaded;
mod manifest;
mod modes;
mod records;
mod root_copy;
mod scrub;
mod text;
mod versions;
