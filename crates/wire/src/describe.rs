//! What a derive cannot know about the schema of a field: words that are
//! checked by hand, names with their alphabet, metadata, filters. Every bound
//! comes from `core`'s limits. Says what is read elsewhere, reads nothing.

use std::borrow::Cow;

use crossbill_core::limits::{
    BACKUP_NAME_CHARS_MAX, FILTER_VALUES_MAX, IDS_PER_REQUEST_MAX, INDEX_NAME_CHARS_MAX,
    NAMESPACE_CHARS_MAX, RECORD_ID_CHARS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A type that only stands for a schema, written where it is used or, with a
/// name, once among the document's components.
macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident $(as $public:literal)? = $schema:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(schemas!(@name $name $($public)?))
            }

            fn inline_schema() -> bool {
                schemas!(@inline $($public)?)
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    )*};
    (@name $name:ident) => { stringify!($name) };
    (@name $name:ident $public:literal) => { $public };
    (@inline) => { true };
    (@inline $public:literal) => { false };
}

fn words(words: &[&str]) -> Schema {
    json_schema!({"type": "string", "enum": words})
}

/// Printable ASCII without control characters but with the space.
const PRINTABLE: &str = "^[ -~]*$";
/// ASCII without NUL.
const ASCII: &str = "^[\\x01-\\x7F]*$";

fn tags(value_chars_min: usize) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": TAGS_MAX,
        "propertyNames": {"pattern": format!("^[A-Za-z0-9_-]{{1,{TAG_KEY_CHARS_MAX}}}$")},
        "additionalProperties": {
            "type": "string",
            "minLength": value_chars_min,
            "maxLength": TAG_VALUE_CHARS_MAX,
            "pattern": PRINTABLE,
        },
    })
}

/// An object whose fields are what its index's schema says, which only the
/// index knows.
fn document_fields(generator: &mut SchemaGenerator, has_id: bool) -> Schema {
    let id = generator.subschema_for::<RecordId>();
    let required: &[&str] = if has_id { &["_id"] } else { &[] };
    json_schema!({"type": "object", "properties": {"_id": id}, "required": required})
}

/// A number as a vector's component: what `f32` has room for.
pub fn component() -> Value {
    json!({"type": "number", "format": "float", "minimum": f32::MIN, "maximum": f32::MAX})
}

schemas! {
    /// The name of an index or a collection.
    IndexName = |_| json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": INDEX_NAME_CHARS_MAX,
        "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    });
    /// A namespace as a request writes it.
    Namespace = |_| json_schema!({
        "type": "string",
        "maxLength": NAMESPACE_CHARS_MAX,
        "pattern": ASCII,
    });
    /// The name of a namespace that is to be made.
    NewNamespace = |_| json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": NAMESPACE_CHARS_MAX,
        "pattern": ASCII,
        "not": {"const": crossbill_core::NamespaceName::DEFAULT},
    });
    /// The id of a record.
    RecordId = |_| json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": RECORD_ID_CHARS_MAX,
        "pattern": ASCII,
    });
    /// The id of a record, where the empty one means none.
    RecordIdOrEmpty = |_| json_schema!({
        "type": "string",
        "maxLength": RECORD_ID_CHARS_MAX,
        "pattern": ASCII,
    });
    /// Ids of records; an empty list means none.
    RecordIds = |generator| json_schema!({
        "type": "array",
        "maxItems": IDS_PER_REQUEST_MAX,
        "items": generator.subschema_for::<RecordId>(),
    });
    /// The name of a schedule: its backups' names begin with it.
    ScheduleName = |_| json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": BACKUP_NAME_CHARS_MAX / 2,
    });
    /// What documents are scored by.
    ScoreWord = |_| words(&["dense_vector", "sparse_vector", "text", "query_string"]);
    /// Fields of a document by name.
    DocumentFields as "DocumentFields" = |generator| document_fields(generator, false);
    /// A document, or a change to one, by its id.
    Document as "Document" = |generator| document_fields(generator, true);
    /// How nearness is measured.
    MetricWord = |_| words(&["cosine", "euclidean", "dotproduct"]);
    /// What kind of vectors an index holds.
    VectorTypeWord = |_| words(&["dense", "sparse"]);
    /// How full vectors are kept.
    StorageWord = |_| words(&["f32", "f16", "bf16", "int8"]);
    /// Whether a delete is refused.
    ProtectionWord = |_| words(&["enabled", "disabled"]);
    /// The kind of a deployment.
    DeploymentWord = |_| words(&["managed", "pod", "byoc"]);
    /// What becomes of records that are there.
    ImportModeWord = |_| words(&["upsert", "replace"]);
    /// How an import or export stands.
    JobStatusWord =
        |_| words(&["Pending", "InProgress", "Completed", "Failed", "Cancelled"]);
    /// A kind of object store.
    StoreKindWord = |_| words(&["s3", "gcs", "azure"]);
    /// How often a schedule runs.
    FrequencyWord = |_| words(&["daily", "weekly", "monthly"]);
    /// What makes a schedule run.
    ScheduleTypeWord = |_| words(&[crate::backups::TIME_BASED]);
    /// Tags that an index is made with.
    Tags = |_| tags(1);
    /// Tags put over others, where an empty value removes one.
    TagChanges = |_| tags(0);
    /// The only value that a filterable field may have.
    True = |_| json_schema!({"type": "boolean", "const": true});
    /// Anything that is accepted and has no effect.
    Ignored = |_| json_schema!({});
    /// A dense vector, or the values of a sparse one.
    Components = |_| json_schema!({"type": "array", "items": component()});
    /// The same, where `null` stands for the empty one.
    ComponentsOrNull = |_| json_schema!({"type": ["array", "null"], "items": component()});
    /// Metadata of a record.
    Metadata as "Metadata" = |_| json_schema!({
        "description": "Metadata of a record: a flat object. A field's name is not empty and \
                        does not begin with `$`.",
        "type": "object",
        "propertyNames": {"pattern": "^[^$]"},
        "additionalProperties": {
            "anyOf": [
                {"type": "string"},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string"}},
            ],
        },
    });
    /// A filter over metadata.
    Filter as "Filter" = |generator| {
        let filter = generator.subschema_for::<Filter>();
        let condition = generator.subschema_for::<Condition>();
        json_schema!({
            "description": "Which records count, by their metadata. All fields must match; a \
                            bare value means `$eq`.",
            "type": "object",
            "properties": {
                "$and": {"type": "array", "minItems": 1, "items": filter},
                "$or": {"type": "array", "minItems": 1, "items": filter},
                "$not": filter,
            },
            "patternProperties": {"^[^$]": condition, "^$": condition},
            "additionalProperties": false,
        })
    };
    /// What a filter asks of one field.
    Condition as "FilterCondition" = |_| {
        let scalar = json!({"anyOf": [
            {"type": "string"}, {"type": "number"}, {"type": "boolean"},
        ]});
        let scalars = json!({
            "type": "array", "maxItems": FILTER_VALUES_MAX, "items": scalar,
        });
        json_schema!({
            "description": "What a filter asks of one field: a value, or operators that all must \
                            hold.",
            "anyOf": [
                {"type": "string"},
                {"type": "number"},
                {"type": "boolean"},
                {
                    "type": "object",
                    "minProperties": 1,
                    "properties": {
                        "$eq": scalar,
                        "$ne": scalar,
                        "$gt": {"type": "number"},
                        "$gte": {"type": "number"},
                        "$lt": {"type": "number"},
                        "$lte": {"type": "number"},
                        "$in": scalars,
                        "$nin": scalars,
                        "$exists": {"type": "boolean"},
                        "$match_phrase": {"type": "string"},
                        "$match_all": {"type": "string"},
                        "$match_any": {"type": "string"},
                    },
                    "additionalProperties": false,
                },
            ],
        })
    };
}
