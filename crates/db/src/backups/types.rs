//! What the calls about backups take and give.

use std::collections::{BTreeMap, BTreeSet};

use crossbill_core::{DocumentFields, IndexName, IndexShape, TextSchema, Timestamp};
use serde::{Deserialize, Serialize};

/// A backup to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewBackup {
    /// A name for people; need not be unique.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// A backup or collection as described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// A UUID.
    pub id: String,
    /// The name it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The description it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is a collection: the unique name by which it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<IndexName>,
    /// The schedule that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When it is deleted by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The index it was made of.
    pub index: IndexName,
    /// That index's uid.
    pub index_uid: String,
    /// When that index was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_deleted_at: Option<Timestamp>,
    /// What its records look like.
    pub shape: IndexShape,
    /// Which fields hold the vectors, in an index of documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentFields>,
    /// Which fields are searched as text.
    #[serde(default, skip_serializing_if = "TextSchema::is_empty")]
    pub text: TextSchema,
    /// The index's tags at that time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The index's cloud.
    pub cloud: String,
    /// The index's region.
    pub region: String,
    /// The index's opaque facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_json: Option<String>,
    /// Records in it.
    pub records: u64,
    /// Namespaces in it.
    pub namespaces: u64,
    /// Bytes of the parts it refers to.
    pub bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The indexes in whose directories its parts lie.
    #[serde(default)]
    pub(crate) origins: BTreeSet<String>,
}

/// Which backups a listing shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupFilter {
    /// Only those of the index of this name.
    pub index: Option<String>,
    /// Also those of deleted indexes of that name.
    pub include_deleted: bool,
    /// Only those that this schedule made.
    pub schedule: Option<String>,
}

/// What an index begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexSource {
    /// The content of the backup with this id.
    Backup(String),
    /// The content of the collection of this name.
    Collection(String),
}

/// What a restore is told beside the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The name of the index to be made.
    pub name: IndexName,
    /// Its tags; the backup's where absent.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether deleting it is refused.
    pub deletion_protection: bool,
}

/// An index that was made of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreJob {
    /// A UUID.
    pub id: String,
    /// The backup.
    pub backup_id: String,
    /// The index that was made.
    pub index: IndexName,
    /// That index's uid.
    pub index_uid: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the index was there.
    pub completed_at: Timestamp,
}

/// How often a schedule makes a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Frequency {
    /// Each day.
    Daily,
    /// Each seventh day.
    Weekly,
    /// Each calendar month.
    Monthly,
}

impl Frequency {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Frequency::Daily => "daily",
            Frequency::Weekly => "weekly",
            Frequency::Monthly => "monthly",
        }
    }

    /// The frequency of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Daily, Self::Weekly, Self::Monthly].into_iter().find(|one| one.as_str() == word)
    }

    /// The first moment after `now` that is a whole number of periods, one at
    /// least, behind `start`.
    pub(crate) fn next(self, start: Timestamp, now: Timestamp) -> Timestamp {
        const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
        let days = u32::try_from((now.0.saturating_sub(start.0)).max(0) / MILLIS_PER_DAY);
        let days = days.unwrap_or(u32::MAX / 2);
        let after = |periods: u32| match self {
            Frequency::Daily => start.plus_days(periods),
            Frequency::Weekly => start.plus_days(periods.saturating_mul(7)),
            Frequency::Monthly => start.plus_months(periods),
        };
        let period_days = match self {
            Frequency::Daily => 1,
            Frequency::Weekly => 7,
            // The longest: fewer periods than that have certainly passed.
            Frequency::Monthly => 31,
        };
        let mut periods = (days / period_days).max(1);
        while after(periods) <= now {
            periods += 1;
        }
        after(periods)
    }
}

/// A schedule to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// A name for people; its backups' names begin with it.
    pub name: String,
    /// How often.
    pub frequency: Frequency,
    /// Days after which each of its backups is deleted.
    pub expire_after_days: u32,
    /// How many of its backups are kept at most, the newest.
    pub keep_last: Option<u32>,
}

/// Changes to a schedule; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// How often.
    pub frequency: Option<Frequency>,
    /// Days after which each of its backups is deleted, those there are among
    /// them.
    pub expire_after_days: Option<u32>,
    /// How many of its backups are kept at most; 0: any number.
    pub keep_last: Option<u32>,
    /// Whether it runs.
    pub enabled: Option<bool>,
}

/// A schedule as described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSchedule {
    /// A UUID.
    pub id: String,
    /// The name it was given.
    pub name: String,
    /// The index it makes backups of.
    pub index: IndexName,
    /// That index's uid.
    pub index_uid: String,
    /// How often.
    pub frequency: Frequency,
    /// Days after which each of its backups is deleted.
    pub expire_after_days: u32,
    /// How many of its backups are kept at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// When it runs next; nothing while it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when its periods are counted.
    pub(crate) start: Timestamp,
}

impl BackupSchedule {
    /// Whether it runs.
    pub fn is_enabled(&self) -> bool {
        self.next_run.is_some()
    }
}

/// What is listed newest first.
pub(crate) trait Listed {
    /// Where it stands: more is nearer to the beginning.
    fn place(&self) -> (Timestamp, &str);
}

macro_rules! listed {
    ($($type:ty),*) => {
        $(impl Listed for $type {
            fn place(&self) -> (Timestamp, &str) {
                (self.created_at, &self.id)
            }
        }

        impl $type {
            /// What a listing goes on after: its place, as text.
            pub fn cursor(&self) -> String {
                format!("{}:{}", self.created_at.0, self.id)
            }
        })*
    };
}

listed!(BackupInfo, RestoreJob, BackupSchedule);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_were_missed_are_one() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let start = at("2027-01-31T06:00:00Z");
        let next = |frequency: Frequency, now: &str| frequency.next(start, at(now)).to_string();
        assert_eq!(
            next(Frequency::Daily, "2027-01-31T06:00:00Z"),
            at("2027-02-01T06:00:00Z").to_string()
        );
        assert_eq!(
            next(Frequency::Daily, "2027-02-01T06:00:00Z"),
            at("2027-02-02T06:00:00Z").to_string()
        );
        assert_eq!(
            next(Frequency::Daily, "2027-03-15T05:59:00Z"),
            at("2027-03-15T06:00:00Z").to_string()
        );
        assert_eq!(
            next(Frequency::Weekly, "2027-02-13T00:00:00Z"),
            at("2027-02-14T06:00:00Z").to_string()
        );
        assert_eq!(
            next(Frequency::Monthly, "2027-01-31T06:00:01Z"),
            at("2027-02-28T06:00:00Z").to_string()
        );
        assert_eq!(
            next(Frequency::Monthly, "2027-02-28T06:00:00Z"),
            at("2027-03-31T06:00:00Z").to_string()
        );
        // A clock that was set back.
        assert_eq!(
            next(Frequency::Weekly, "2026-01-01T00:00:00Z"),
            at("2027-02-07T06:00:00Z").to_string()
        );
    }

    #[test]
    fn frequencies_have_names() {
        for one in [Frequency::Daily, Frequency::Weekly, Frequency::Monthly] {
            assert_eq!(Frequency::parse(one.as_str()), Some(one));
        }
        assert_eq!(Frequency::parse("hourly"), None);
    }
}
