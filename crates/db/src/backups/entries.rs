//! Backups, restore jobs and schedules as the catalog keeps them: rules of
//! names, bounds and order; no I/O.

use std::collections::{BTreeMap, BTreeSet};

use crossbill_core::limits::{
    BACKUP_DESCRIPTION_CHARS_MAX, BACKUP_NAME_CHARS_MAX, BACKUPS_MAX, BACKUPS_PER_INDEX_MAX,
    RESTORE_JOBS_MAX, SCHEDULE_EXPIRE_DAYS_MAX, SCHEDULES_PER_INDEX_MAX,
};
use crossbill_core::{Error, IndexName, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::types::{
    BackupFilter, BackupInfo, BackupSchedule, IndexSource, Listed, NewBackup, NewSchedule,
    RestoreJob, ScheduleChange,
};

/// What the catalog knows beside the indexes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BackupCatalog {
    /// Backups and collections by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) backups: BTreeMap<String, BackupInfo>,
    /// Restore jobs by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    restore_jobs: BTreeMap<String, RestoreJob>,
    /// Schedules by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    schedules: BTreeMap<String, BackupSchedule>,
}

pub(crate) fn backup_not_found(id: &str) -> Error {
    Error::not_found(format!("Backup {id} not found"))
}

fn collection_not_found(name: &str) -> Error {
    Error::not_found(format!("Collection {name} not found"))
}

fn schedule_not_found(id: &str) -> Error {
    Error::not_found(format!("Backup schedule {id} not found"))
}

/// Checks what a caller calls a backup.
pub(crate) fn check_new(new: &NewBackup) -> Result<()> {
    let fields = [
        ("name", &new.name, BACKUP_NAME_CHARS_MAX),
        ("description", &new.description, BACKUP_DESCRIPTION_CHARS_MAX),
    ];
    for (field, text, chars_max) in fields {
        let chars = text.as_deref().unwrap_or_default().chars().count();
        if chars > chars_max {
            return Err(Error::invalid(format!(
                "the backup's {field} has {chars} characters, expected at most {chars_max}"
            )));
        }
    }
    Ok(())
}

impl BackupCatalog {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.restore_jobs.is_empty() && self.schedules.is_empty()
    }

    /// Whether one more backup of the index fits, of that collection's name.
    pub(crate) fn check_room(&self, uid: &str, collection: Option<&IndexName>) -> Result<()> {
        let of_index = self.backups.values().filter(|backup| backup.index_uid == uid).count();
        for (found, max, what) in [
            (self.backups.len(), BACKUPS_MAX, "this server"),
            (of_index, BACKUPS_PER_INDEX_MAX, "this index"),
        ] {
            if found >= max {
                return Err(Error::exhausted(format!(
                    "{what} has {found} backups and collections, expected fewer than {max}; \
                     delete some first"
                )));
            }
        }
        match collection.filter(|name| self.collection(name.as_str()).is_ok()) {
            Some(name) => {
                Err(Error::conflict(format!("Resource already exists: collection {name}")))
            }
            None => Ok(()),
        }
    }

    /// Adds a backup or collection.
    pub(crate) fn add(&mut self, info: BackupInfo) -> Result<()> {
        self.check_room(&info.index_uid, info.collection.as_ref())?;
        self.backups.insert(info.id.clone(), info);
        Ok(())
    }

    /// One backup.
    pub(crate) fn backup(&self, id: &str) -> Result<&BackupInfo> {
        let found = self.backups.get(id).filter(|backup| backup.collection.is_none());
        found.ok_or_else(|| backup_not_found(id))
    }

    /// One collection.
    pub(crate) fn collection(&self, name: &str) -> Result<&BackupInfo> {
        let is_it = |info: &&BackupInfo| {
            info.collection.as_ref().is_some_and(|known| known.as_str() == name)
        };
        self.backups.values().find(is_it).ok_or_else(|| collection_not_found(name))
    }

    /// The backup or collection that an index is to be made of.
    pub(crate) fn source(&self, source: &IndexSource) -> Result<&BackupInfo> {
        match source {
            IndexSource::Backup(id) => self.backup(id),
            IndexSource::Collection(name) => self.collection(name),
        }
    }

    /// Takes a backup or collection out.
    pub(crate) fn remove(&mut self, id: &str) -> Result<BackupInfo> {
        self.backups.remove(id).ok_or_else(|| backup_not_found(id))
    }

    /// Collections in name order.
    pub(crate) fn collections(&self) -> Vec<BackupInfo> {
        let mut found: Vec<_> =
            self.backups.values().filter(|info| info.collection.is_some()).cloned().collect();
        found.sort_by(|a, b| a.collection.cmp(&b.collection));
        found
    }

    /// Backups that `filter` lets through, newest first; `uid` is that of the
    /// index it names, if there is one now.
    pub(crate) fn list(&self, filter: &BackupFilter, uid: Option<&str>) -> Vec<&BackupInfo> {
        let shown = |backup: &&BackupInfo| {
            let of_index = match &filter.index {
                None => true,
                Some(_) if uid == Some(&backup.index_uid) => true,
                Some(name) => {
                    filter.include_deleted
                        && backup.index_deleted_at.is_some()
                        && backup.index.as_str() == name
                }
            };
            let schedule = filter.schedule.as_ref();
            let of_schedule = schedule.is_none() || backup.schedule.as_ref() == schedule;
            backup.collection.is_none() && of_index && of_schedule
        };
        newest_first(self.backups.values().filter(shown))
    }

    /// Notes that an index is gone: its schedules go with it, its backups stay.
    pub(crate) fn index_deleted(&mut self, uid: &str, now: Timestamp) {
        for backup in self.backups.values_mut().filter(|backup| backup.index_uid == uid) {
            backup.index_deleted_at = Some(now);
        }
        let gone: Vec<String> =
            self.schedules.values().filter(|one| one.index_uid == uid).map(id_of).collect();
        gone.iter().for_each(|id| self.drop_schedule(id));
    }

    /// Remembers a restore, and forgets the oldest ones beyond the bound.
    pub(crate) fn add_restore(&mut self, job: RestoreJob) {
        self.restore_jobs.insert(job.id.clone(), job);
        while self.restore_jobs.len() > RESTORE_JOBS_MAX {
            let oldest = self.restore_jobs.values().min_by_key(|job| (job.created_at, &job.id));
            let Some(id) = oldest.map(|job| job.id.clone()) else { return };
            self.restore_jobs.remove(&id);
        }
    }

    /// One restore job.
    pub(crate) fn restore_job(&self, id: &str) -> Result<&RestoreJob> {
        let unknown = || Error::not_found(format!("Restore job {id} not found"));
        self.restore_jobs.get(id).ok_or_else(unknown)
    }

    /// Restore jobs, newest first.
    pub(crate) fn restore_jobs(&self) -> Vec<&RestoreJob> {
        newest_first(self.restore_jobs.values())
    }

    /// Schedules of an index, newest first.
    pub(crate) fn schedules_of(&self, uid: &str) -> Vec<&BackupSchedule> {
        let own = self.schedules.values().filter(|schedule| schedule.index_uid == uid);
        newest_first(own)
    }

    /// All schedules.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = &BackupSchedule> {
        self.schedules.values()
    }

    /// One schedule.
    pub(crate) fn schedule(&self, id: &str) -> Result<&BackupSchedule> {
        self.schedules.get(id).ok_or_else(|| schedule_not_found(id))
    }

    /// Makes a schedule of an index, enabled. `Conflict` where one is.
    pub(crate) fn add_schedule(
        &mut self,
        id: String,
        (index, index_uid): (IndexName, String),
        new: NewSchedule,
        now: Timestamp,
    ) -> Result<BackupSchedule> {
        check_schedule(&new.name, new.expire_after_days)?;
        let there = self.schedules_of(&index_uid).len();
        if there >= SCHEDULES_PER_INDEX_MAX {
            return Err(Error::exhausted(format!(
                "index {index} has {there} backup schedules, expected fewer than \
                 {SCHEDULES_PER_INDEX_MAX}"
            )));
        }
        self.check_only_enabled(&index_uid, &id)?;
        let schedule = BackupSchedule {
            id: id.clone(),
            name: new.name,
            index,
            index_uid,
            frequency: new.frequency,
            expire_after_days: new.expire_after_days,
            keep_last: new.keep_last.filter(|count| *count > 0),
            next_run: Some(new.frequency.next(now, now)),
            created_at: now,
            start: now,
        };
        self.schedules.insert(id, schedule.clone());
        Ok(schedule)
    }

    fn check_only_enabled(&self, uid: &str, id: &str) -> Result<()> {
        let other = self.schedules_of(uid).into_iter();
        match other.filter(|one| one.id != id).find(|one| one.is_enabled()) {
            Some(other) => Err(Error::conflict(format!(
                "index {} has the enabled backup schedule {} already; disable or delete it first",
                other.index, other.id
            ))),
            None => Ok(()),
        }
    }

    /// Changes a schedule, and when its backups expire.
    pub(crate) fn change_schedule(
        &mut self,
        id: &str,
        change: ScheduleChange,
        now: Timestamp,
    ) -> Result<BackupSchedule> {
        let mut schedule = self.schedule(id)?.clone();
        schedule.frequency = change.frequency.unwrap_or(schedule.frequency);
        schedule.expire_after_days = change.expire_after_days.unwrap_or(schedule.expire_after_days);
        check_schedule(&schedule.name, schedule.expire_after_days)?;
        if let Some(count) = change.keep_last {
            schedule.keep_last = Some(count).filter(|count| *count > 0);
        }
        let enabled = change.enabled.unwrap_or(schedule.is_enabled());
        let begins = enabled && (!schedule.is_enabled() || change.frequency.is_some());
        if enabled {
            self.check_only_enabled(&schedule.index_uid, id)?;
        } else {
            schedule.next_run = None;
        }
        if begins {
            schedule.start = now;
            schedule.next_run = Some(schedule.frequency.next(now, now));
        }
        for backup in self.backups.values_mut() {
            if backup.schedule.as_deref() == Some(id) {
                let expires = backup.created_at.plus_days(schedule.expire_after_days);
                backup.expires_at = Some(expires);
            }
        }
        self.schedules.insert(id.to_owned(), schedule.clone());
        Ok(schedule)
    }

    /// Deletes a schedule. Its backups stay until they are deleted.
    pub(crate) fn remove_schedule(&mut self, id: &str) -> Result<()> {
        self.schedule(id)?;
        self.drop_schedule(id);
        Ok(())
    }

    fn drop_schedule(&mut self, id: &str) {
        self.schedules.remove(id);
        for backup in self.backups.values_mut() {
            if backup.schedule.as_deref() == Some(id) {
                backup.expires_at = None;
            }
        }
    }

    /// Plans the run of a schedule that comes after `now`.
    pub(crate) fn plan_next(&mut self, id: &str, now: Timestamp) -> Result<()> {
        let schedule = self.schedules.get_mut(id).ok_or_else(|| schedule_not_found(id))?;
        if schedule.is_enabled() {
            schedule.next_run = Some(schedule.frequency.next(schedule.start, now));
        }
        Ok(())
    }

    /// Backups that schedules keep no longer. The newest one of a schedule is
    /// kept however old it is: a schedule that fails must not end with none.
    pub(crate) fn expired(&self, now: Timestamp) -> Vec<String> {
        let mut gone = BTreeSet::new();
        for schedule in self.schedules.values() {
            let filter =
                BackupFilter { schedule: Some(schedule.id.clone()), ..BackupFilter::default() };
            for (older, backup) in self.list(&filter, None).into_iter().enumerate().skip(1) {
                let too_many = schedule.keep_last.is_some_and(|count| older >= count as usize);
                if too_many || backup.expires_at.is_some_and(|at| at <= now) {
                    gone.insert(backup.id.clone());
                }
            }
        }
        gone.into_iter().collect()
    }
}

fn check_schedule(name: &str, expire_after_days: u32) -> Result<()> {
    let chars = name.chars().count();
    if !(1..=BACKUP_NAME_CHARS_MAX / 2).contains(&chars) {
        return Err(Error::invalid(format!(
            "the schedule's name has {chars} characters, expected 1 to {}",
            BACKUP_NAME_CHARS_MAX / 2
        )));
    }
    if !(1..=SCHEDULE_EXPIRE_DAYS_MAX).contains(&expire_after_days) {
        return Err(Error::invalid(format!(
            "expire_after_days is {expire_after_days}, expected 1 to {SCHEDULE_EXPIRE_DAYS_MAX}"
        )));
    }
    Ok(())
}

fn id_of(schedule: &BackupSchedule) -> String {
    schedule.id.clone()
}

fn newest_first<'a, T: Listed>(things: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut things: Vec<&T> = things.collect();
    things.sort_by(|a, b| b.place().cmp(&a.place()));
    things
}

/// The part of a listing, newest first, that comes after `after` (a cursor),
/// and whether there is more.
pub(crate) fn page<T: Listed + Clone>(
    things: Vec<&T>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<T>, bool)> {
    let after = after.map(place_of).transpose()?;
    let behind = |thing: &&T| after.is_none_or(|after| thing.place() < after);
    let mut found: Vec<T> =
        things.into_iter().filter(behind).take(limit.saturating_add(1)).cloned().collect();
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}

/// The place that a cursor says.
fn place_of(cursor: &str) -> Result<(Timestamp, &str)> {
    cursor.split_once(':').and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id))).ok_or_else(
        || Error::invalid("paginationToken is malformed, expected one that a page before gave"),
    )
}
