//! Backups, restore jobs, collections and backup schedules.

pub(crate) mod root_copy;

use crossbill_core::limits::BACKUP_PAGE_DEFAULT;
use crossbill_core::{Error, IndexName, RequestLimits, Result};
use crossbill_db::{
    BackupFilter, BackupInfo, BackupSchedule, Database, Frequency, IndexInfo, IndexSource,
    NewBackup, NewIndex, NewSchedule, RestoreJob, RestoreOptions, ScheduleChange,
};
use crossbill_wire::backups::{
    BackupModel, ChangeSchedule, CollectionList, CollectionModel, CreateBackup, CreateCollection,
    CreateIndexFromBackup, CreateSchedule, DataPage, IndexFromBackup, PlanSource, RestoreJobModel,
    ScheduleModel, TIME_BASED,
};
use crossbill_wire::{IndexFacts, IndexModel, IndexPlan};

pub use root_copy::root_copy_model;

use crate::call::{Answer, Call, Reply};
use crate::control::{open_port, stored_spec};
use crate::error::ApiError;
use crate::pages::{Listing, PageRequest};

/// The project that every index of a server belongs to.
const PROJECT: &str = "default";

/// A backup as the API shows it.
pub fn backup_model(backup: BackupInfo) -> BackupModel {
    let index = IndexModel::of(IndexFacts {
        name: &backup.index,
        shape: &backup.shape,
        host: "",
        deletion_protection: false,
        tags: &backup.tags,
        stored: &stored_spec(backup.spec_json.as_deref(), &backup.cloud, &backup.region),
    });
    BackupModel {
        backup_id: backup.id,
        source_index_name: backup.index.to_string(),
        source_index_id: backup.index_uid,
        source_index_deleted_at: backup.index_deleted_at.map(|at| at.to_string()),
        name: backup.name,
        description: backup.description,
        status: "Ready".to_owned(),
        cloud: backup.cloud,
        region: backup.region,
        dimension: index.dimension,
        metric: index.metric,
        schema: index.schema,
        record_count: backup.records,
        namespace_count: backup.namespaces,
        size_bytes: backup.bytes,
        tags: index.tags,
        created_at: backup.created_at.to_string(),
        schedule_id: backup.schedule,
        expires_at: backup.expires_at.map(|at| at.to_string()),
    }
}

fn collection_model(collection: BackupInfo) -> CollectionModel {
    CollectionModel {
        name: collection.collection.map(|name| name.to_string()).unwrap_or_default(),
        status: "Ready".to_owned(),
        environment: collection.region,
        size: collection.bytes,
        dimension: (collection.shape.dimension > 0).then_some(collection.shape.dimension),
        vector_count: collection.records,
    }
}

/// A restore job as the API shows it.
pub fn restore_job_model(job: RestoreJob) -> RestoreJobModel {
    RestoreJobModel {
        restore_job_id: job.id,
        backup_id: job.backup_id,
        target_index_name: job.index.to_string(),
        target_index_id: job.index_uid,
        status: "Completed".to_owned(),
        created_at: job.created_at.to_string(),
        completed_at: job.completed_at.to_string(),
        percent_complete: 100.0,
    }
}

/// A schedule as the API shows it.
pub fn schedule_model(schedule: BackupSchedule) -> ScheduleModel {
    ScheduleModel {
        enabled: schedule.is_enabled(),
        schedule_id: schedule.id,
        name: schedule.name,
        index_id: schedule.index_uid,
        index_name: schedule.index.to_string(),
        project_id: PROJECT.to_owned(),
        schedule_type: TIME_BASED.to_owned(),
        frequency: schedule.frequency.as_str().to_owned(),
        retention_expire_after_days: schedule.expire_after_days,
        retention_keep_last: schedule.keep_last,
        next_scheduled_run: schedule.next_run.map(|at| at.to_string()),
        created_at: schedule.created_at.to_string(),
    }
}

fn frequency(word: &str) -> Result<Frequency> {
    Frequency::parse(word).ok_or_else(|| {
        Error::invalid(format!("frequency is {word:?}, expected daily, weekly or monthly"))
    })
}

/// The schedule that a request asks for.
pub fn new_schedule(request: CreateSchedule) -> Result<NewSchedule> {
    let expire_after_days = request.retention.expire_after_days.ok_or_else(|| {
        Error::invalid("retention.expire_after_days is missing, expected a number of days")
    })?;
    Ok(NewSchedule {
        name: request.name,
        frequency: frequency(&request.schedule.into_frequency()?)?,
        expire_after_days,
        keep_last: request.retention.keep_last,
    })
}

/// What a restore is asked to make.
pub fn restore_options(
    request: CreateIndexFromBackup,
    limits: &RequestLimits,
) -> Result<RestoreOptions> {
    let plan = request.into_plan(limits)?;
    let (name, tags) = (plan.name, plan.tags);
    Ok(RestoreOptions { name, tags, deletion_protection: plan.deletion_protection })
}

/// Makes the index that `plan` describes, empty or of its source.
pub fn make_index(db: &Database, plan: IndexPlan, name: IndexName) -> Result<IndexInfo> {
    let (cloud, region) = plan.stored.placement.cloud_and_region();
    let spec_json = serde_json::to_string(&plan.stored)
        .map_err(|error| Error::internal(format!("a spec cannot be written: {error}")))?;
    let mut new = NewIndex {
        name,
        shape: plan.shape,
        documents: plan.documents,
        text: plan.text,
        tags: plan.tags,
        deletion_protection: plan.deletion_protection,
        cloud,
        region,
        spec_json: Some(spec_json),
    };
    let (source, info) = match plan.source {
        None => return db.create_index(new),
        Some(PlanSource::Collection(name)) => {
            // Where a new index names it, clients expect 400 of one that is not there.
            let missing = |error: Error| Error::invalid(error.message());
            let info = db.describe_collection(&name).map_err(missing)?;
            (IndexSource::Collection(name), info)
        }
        Some(PlanSource::Backup(id)) => {
            let info = db.describe_backup(&id)?;
            (IndexSource::Backup(id), info)
        }
    };
    if !plan.names_storage {
        new.shape.storage = info.shape.storage;
    }
    db.create_index_from(&source, new)
}

/// The answer with one page of a listing.
fn page<T, M: serde::Serialize>(
    request: PageRequest,
    (found, more): (Vec<T>, bool),
    cursor: impl Fn(&T) -> String,
    model: impl Fn(T) -> M,
) -> Answer {
    let after = found.last().filter(|_| more).map(cursor);
    let pagination = after.map(|after| request.next(after));
    Reply::json(200, &DataPage { data: found.into_iter().map(model).collect(), pagination })
}

fn asked_page(call: &Call, listing: Listing<'_>) -> std::result::Result<PageRequest, ApiError> {
    let most = call.limits().backup_page;
    call.page(listing, (most, BACKUP_PAGE_DEFAULT.min(most)))
}

fn list_of(call: &Call, listing: Listing<'_>, filter: &BackupFilter) -> Answer {
    let request = asked_page(call, listing)?;
    let found = call.shared.db.list_backups(filter, request.after.as_deref(), request.limit)?;
    page(request, found, BackupInfo::cursor, backup_model)
}

/// `POST /indexes/{name}/backups`: the backup is whole when this answers.
pub(crate) fn create(call: &Call) -> Answer {
    // An unknown index is the first thing to hear of, before the body.
    call.shared.db.describe_index(call.param("name"))?;
    let request: CreateBackup = match call.body.is_empty() {
        true => CreateBackup::default(),
        false => call.json()?,
    };
    let new = NewBackup { name: request.name, description: request.description };
    let made = call.shared.db.create_backup(call.param("name"), new)?;
    Reply::json(201, &backup_model(made))
}

/// `GET /indexes/{name}/backups`, newest first.
pub(crate) fn list_of_index(call: &Call) -> Answer {
    let include_deleted = match call.query("include_deleted") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "include_deleted is {other:?}, expected true or false"
            )));
        }
    };
    let name = call.param("name");
    let index = Some(name.to_owned());
    let listing = Listing::BackupsOf { name, include_deleted };
    list_of(call, listing, &BackupFilter { index, include_deleted, schedule: None })
}

/// `GET /backups`, newest first.
pub(crate) fn list(call: &Call) -> Answer {
    list_of(call, Listing::Backups, &BackupFilter::default())
}

/// `GET /backups/{id}`.
pub(crate) fn describe(call: &Call) -> Answer {
    Reply::json(200, &backup_model(call.shared.db.describe_backup(call.param("id"))?))
}

/// `DELETE /backups/{id}`.
pub(crate) fn delete(call: &Call) -> Answer {
    call.shared.db.delete_backup(call.param("id"))?;
    Reply::bare(202)
}

/// `POST /backups/{id}/create-index`: the index is ready and listens when this
/// answers.
pub(crate) fn restore(call: &Call) -> Answer {
    call.shared.db.describe_backup(call.param("id"))?;
    let options = restore_options(call.json()?, call.limits())?;
    let (job, info) = call.shared.db.restore_backup(call.param("id"), options)?;
    open_port(call, &info)?;
    Reply::json(202, &IndexFromBackup { restore_job_id: job.id, index_id: info.uid })
}

/// `GET /restore-jobs`, newest first.
pub(crate) fn list_restore_jobs(call: &Call) -> Answer {
    let request = asked_page(call, Listing::RestoreJobs)?;
    let found = call.shared.db.list_restore_jobs(request.after.as_deref(), request.limit)?;
    page(request, found, RestoreJob::cursor, restore_job_model)
}

/// `GET /restore-jobs/{id}`.
pub(crate) fn describe_restore_job(call: &Call) -> Answer {
    Reply::json(200, &restore_job_model(call.shared.db.describe_restore_job(call.param("id"))?))
}

/// `GET /collections`.
pub(crate) fn list_collections(call: &Call) -> Answer {
    let found = call.shared.db.list_collections();
    let collections = found.into_iter().map(collection_model).collect();
    Reply::json(200, &CollectionList { collections })
}

/// `POST /collections`: the collection is whole when this answers.
pub(crate) fn create_collection(call: &Call) -> Answer {
    let request: CreateCollection = call.json()?;
    let name =
        IndexName::within(&request.name, call.limits().index_name_chars).map_err(|error| {
            ApiError::invalid(error.to_string().replacen("index name", "collection name", 1))
        })?;
    check_pods(&call.shared.db.describe_index(&request.source)?)?;
    let made = call.shared.db.create_collection(name, &request.source)?;
    Reply::json(201, &collection_model(made))
}

/// Collections are of pods, as in the hosted service. A serverless index has
/// backups, which can do more.
fn check_pods(source: &IndexInfo) -> Result<()> {
    let stored = stored_spec(source.spec_json.as_deref(), &source.cloud, &source.region);
    match stored.placement.is_pod() {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "index {} is not made of pods, expected one whose spec is pod: make a backup of it \
             instead",
            source.name
        ))),
    }
}

/// `GET /collections/{name}`.
pub(crate) fn describe_collection(call: &Call) -> Answer {
    let found = call.shared.db.describe_collection(call.param("name"))?;
    Reply::json(200, &collection_model(found))
}

/// `DELETE /collections/{name}`.
pub(crate) fn delete_collection(call: &Call) -> Answer {
    call.shared.db.delete_collection(call.param("name"))?;
    Reply::bare(202)
}

/// `POST /indexes/{name}/backup-schedules`.
pub(crate) fn create_schedule(call: &Call) -> Answer {
    call.shared.db.describe_index(call.param("name"))?;
    let new = new_schedule(call.json()?)?;
    let made = call.shared.db.create_backup_schedule(call.param("name"), new)?;
    Reply::json(201, &schedule_model(made))
}

/// `GET /indexes/{name}/backup-schedules`, newest first.
pub(crate) fn list_schedules(call: &Call) -> Answer {
    let index = call.param("name");
    let request = asked_page(call, Listing::Schedules { name: index })?;
    let after = request.after.as_deref();
    let found = call.shared.db.list_backup_schedules(index, after, request.limit)?;
    page(request, found, BackupSchedule::cursor, schedule_model)
}

/// `GET /backup-schedules/{id}`.
pub(crate) fn describe_schedule(call: &Call) -> Answer {
    Reply::json(200, &schedule_model(call.shared.db.describe_backup_schedule(call.param("id"))?))
}

/// `PATCH /backup-schedules/{id}`.
pub(crate) fn change_schedule(call: &Call) -> Answer {
    call.shared.db.describe_backup_schedule(call.param("id"))?;
    let request: ChangeSchedule = call.json()?;
    let retention = request.retention.unwrap_or_default();
    let change = ScheduleChange {
        frequency: request.frequency.as_deref().map(frequency).transpose()?,
        expire_after_days: retention.expire_after_days,
        keep_last: retention.keep_last,
        enabled: request.enabled,
    };
    let changed = call.shared.db.change_backup_schedule(call.param("id"), change)?;
    Reply::json(200, &schedule_model(changed))
}

/// `DELETE /backup-schedules/{id}`.
pub(crate) fn delete_schedule(call: &Call) -> Answer {
    call.shared.db.delete_backup_schedule(call.param("id"))?;
    Reply::bare(202)
}

/// `GET /backup-schedules/{id}/history`: the backups that it made, newest
/// first.
pub(crate) fn schedule_history(call: &Call) -> Answer {
    let schedule = call.shared.db.describe_backup_schedule(call.param("id"))?;
    let filter = BackupFilter { schedule: Some(schedule.id), ..BackupFilter::default() };
    list_of(call, Listing::History { schedule: call.param("id") }, &filter)
}
