//! Struct and map columns as JSON objects. A null field is left out: a struct
//! has every field in every row, so null there means absent.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_schema::DataType;
use serde_json::{Map, Value};

use super::columns::{integer_at, text_at};

/// The object at `row` of a struct or map array, as JSON text. What JSON
/// cannot hold (NaN, bytes that are no text) becomes null, which the rules
/// refuse by the field's name.
pub(super) fn object_at(array: &dyn Array, row: usize) -> String {
    let mut object = Map::new();
    match array.data_type() {
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            for (field, part) in fields.iter().zip(parts.columns()) {
                put(&mut object, field.name(), part, row);
            }
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (keys, values) = (map.keys(), map.values());
            let offsets = map.value_offsets();
            for entry in offsets[row] as usize..offsets[row + 1] as usize {
                if let Some(Ok(key)) = text_at(keys, entry) {
                    put(&mut object, key, values, entry);
                }
            }
        }
        _ => {}
    }
    Value::Object(object).to_string()
}

fn put(object: &mut Map<String, Value>, name: &str, array: &dyn Array, row: usize) {
    if !array.is_null(row) && *array.data_type() != DataType::Null {
        object.insert(name.to_owned(), value_at(array, row));
    }
}

fn value_at(array: &dyn Array, row: usize) -> Value {
    let list = |items: &dyn Array| {
        Value::Array((0..items.len()).map(|place| value_at(items, place)).collect())
    };
    match array.data_type() {
        _ if array.is_null(row) => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Float16 => Value::from(array.as_primitive::<Float16Type>().value(row).to_f64()),
        // Through text, so that 0.1 stays 0.1.
        DataType::Float32 => short(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::from(array.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(row)),
        kind if kind.is_integer() => match integer_at(array, row) {
            Some(number) => i64::try_from(number).map_or_else(
                |_| u64::try_from(number).map_or(Value::Null, Value::from),
                Value::from,
            ),
            None => Value::Null,
        },
        _ => match text_at(array, row) {
            Some(Ok(text)) => Value::from(text),
            _ => Value::Null,
        },
    }
}

fn short(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}
