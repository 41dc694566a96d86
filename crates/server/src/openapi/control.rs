//! The operations of the control plane and of the server itself.

use crossbill_core::limits::{BACKUP_PAGE_DEFAULT, BACKUP_PAGE_MAX};
use crossbill_wire::backups::{
    BackupModel, ChangeSchedule, CollectionList, CollectionModel, CreateBackup, CreateCollection,
    CreateIndexFromBackup, CreateSchedule, DataPage, IndexFromBackup, RestoreJobModel,
    RootCopyModel, ScheduleModel, StartRootCopy,
};
use crossbill_wire::inference::{
    EmbedRequest, EmbeddingsList, ModelInfo, ModelInfoList, RerankRequest, RerankResult,
};
use crossbill_wire::{
    ConfigureIndex, CreateForModel, CreateIndex, CreateIntegration, IndexList, IndexModel,
    IntegrationList, IntegrationModel, ServerLoad, SourceTest, TestSource,
};

use super::operation::{
    Kind, Link, Operation, Parameter, TOKEN, Tag, delete, get, limit, patch, post,
};
use super::{AnyObject, EmptyObject, StateBody};
use crate::metrics::FORMAT;

const PAGE: &[Parameter] = &[limit((BACKUP_PAGE_MAX, BACKUP_PAGE_DEFAULT)), TOKEN];
const BACKUPS_OF_INDEX: &[Parameter] = &[
    limit((BACKUP_PAGE_MAX, BACKUP_PAGE_DEFAULT)),
    TOKEN,
    Parameter::query(
        "include_deleted",
        Kind::Words(&["false", "true"]),
        "Whether backups of deleted indexes of this name are listed, too.",
    ),
];

const TO_INDEX: &[Link] = &[
    ("describeIndex", "name", "$response.body#/name"),
    ("configureIndex", "name", "$response.body#/name"),
    ("createBackup", "name", "$response.body#/name"),
    ("createSchedule", "name", "$response.body#/name"),
    ("deleteIndex", "name", "$response.body#/name"),
];
const TO_COLLECTION: &[Link] = &[
    ("describeCollection", "name", "$response.body#/name"),
    ("deleteCollection", "name", "$response.body#/name"),
];
const TO_BACKUP: &[Link] = &[
    ("describeBackup", "id", "$response.body#/backup_id"),
    ("createIndexFromBackup", "id", "$response.body#/backup_id"),
    ("deleteBackup", "id", "$response.body#/backup_id"),
];
const TO_SCHEDULE: &[Link] = &[
    ("describeSchedule", "id", "$response.body#/schedule_id"),
    ("changeSchedule", "id", "$response.body#/schedule_id"),
    ("scheduleHistory", "id", "$response.body#/schedule_id"),
    ("deleteSchedule", "id", "$response.body#/schedule_id"),
];
const TO_INTEGRATION: &[Link] = &[
    ("describeIntegration", "id", "$response.body#/id"),
    ("deleteIntegration", "id", "$response.body#/id"),
];
const MODELS_WANTED: &str = "404 where the operator has set up no model server, 503 where that \
                             does not answer as it should.";

/// Of the server and of indexes.
pub(super) const INDEXES: &[Operation] = &[
    get("/health", ("health", Tag::Server), "Whether the process answers").gives::<StateBody>(200),
    get("/ready", ("ready", Tag::Server), "Whether every listener is open and nothing is drained")
        .gives::<StateBody>(200)
        .fails(&[503]),
    get("/openapi.json", ("openApi", Tag::Server), "This document").gives::<AnyObject>(200),
    get("/metrics", ("metrics", Tag::Server), "What the server counts, for Prometheus")
        .gives_text(&[FORMAT]),
    get("/docs", ("docs", Tag::Server), "This document as a page").gives_page(),
    get("/", ("console", Tag::Server), "The console: a page for people").gives_page(),
    get("/console/{file}", ("consoleFile", Tag::Server), "A file of the console")
        .gives_text(&["text/javascript", "text/css", "image/svg+xml"])
        .fails(&[404]),
    get("/load", ("load", Tag::Server), "What the server is doing now")
        .about("Sums over all requests since the start: their differences over time are rates.")
        .gives::<ServerLoad>(200),
    get("/indexes", ("listIndexes", Tag::Indexes), "List all indexes").gives::<IndexList>(200),
    post("/indexes", ("createIndex", Tag::Indexes), "Make an index")
        .about(
            "In either dialect: `dimension`, `metric` and `spec`, or `schema` and `deployment`. \
             The index is ready and listens on a port of its own when this answers: `host`.",
        )
        .asks::<CreateIndex>()
        .gives::<IndexModel>(201)
        .fails(&[404, 409, 412, 429, 501, 507])
        .leads_to(TO_INDEX),
    get("/indexes/{name}", ("describeIndex", Tag::Indexes), "Describe an index")
        .gives::<IndexModel>(200)
        .fails(&[404]),
    patch(
        "/indexes/{name}",
        ("configureIndex", Tag::Indexes),
        "Change an index's tags, its protection or how its records are embedded",
    )
    .asks::<ConfigureIndex>()
    .gives::<IndexModel>(202)
    .fails(&[404, 412, 501, 502, 503, 507]),
    delete("/indexes/{name}", ("deleteIndex", Tag::Indexes), "Delete an index and its records")
        .about("403 while its deletion protection is enabled.")
        .gives_nothing(202)
        .fails(&[404, 412, 507]),
    post("/indexes/{name}", ("createIndexForModel", Tag::Models), "Make an index with a model")
        .shown("/indexes/create-for-model")
        .about(MODELS_WANTED)
        .asks::<CreateForModel>()
        .gives::<IndexModel>(201)
        .fails(&[404, 409, 412, 429, 502, 503, 507]),
];

/// Of integrations.
pub(super) const INTEGRATIONS: &[Operation] = &[
    get("/integrations", ("listIntegrations", Tag::Integrations), "List integrations")
        .gives::<IntegrationList>(200),
    post("/integrations", ("createIntegration", Tag::Integrations), "Make an integration")
        .about("Secrets go in and never come out. No message quotes them.")
        .asks::<CreateIntegration>()
        .gives::<IntegrationModel>(201)
        .fails(&[409, 429, 507])
        .leads_to(TO_INTEGRATION),
    get(
        "/integrations/{id}",
        ("describeIntegration", Tag::Integrations),
        "Describe an integration",
    )
    .gives::<IntegrationModel>(200)
    .fails(&[404]),
    delete("/integrations/{id}", ("deleteIntegration", Tag::Integrations), "Delete an integration")
        .gives_nothing(204)
        .fails(&[404, 412, 507]),
    post("/sources/test", ("testSource", Tag::Integrations), "Try whether a source can be read")
        .about("Answers 200 also where it cannot: `readable` and `error` say so.")
        .asks::<TestSource>()
        .gives::<SourceTest>(200)
        .fails(&[404]),
];

/// Of copies of indexes.
pub(super) const BACKUPS: &[Operation] = &[
    get("/collections", ("listCollections", Tag::Collections), "List collections")
        .gives::<CollectionList>(200),
    post("/collections", ("createCollection", Tag::Collections), "Make a collection of an index")
        .about("Of an index of pods; 400 for one that is not: make a backup of it.")
        .asks::<CreateCollection>()
        .gives::<CollectionModel>(201)
        .fails(&[404, 409, 412, 429, 507])
        .leads_to(TO_COLLECTION),
    get("/collections/{name}", ("describeCollection", Tag::Collections), "Describe a collection")
        .gives::<CollectionModel>(200)
        .fails(&[404]),
    delete("/collections/{name}", ("deleteCollection", Tag::Collections), "Delete a collection")
        .gives_nothing(202)
        .fails(&[404, 412, 507]),
    get("/indexes/{name}/backups", ("listBackupsOfIndex", Tag::Backups), "List an index's backups")
        .about("Newest first.")
        .with(BACKUPS_OF_INDEX)
        .gives::<DataPage<BackupModel>>(200)
        .fails(&[404]),
    post("/indexes/{name}/backups", ("createBackup", Tag::Backups), "Make a backup of an index")
        .about("The backup is whole when this answers. Writes go on meanwhile.")
        .may_ask::<CreateBackup>()
        .gives::<BackupModel>(201)
        .fails(&[404, 409, 412, 429, 507])
        .leads_to(TO_BACKUP),
    get("/backups", ("listBackups", Tag::Backups), "List all backups")
        .about("Newest first.")
        .with(PAGE)
        .gives::<DataPage<BackupModel>>(200),
    get("/backups/{id}", ("describeBackup", Tag::Backups), "Describe a backup")
        .gives::<BackupModel>(200)
        .fails(&[404]),
    delete("/backups/{id}", ("deleteBackup", Tag::Backups), "Delete a backup")
        .gives_nothing(202)
        .fails(&[404, 412, 507]),
    post(
        "/backups/{id}/create-index",
        ("createIndexFromBackup", Tag::Backups),
        "Make an index of a backup",
    )
    .about("The index is ready and listens when this answers.")
    .asks::<CreateIndexFromBackup>()
    .gives::<IndexFromBackup>(202)
    .fails(&[404, 409, 412, 429, 501, 507])
    .leads_to(&[("describeRestoreJob", "id", "$response.body#/restore_job_id")]),
    get(
        "/root-copy",
        ("describeRootCopy", Tag::Backups),
        "Describe the copy of the data directory",
    )
    .about("The one that is made, or the last one since the start.")
    .gives::<RootCopyModel>(200)
    .fails(&[404]),
    post("/root-copy", ("startRootCopy", Tag::Backups), "Copy the data directory")
        .about(
            "Answers at once; the copy is a new directory, which gets its name when it is whole. \
             403 where the operator does not allow the place (`--allow-export-dir`).",
        )
        .asks::<StartRootCopy>()
        .gives::<RootCopyModel>(202)
        .fails(&[409]),
    delete("/root-copy", ("cancelRootCopy", Tag::Backups), "Cancel the copy of the data directory")
        .about("No effect where none is made.")
        .gives::<EmptyObject>(200),
    get("/restore-jobs", ("listRestoreJobs", Tag::Backups), "List restore jobs")
        .about("Newest first.")
        .with(PAGE)
        .gives::<DataPage<RestoreJobModel>>(200),
    get("/restore-jobs/{id}", ("describeRestoreJob", Tag::Backups), "Describe a restore job")
        .gives::<RestoreJobModel>(200)
        .fails(&[404]),
    get(
        "/indexes/{name}/backup-schedules",
        ("listSchedules", Tag::Schedules),
        "List an index's schedules",
    )
    .about("Newest first.")
    .with(PAGE)
    .gives::<DataPage<ScheduleModel>>(200)
    .fails(&[404]),
    post(
        "/indexes/{name}/backup-schedules",
        ("createSchedule", Tag::Schedules),
        "Make a schedule of an index",
    )
    .asks::<CreateSchedule>()
    .gives::<ScheduleModel>(201)
    .fails(&[404, 409, 412, 429, 507])
    .leads_to(TO_SCHEDULE),
    get("/backup-schedules/{id}", ("describeSchedule", Tag::Schedules), "Describe a schedule")
        .gives::<ScheduleModel>(200)
        .fails(&[404]),
    patch("/backup-schedules/{id}", ("changeSchedule", Tag::Schedules), "Change a schedule")
        .asks::<ChangeSchedule>()
        .gives::<ScheduleModel>(200)
        .fails(&[404, 409, 412, 429, 507]),
    delete("/backup-schedules/{id}", ("deleteSchedule", Tag::Schedules), "Delete a schedule")
        .about("Its backups stay.")
        .gives_nothing(202)
        .fails(&[404, 507]),
    get(
        "/backup-schedules/{id}/history",
        ("scheduleHistory", Tag::Schedules),
        "List the backups that a schedule made",
    )
    .about("Newest first.")
    .with(PAGE)
    .gives::<DataPage<BackupModel>>(200)
    .fails(&[404]),
];

/// Of models, and of what this server does not have.
pub(super) const MODELS: &[Operation] = &[
    post("/embed", ("embed", Tag::Models), "Embed texts")
        .about(MODELS_WANTED)
        .asks::<EmbedRequest>()
        .gives::<EmbeddingsList>(200)
        .fails(&[404, 502, 503]),
    post("/rerank", ("rerank", Tag::Models), "Rerank documents")
        .about(MODELS_WANTED)
        .asks::<RerankRequest>()
        .gives::<RerankResult>(200)
        .fails(&[404, 502, 503]),
    get("/models", ("listModels", Tag::Models), "List models")
        .gives::<ModelInfoList>(200)
        .fails(&[404]),
    get("/models/{name}", ("describeModel", Tag::Models), "Describe a model")
        .gives::<ModelInfo>(200)
        .fails(&[404]),
    get("/assistant/{*rest}", ("getAssistant", Tag::Models), "Assistants (GET)")
        .about(NO_ASSISTANTS)
        .fails(&[404]),
    post("/assistant/{*rest}", ("postAssistant", Tag::Models), "Assistants (POST)")
        .about(NO_ASSISTANTS)
        .fails(&[404]),
    patch("/assistant/{*rest}", ("patchAssistant", Tag::Models), "Assistants (PATCH)")
        .about(NO_ASSISTANTS)
        .fails(&[404]),
    delete("/assistant/{*rest}", ("deleteAssistant", Tag::Models), "Assistants (DELETE)")
        .about(NO_ASSISTANTS)
        .fails(&[404]),
];

const NO_ASSISTANTS: &str = "This server does not have assistants: always 404. `rest` may hold \
                             slashes.";
