//! The operations of the data plane.

use crossbill_core::limits::{
    EXPORT_PAGE_MAX, IDS_PER_REQUEST_MAX, IMPORT_PAGE_MAX, LIST_PAGE_MAX, MANIFEST_CHUNK_ENTRIES,
    MANIFEST_PAGE_DEFAULT, NAMESPACE_CHARS_MAX, REJECTS_PAGE,
};
use crossbill_wire::documents::{
    ChangedDocuments, DeleteDocuments, FetchDocuments, FetchedDocuments, FoundDocuments,
    ListDocuments, ListedDocuments, SearchDocuments, UpdateDocuments, UpsertDocuments,
    UpsertedDocuments,
};
use crossbill_wire::records::{SearchRequest, SearchResponse};
use crossbill_wire::{
    CreateNamespace, DeleteRequest, ExportModel, ExportPage, FetchByMetadataRequest, FetchResponse,
    ImportManifestModel, ImportModel, ImportPage, ImportPreview, ListResponse, NamespaceModel,
    NamespacePage, PreviewImport, QueryRequest, QueryResponse, RejectPage, StartExport,
    StartImport, StartedExport, StartedImport, StatsRequest, StatsResponse, UpdateRequest,
    UpdateResponse, UpsertRequest, UpsertResponse, describe,
};

use super::EmptyObject;
use super::operation::{
    Kind, Link, Operation, Parameter, Place, TOKEN, Tag, delete, get, limit, post, schema_of,
};
/// Ids or namespaces of a page: most, and by default.
const LIST_LIMITS: (usize, usize) = (LIST_PAGE_MAX, LIST_PAGE_MAX);

const NAMESPACE: Parameter = Parameter::query(
    "namespace",
    Kind::Text(schema_of::<describe::Namespace>),
    "Absent, empty and `__default__` name the same one.",
);
const PREFIX: Parameter =
    Parameter::query("prefix", Kind::Chars(NAMESPACE_CHARS_MAX), "Only what begins with this.");
const ANY_PREFIX: Parameter =
    Parameter::query("prefix", Kind::Text(schema_of::<String>), "Only what begins with this.");
const OFFSET: Parameter =
    Parameter::query("offset", Kind::Whole(0, u64::MAX, 0), "How many items come before the page.");
const IDEMPOTENCY_KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    place: Place::Header,
    about: "A second start with the same key is the first one.",
    kind: Kind::Text(schema_of::<String>),
};

const TO_IMPORT: &[Link] = &[
    ("describeImport", "id", "$response.body#/id"),
    ("pauseImport", "id", "$response.body#/id"),
    ("resumeImport", "id", "$response.body#/id"),
    ("listRejects", "id", "$response.body#/id"),
    ("importManifest", "id", "$response.body#/id"),
    ("cancelImport", "id", "$response.body#/id"),
];
const TO_EXPORT: &[Link] =
    &[("describeExport", "id", "$response.body#/id"), ("cancelExport", "id", "$response.body#/id")];
const TO_NAMESPACE: &[Link] = &[
    ("describeNamespace", "namespace", "$response.body#/name"),
    ("deleteNamespace", "namespace", "$response.body#/name"),
];

/// Of records.
pub(super) const RECORDS: &[Operation] = &[
    post("/vectors/upsert", ("upsert", Tag::Records), "Put records")
        .about("On disk when this answers, and seen by every query after it.")
        .asks::<UpsertRequest>()
        .gives::<UpsertResponse>(200)
        .wrote()
        .fails(&[404, 412, 429, 507]),
    post("/query", ("query", Tag::Records), "Find the nearest records")
        .about("By `vector` (and `sparseVector`), or by the `id` of a stored record.")
        .asks::<QueryRequest>()
        .gives::<QueryResponse>(200)
        .saw()
        .fails(&[404]),
    get("/vectors/fetch", ("fetch", Tag::Records), "Fetch records by id")
        .about("Unknown ids are left out.")
        .with(&[
            Parameter::query(
                "ids",
                Kind::Repeated(schema_of::<describe::RecordId>, 1, IDS_PER_REQUEST_MAX),
                "The parameter is repeated for each id.",
            ),
            NAMESPACE,
        ])
        .gives::<FetchResponse>(200)
        .saw()
        .fails(&[404]),
    post(
        "/vectors/fetch_by_metadata",
        ("fetchByMetadata", Tag::Records),
        "Fetch the records that match a filter",
    )
    .about("In id order.")
    .asks::<FetchByMetadataRequest>()
    .gives::<FetchResponse>(200)
    .saw()
    .fails(&[404]),
    post("/vectors/update", ("update", Tag::Records), "Change records")
        .about("One by `id`, or the metadata of all that match `filter`.")
        .asks::<UpdateRequest>()
        .gives::<UpdateResponse>(200)
        .wrote()
        .fails(&[404, 412, 429, 507]),
    post("/vectors/delete", ("delete", Tag::Records), "Delete records")
        .about("Exactly one of `ids`, `deleteAll` and `filter`.")
        .asks::<DeleteRequest>()
        .gives::<EmptyObject>(200)
        .wrote()
        .fails(&[404, 412, 429, 507]),
    get("/vectors/list", ("list", Tag::Records), "List ids")
        .about("In order.")
        .with(&[PREFIX, limit(LIST_LIMITS), TOKEN, NAMESPACE])
        .gives::<ListResponse>(200)
        .saw()
        .fails(&[404]),
    post("/describe_index_stats", ("stats", Tag::Records), "Count records by namespace")
        .may_ask::<StatsRequest>()
        .gives::<StatsResponse>(200)
        .saw()
        .fails(&[404]),
    get("/namespaces", ("listNamespaces", Tag::Namespaces), "List namespaces")
        .about("In the order of their names.")
        .with(&[ANY_PREFIX, limit(LIST_LIMITS), TOKEN])
        .gives::<NamespacePage>(200)
        .saw()
        .fails(&[404]),
    post("/namespaces", ("createNamespace", Tag::Namespaces), "Make a namespace")
        .about("A write makes one by itself; here it can say which fields are filterable.")
        .asks::<CreateNamespace>()
        .gives::<NamespaceModel>(200)
        .wrote()
        .fails(&[404, 409, 412, 429, 507])
        .leads_to(TO_NAMESPACE),
    get("/namespaces/{namespace}", ("describeNamespace", Tag::Namespaces), "Describe a namespace")
        .gives::<NamespaceModel>(200)
        .saw()
        .fails(&[404]),
    delete("/namespaces/{namespace}", ("deleteNamespace", Tag::Namespaces), "Delete a namespace")
        .about("And all records in it.")
        .gives::<EmptyObject>(200)
        .wrote()
        .fails(&[404, 412, 507]),
    post(
        "/records/namespaces/{namespace}/upsert",
        ("upsertRecords", Tag::Text),
        "Put records with text",
    )
    .about(
        "JSON lines, each an object with `_id` and the field that the index embeds; 400 where it \
         embeds none.",
    )
    .gives_nothing(201)
    .wrote()
    .fails(&[404, 412, 429, 502, 503, 507]),
    post(
        "/records/namespaces/{namespace}/search",
        ("searchRecords", Tag::Text),
        "Search by text, by vector or by id",
    )
    .about("`inputs` needs an index that embeds, `rerank` a model; `match_terms` is refused.")
    .asks::<SearchRequest>()
    .gives::<SearchResponse>(200)
    .saw()
    .fails(&[404, 502, 503]),
];

/// Of documents; an index of vectors answers them with 400.
pub(super) const DOCUMENTS: &[Operation] = &[
    post(
        "/namespaces/{namespace}/documents/upsert",
        ("upsertDocuments", Tag::Documents),
        "Put documents",
    )
    .about("Fields that the schema names hold vectors and texts, all others are metadata.")
    .asks::<UpsertDocuments>()
    .gives::<UpsertedDocuments>(202)
    .wrote()
    .fails(&[404, 412, 429, 507]),
    post(
        "/namespaces/{namespace}/documents/search",
        ("searchDocuments", Tag::Documents),
        "Find the best documents",
    )
    .about("By one vector, or by the words of texts.")
    .asks::<SearchDocuments>()
    .gives::<FoundDocuments>(200)
    .saw()
    .fails(&[404]),
    post(
        "/namespaces/{namespace}/documents/fetch",
        ("fetchDocuments", Tag::Documents),
        "Fetch documents by id or by filter",
    )
    .asks::<FetchDocuments>()
    .gives::<FetchedDocuments>(200)
    .saw()
    .fails(&[404]),
    post(
        "/namespaces/{namespace}/documents/update",
        ("updateDocuments", Tag::Documents),
        "Set and remove fields of documents",
    )
    .about("Of each by its id, or of all that a filter matches.")
    .asks::<UpdateDocuments>()
    .gives::<ChangedDocuments>(202)
    .wrote()
    .fails(&[404, 412, 429, 507]),
    post(
        "/namespaces/{namespace}/documents/delete",
        ("deleteDocuments", Tag::Documents),
        "Delete documents",
    )
    .asks::<DeleteDocuments>()
    .gives::<ChangedDocuments>(202)
    .wrote()
    .fails(&[404, 412, 507]),
    post(
        "/namespaces/{namespace}/documents/list",
        ("listDocuments", Tag::Documents),
        "List documents",
    )
    .about("Ids in order.")
    .may_ask::<ListDocuments>()
    .gives::<ListedDocuments>(200)
    .saw()
    .fails(&[404]),
];

/// Of imports and exports.
pub(super) const BULK: &[Operation] = &[
    get("/bulk/imports", ("listImports", Tag::Imports), "List imports")
        .about("Newest first.")
        .with(&[limit((IMPORT_PAGE_MAX, IMPORT_PAGE_MAX)), TOKEN])
        .gives::<ImportPage>(200)
        .fails(&[404]),
    post("/bulk/imports", ("startImport", Tag::Imports), "Start an import")
        .about("Answers at once and never touches the source. A retry finds the first start.")
        .with(&[IDEMPOTENCY_KEY])
        .asks::<StartImport>()
        .gives::<StartedImport>(200)
        .fails(&[404, 409, 412, 429, 507])
        .leads_to(TO_IMPORT),
    post(
        "/bulk/imports/preview",
        ("previewImport", Tag::Imports),
        "Show what the first rows of a source would become",
    )
    .about(
        "Looks at one file and writes nothing. Answers 200 also where the file cannot be imported \
         so: `error` says why and what mapping would fit.",
    )
    .asks::<PreviewImport>()
    .gives::<ImportPreview>(200)
    .fails(&[404]),
    get("/bulk/imports/{id}", ("describeImport", Tag::Imports), "Describe an import")
        .gives::<ImportModel>(200)
        .fails(&[404]),
    delete("/bulk/imports/{id}", ("cancelImport", Tag::Imports), "Cancel an import")
        .about("What is committed stays. No error where it has ended.")
        .gives::<EmptyObject>(200)
        .fails(&[404, 412, 507]),
    post("/bulk/imports/{id}/pause", ("pauseImport", Tag::Imports), "Pause an import")
        .gives::<EmptyObject>(200)
        .fails(&[404, 412, 507]),
    post("/bulk/imports/{id}/resume", ("resumeImport", Tag::Imports), "Resume an import")
        .gives::<EmptyObject>(200)
        .fails(&[404, 412, 507]),
    get(
        "/bulk/imports/{id}/rejects",
        ("listRejects", Tag::Imports),
        "List what an import rejected",
    )
    .about("In the order of the source. With `records=whole` a page may be shorter than asked.")
    .with(&[
        OFFSET,
        limit(REJECTS_PAGE),
        Parameter::query(
            "records",
            Kind::Words(&["shown", "whole"]),
            "Whether long records are shortened.",
        ),
    ])
    .gives::<RejectPage>(200)
    .fails(&[404]),
    get(
        "/bulk/imports/{id}/manifest",
        ("importManifest", Tag::Imports),
        "Describe what a finished import did, file by file",
    )
    .with(&[OFFSET, limit((MANIFEST_CHUNK_ENTRIES, MANIFEST_PAGE_DEFAULT))])
    .gives::<ImportManifestModel>(200)
    .fails(&[404, 412]),
    get("/bulk/exports", ("listExports", Tag::Exports), "List exports")
        .about("Newest first.")
        .with(&[limit((EXPORT_PAGE_MAX, EXPORT_PAGE_MAX)), TOKEN])
        .gives::<ExportPage>(200)
        .fails(&[404]),
    post("/bulk/exports", ("startExport", Tag::Exports), "Start an export")
        .about("Answers at once; nothing is written yet.")
        .asks::<StartExport>()
        .gives::<StartedExport>(200)
        .fails(&[404, 412, 429, 507])
        .leads_to(TO_EXPORT),
    get("/bulk/exports/{id}", ("describeExport", Tag::Exports), "Describe an export")
        .gives::<ExportModel>(200)
        .fails(&[404]),
    delete("/bulk/exports/{id}", ("cancelExport", Tag::Exports), "Cancel an export")
        .gives::<EmptyObject>(200)
        .fails(&[404, 412, 507]),
];
