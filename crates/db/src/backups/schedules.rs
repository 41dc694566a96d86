//! Schedules of backups: made, changed, and run when they are due.
//!
//! A run and the plan of the next one are one commit, so that no crash makes
//! a run count twice or not at all. Runs that were missed are made up for by
//! one.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbill_core::{ErrorKind, Result, Timestamp};

use super::entries::page;
use super::make::Purpose;
use super::{BackupSchedule, NewBackup, NewSchedule, ScheduleChange, new_id};
use crate::Database;
use crate::background::Queue;

/// How often schedules are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Milliseconds after which a run that failed is tried again.
const AGAIN_AFTER_MS: i64 = 10 * 60 * 1000;

/// When a schedule whose run failed is tried again, by id.
pub(crate) type Failures = BTreeMap<String, Timestamp>;

impl Database {
    /// Makes a schedule of backups of an index, enabled; its first run is one
    /// period from now. `Conflict` where an enabled one is there.
    pub fn create_backup_schedule(&self, index: &str, new: NewSchedule) -> Result<BackupSchedule> {
        let id = new_id(&*self.env.ids);
        let now = self.env.clock.now();
        Ok(self.change(|catalog| {
            let info = catalog.get(index)?;
            catalog.backups.add_schedule(id, (info.name, info.uid), new, now)
        })?)
    }

    /// Schedules of an index, newest first, after the one whose cursor is
    /// `after`; whether there are more.
    pub fn list_backup_schedules(
        &self,
        index: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<BackupSchedule>, bool)> {
        self.look(|catalog| {
            let uid = catalog.get(index)?.uid;
            page(catalog.backups.schedules_of(&uid), after, limit)
        })
    }

    /// One schedule. `NotFound` where there is none with that id.
    pub fn describe_backup_schedule(&self, id: &str) -> Result<BackupSchedule> {
        self.look(|catalog| catalog.backups.schedule(id).cloned())
    }

    /// Changes a schedule. `Conflict` where it is enabled beside another.
    pub fn change_backup_schedule(
        &self,
        id: &str,
        change: ScheduleChange,
    ) -> Result<BackupSchedule> {
        let now = self.env.clock.now();
        Ok(self.change(|catalog| catalog.backups.change_schedule(id, change, now))?)
    }

    /// Deletes a schedule. Its backups stay until they are deleted.
    pub fn delete_backup_schedule(&self, id: &str) -> Result<()> {
        Ok(self.change(|catalog| catalog.backups.remove_schedule(id))?)
    }

    /// Makes the backups that are due and deletes those that are kept no
    /// longer. The background does it in time, where the options ask for it;
    /// for tests and tools.
    pub fn run_backup_schedules(&self) {
        // One at a time, or a run would be made twice.
        let mut failures = self.schedule_failures.lock();
        let now = self.env.clock.now();
        let due = self.look(|catalog| -> Vec<BackupSchedule> {
            let is_due = |one: &&BackupSchedule| one.next_run.is_some_and(|at| at <= now);
            catalog.backups.schedules().filter(is_due).cloned().collect()
        });
        for schedule in due {
            if failures.get(&schedule.id).is_some_and(|again| now < *again) {
                continue;
            }
            failures.remove(&schedule.id);
            if let Err(error) = self.run_schedule(&schedule, now)
                && error.kind() != ErrorKind::NotFound
            {
                let index = &schedule.index;
                tracing::error!(%index, schedule = schedule.id, %error, "a scheduled backup failed");
                failures.insert(schedule.id, Timestamp(now.0.saturating_add(AGAIN_AFTER_MS)));
            }
        }
        for id in self.look(|catalog| catalog.backups.expired(now)) {
            if let Err(error) = self.delete_backup(&id)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::error!(backup = id, %error, "an expired backup was not deleted");
            }
        }
    }

    fn run_schedule(&self, schedule: &BackupSchedule, now: Timestamp) -> Result<()> {
        let index = self.index_by_id(&schedule.index_uid)?;
        let name = Some(format!("{}-{now}", schedule.name));
        let purpose = Purpose {
            new: NewBackup { name, description: None },
            collection: None,
            schedule: Some(schedule.clone()),
        };
        self.make_backup(&index, purpose).map(drop)
    }
}

/// Runs schedules until the queue is closed or the database is gone.
pub(crate) fn keep_schedules(database: &Weak<Database>, queue: &Arc<Queue<()>>) {
    loop {
        match database.upgrade() {
            Some(database) => database.run_backup_schedules(),
            None => return,
        }
        if queue.closed_within(LOOK_EVERY) {
            return;
        }
    }
}
