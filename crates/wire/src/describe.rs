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

/// What a request says of documents: fields by name. Which of them are vectors
/// and texts, the schema of the index says, which only the index knows.
/// `reserved` names cannot be theirs.
fn document_fields(
    generator: &mut SchemaGenerator,
    about: &str,
    own: Value,
    reserved: &[&str],
) -> Schema {
    let required: &[&str] = if own.get("_id").is_some() { &["_id"] } else { &[] };
    let mut example = json!({
        "_id": "a1",
        "embedding": [0.1, 0.2, 0.3],
        "terms": {"indices": [7, 12], "values": [0.5, 1.25]},
        "body": "They take seeds out of pine cones.",
        "year": 2026,
        "tags": ["birds", "trees"],
    });
    if let (Some(fields), true) = (example.as_object_mut(), required.is_empty()) {
        fields.remove("_id");
    }
    if own.get("_remove_fields").is_some() {
        example = json!({"_id": "a1", "year": 2027, "_remove_fields": ["tags"]});
    }
    json_schema!({
        "description": about,
        "type": "object",
        "properties": own,
        "required": required,
        "propertyNames": {"pattern": "^[^$]", "not": {"enum": reserved}},
        "additionalProperties": generator.subschema_for::<DocumentValue>(),
        "examples": [example],
    })
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
    /// What a field of a document holds.
    DocumentValue as "DocumentValue" = |generator| json_schema!({
        "description": "What a field of a document holds: numbers are a dense vector, `indices` \
                        and `values` a sparse one, where the schema of the index names the field \
                        so. A text is a string. Everything else is metadata: a string, a number, \
                        a boolean or a list of strings.",
        "anyOf": [
            {"type": "string"},
            {"type": "number"},
            {"type": "boolean"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "array", "items": component()},
            generator.subschema_for::<crate::SparseValues>(),
        ],
    });
    /// Fields of a document by name.
    DocumentFields as "DocumentFields" = |generator| {
        let about = "Fields that are set, by name. `_id` cannot be changed.";
        document_fields(generator, about, json!({}), &["_id", "_score", "_remove_fields"])
    };
    /// A document by its id.
    Document as "Document" = |generator| {
        let about = "A document: fields by name. `_id` names it; the fields that the schema of \
                     the index names hold its vectors and texts, all others are metadata. \
                     `_score` and `_remove_fields` are reserved.";
        let id = generator.subschema_for::<RecordId>();
        document_fields(generator, about, json!({"_id": id}), &["_score", "_remove_fields"])
    };
    /// A change to a document by its id.
    DocumentPatch as "DocumentPatch" = |generator| {
        let about = "A change to the document that `_id` names: the fields that are set, and \
                     `_remove_fields`, those that are taken away. All others stay.";
        let own = json!({
            "_id": generator.subschema_for::<RecordId>(),
            "_remove_fields": {
                "type": "array", "items": {"type": "string", "pattern": "^[^_]"},
            },
        });
        document_fields(generator, about, own, &["_score"])
    };
    /// A document as it is answered.
    StoredDocument as "StoredDocument" = |generator| json_schema!({
        "description": "A document as it is answered: `_id`, the fields that were asked for, and \
                        in the answer to a search `_score`.",
        "type": "object",
        "properties": {
            "_id": generator.subschema_for::<RecordId>(),
            "_score": {"type": "number", "format": "float"},
        },
        "required": ["_id"],
        "additionalProperties": generator.subschema_for::<DocumentValue>(),
        "examples": [{"_id": "a1", "_score": 0.87, "body": "They take seeds out of pine cones."}],
    });
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
