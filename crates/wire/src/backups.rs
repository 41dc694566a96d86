//! Bodies of the calls about backups, restore jobs, collections and backup
//! schedules, in the union of both dialects: a backup says what it holds with
//! `dimension` and `metric`, and with `schema`.

mod root_copy;

use std::collections::BTreeMap;

use crossbill_core::limits::{
    BACKUP_DESCRIPTION_CHARS_MAX, BACKUP_NAME_CHARS_MAX, SCHEDULE_EXPIRE_DAYS_MAX,
};
use crossbill_core::{Error, IndexName, RequestLimits, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::describe;
use crate::index::{checked_protection, checked_tags};
use crate::{Pagination, Schema};

pub use root_copy::{RootCopyModel, StartRootCopy};

/// `POST /indexes/{name}/backups`. The body may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateBackup {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = BACKUP_NAME_CHARS_MAX))]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = BACKUP_DESCRIPTION_CHARS_MAX))]
    pub description: Option<String>,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupModel {
    /// A UUID.
    pub backup_id: String,
    /// The index it was made of.
    pub source_index_name: String,
    /// That index's id.
    pub source_index_id: String,
    /// When that index was deleted, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_index_deleted_at: Option<String>,
    /// As given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `Ready`: a backup is whole as soon as it exists.
    pub status: String,
    /// Where the index said it runs.
    pub cloud: String,
    /// Where the index said it runs.
    pub region: String,
    /// Classic; absent in a sparse one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// Classic.
    #[schemars(with = "describe::MetricWord")]
    pub metric: String,
    /// 2026-07: what it holds.
    pub schema: Schema,
    /// Records in it.
    pub record_count: u64,
    /// Namespaces in it.
    pub namespace_count: u64,
    /// Bytes of what it refers to.
    pub size_bytes: u64,
    /// The index's, where it had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// RFC 3339.
    pub created_at: String,
    /// Ours: the schedule that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<String>,
    /// Ours: when it is deleted by itself, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A page of backups, restore jobs or schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct DataPage<T> {
    /// Newest first.
    pub data: Vec<T>,
    /// Where there are more.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

fn none() -> Option<Pagination> {
    None
}

/// `POST /backups/{id}/create-index`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreateIndexFromBackup {
    /// The name of the index to be made.
    #[schemars(with = "describe::IndexName")]
    pub name: String,
    /// Its tags; the backup's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Tags>")]
    pub tags: Option<BTreeMap<String, String>>,
    /// `enabled` or `disabled`; disabled where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::ProtectionWord>")]
    pub deletion_protection: Option<String>,
    /// Accepted: capacity has no meaning here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_capacity: Option<Value>,
}

/// A request for a restore, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePlan {
    /// The name of the index to be made.
    pub name: IndexName,
    /// Its tags, where given.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether a delete is refused.
    pub deletion_protection: bool,
}

impl CreateIndexFromBackup {
    /// Checks the request.
    pub fn into_plan(self, limits: &RequestLimits) -> Result<RestorePlan> {
        let name = IndexName::within(&self.name, limits.index_name_chars)?;
        let tags = self.tags.map(|tags| checked_tags(tags, limits)).transpose()?;
        let protection = self.deletion_protection.as_deref().map(checked_protection).transpose()?;
        Ok(RestorePlan { name, tags, deletion_protection: protection.unwrap_or(false) })
    }
}

/// What a new index begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanSource {
    /// The collection of this name.
    Collection(String),
    /// The backup with this id.
    Backup(String),
}

/// Answer of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexFromBackup {
    /// The job, which has ended.
    pub restore_job_id: String,
    /// The new index's id.
    pub index_id: String,
}

/// A restore job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreJobModel {
    /// A UUID.
    pub restore_job_id: String,
    /// The backup.
    pub backup_id: String,
    /// The index that was made.
    pub target_index_name: String,
    /// That index's id.
    pub target_index_id: String,
    /// `Completed`.
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub completed_at: String,
    /// 100.
    pub percent_complete: f64,
}

/// `POST /collections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateCollection {
    /// Its unique name.
    #[schemars(with = "describe::IndexName")]
    pub name: String,
    /// The index it is made of.
    pub source: String,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionModel {
    /// Its name.
    pub name: String,
    /// `Ready`.
    pub status: String,
    /// Where the index said it runs.
    pub environment: String,
    /// Bytes of what it refers to.
    pub size: u64,
    /// Absent in a sparse one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// Records in it.
    pub vector_count: u64,
}

/// Answer of `GET /collections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionList {
    /// By name.
    pub collections: Vec<CollectionModel>,
}

/// `POST /indexes/{name}/backup-schedules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchedule {
    /// For people; its backups' names begin with it.
    #[schemars(with = "describe::ScheduleName")]
    pub name: String,
    /// When.
    pub schedule: ScheduleSpec,
    /// How long.
    pub retention: Retention,
}

/// When a schedule runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleSpec {
    /// `time-based`.
    #[serde(rename = "type")]
    #[schemars(with = "describe::ScheduleTypeWord")]
    pub kind: String,
    /// `daily`, `weekly` or `monthly`.
    #[schemars(with = "describe::FrequencyWord")]
    pub frequency: String,
}

/// The only type of schedule.
pub const TIME_BASED: &str = "time-based";

impl ScheduleSpec {
    /// The frequency, where the type is the one that there is.
    pub fn into_frequency(self) -> Result<String> {
        match self.kind.as_str() {
            TIME_BASED => Ok(self.frequency),
            other => {
                Err(Error::invalid(format!("schedule.type is {other:?}, expected {TIME_BASED:?}")))
            }
        }
    }
}

/// How long a schedule's backups are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days after which each is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = SCHEDULE_EXPIRE_DAYS_MAX))]
    pub expire_after_days: Option<u32>,
    /// Ours: how many are kept at most; 0: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
}

/// `PATCH /backup-schedules/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSchedule {
    /// `daily`, `weekly` or `monthly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::FrequencyWord>")]
    pub frequency: Option<String>,
    /// How long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Whether it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleModel {
    /// A UUID.
    pub schedule_id: String,
    /// As given.
    pub name: String,
    /// The index's id.
    pub index_id: String,
    /// Ours: the index's name.
    pub index_name: String,
    /// `default`: a server is one project.
    pub project_id: String,
    /// `time-based`.
    pub schedule_type: String,
    /// `daily`, `weekly` or `monthly`.
    #[schemars(with = "describe::FrequencyWord")]
    pub frequency: String,
    /// Days after which each backup is deleted.
    pub retention_expire_after_days: u32,
    /// Ours: how many are kept at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_keep_last: Option<u32>,
    /// Whether it runs.
    pub enabled: bool,
    /// RFC 3339; absent while it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_scheduled_run: Option<String>,
    /// RFC 3339.
    pub created_at: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_checked() {
        let read = |json: &str| serde_json::from_str::<CreateIndexFromBackup>(json).unwrap();
        let plan = read(r#"{"name": "a", "read_capacity": {"mode": "OnDemand"}}"#)
            .into_plan(&RequestLimits::default());
        let expected = RestorePlan {
            name: IndexName::new("a").unwrap(),
            tags: None,
            deletion_protection: false,
        };
        assert_eq!(plan.unwrap(), expected);
        for bad in [
            r#"{"name": "A"}"#,
            r#"{"name": "a", "deletion_protection": "yes"}"#,
            r#"{"name": "a", "tags": {"a b": "c"}}"#,
            r#"{"name": "a", "tags": {"a": ""}}"#,
        ] {
            assert!(read(bad).into_plan(&RequestLimits::default()).is_err(), "{bad}");
        }
        let spec = ScheduleSpec { kind: "cron".into(), frequency: "daily".into() };
        let error = spec.into_frequency().unwrap_err();
        assert_eq!(error.message(), r#"schedule.type is "cron", expected "time-based""#);
    }
}
