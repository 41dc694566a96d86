//! Which Arrow types hold what the schema wants, and what people call them.

use arrow_schema::{DataType, Field};

pub(super) fn is_string(kind: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Dictionary, LargeBinary, LargeUtf8, Utf8, Utf8View};
    match kind {
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => true,
        Dictionary(_, values) => !matches!(**values, Dictionary(_, _)) && is_string(values),
        _ => false,
    }
}

pub(super) fn is_id(kind: &DataType) -> bool {
    is_string(kind) || kind.is_integer()
}

fn is_float(kind: &DataType) -> bool {
    matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// The item type of any list type.
pub(crate) fn item(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

pub(super) fn is_dense(kind: &DataType) -> bool {
    item(kind).is_some_and(is_float)
}

pub(super) fn is_sparse(kind: &DataType) -> bool {
    let DataType::Struct(fields) = kind else { return false };
    let of = |name: &str| {
        fields.iter().find(|field| field.name() == name).and_then(|field| item(field.data_type()))
    };
    of("indices").is_some_and(DataType::is_integer) && of("values").is_some_and(is_float)
}

/// Whether a metadata value may come from this type.
pub(super) fn is_value(kind: &DataType) -> bool {
    match kind {
        DataType::Boolean | DataType::Null => true,
        kind if is_string(kind) || kind.is_integer() || is_float(kind) => true,
        kind => item(kind).is_some_and(is_string),
    }
}

pub(super) fn is_metadata(kind: &DataType) -> bool {
    match kind {
        // A column that is null in every row may have no type.
        DataType::Null => true,
        DataType::Struct(fields) => fields.iter().all(|field| is_value(field.data_type())),
        DataType::Map(entries, _) => map_entry(entries)
            .is_some_and(|(key, value)| is_string(key.data_type()) && is_value(value.data_type())),
        kind => is_string(kind),
    }
}

/// Key and value of a map's entries.
fn map_entry(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Some((&fields[0], &fields[1])),
        _ => None,
    }
}

/// A type as people call it.
pub(super) fn type_name(kind: &DataType) -> String {
    if let Some(item) = item(kind) {
        return format!("a list of {}", type_name(item));
    }
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Float16 => "float16".to_owned(),
        DataType::Dictionary(_, values) => format!("a dictionary of {}", type_name(values)),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
                .collect();
            format!("a struct {{{}}}", fields.join(", "))
        }
        DataType::Map(entries, _) => match map_entry(entries) {
            Some((key, value)) => {
                let (key, value) = (type_name(key.data_type()), type_name(value.data_type()));
                format!("a map of {key} to {value}")
            }
            None => "a map".to_owned(),
        },
        other => other.to_string().to_lowercase(),
    }
}
