//! Parquet files that are sound, with one row that breaks a rule.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder, UInt32Builder};
use arrow_array::{ArrayRef, BinaryArray, StructArray};
use arrow_schema::Field;
use crossbill_import::codes;

use crate::make::{Columns, good, good_vector, good_vectors, parquet, strings, vectors};
use crate::npy::codes_of;
use crate::{Case, row};

fn of_id(middle: Option<&str>) -> Vec<u8> {
    let ids = strings(&[Some("a"), middle, Some("c")]);
    parquet(&vec![("id", ids), ("values", good_vectors(3))])
}

fn of_values(middle: Option<Vec<Option<f32>>>) -> Vec<u8> {
    let mut columns = good(3);
    columns[1].1 = vectors(&[good_vector(), middle, good_vector()]);
    parquet(&columns)
}

fn of_metadata(middle: &str) -> Vec<u8> {
    with("metadata", strings(&[Some("{\"a\":1}"), Some(middle), None]))
}

fn with(name: &'static str, array: ArrayRef) -> Vec<u8> {
    let mut columns: Columns<'_> = good(3);
    columns.push((name, array));
    parquet(&columns)
}

fn some(values: [f32; 4]) -> Option<Vec<Option<f32>>> {
    Some(values.into_iter().map(Some).collect())
}

fn ids_and_vectors() -> Vec<Case> {
    let long = "x".repeat(513);
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"a"[..], b"\xff\xfe", b"c"]));
    let mut doubles = ListBuilder::new(Float64Builder::new());
    for first in [1.0, 1e300, 1.0] {
        doubles.append_value([Some(first), Some(1.0), Some(1.0), Some(1.0)]);
    }
    let doubles: ArrayRef = Arc::new(doubles.finish());
    let (dimension, finite) = ("E_DIMENSION", codes_of::NOT_FINITE);
    vec![
        row(
            "id-null.parquet",
            of_id(None),
            codes::ID_NULL,
            "row group 0, row 1: column \"id\": id is null",
        ),
        row("id-empty.parquet", of_id(Some("")), codes::ID_EMPTY, "id is empty"),
        row("id-long.parquet", of_id(Some(&long)), codes::ID_LENGTH, "513 characters"),
        row("id-unicode.parquet", of_id(Some("caf\u{e9}")), codes::ID_CHARS, "the character 'é'"),
        row("id-nul.parquet", of_id(Some("a\0b")), codes::ID_CHARS, "without NUL"),
        row(
            "id-bytes.parquet",
            parquet(&vec![("id", bytes), ("values", good_vectors(3))]),
            codes::ID_CHARS,
            "not UTF-8",
        ),
        row(
            "values-null.parquet",
            of_values(None),
            codes::VALUES_NULL,
            "row 1, id \"a1\": column \"values\": vector is null",
        ),
        row(
            "component-null.parquet",
            of_values(Some(vec![Some(1.0), None, Some(1.0), Some(1.0)])),
            codes::VALUES_NULL,
            "component 1 is null",
        ),
        row(
            "values-short.parquet",
            of_values(Some(vec![Some(1.0); 3])),
            dimension,
            "found 3, expected 4",
        ),
        row(
            "values-long.parquet",
            of_values(Some(vec![Some(1.0); 5])),
            dimension,
            "found 5, expected 4",
        ),
        row("values-none.parquet", of_values(Some(vec![])), dimension, "found 0, expected 4"),
        row(
            "values-nan.parquet",
            of_values(some([1.0, f32::NAN, 1.0, 1.0])),
            finite,
            "component 1 is NaN",
        ),
        row(
            "values-inf.parquet",
            of_values(some([f32::INFINITY, 1.0, 1.0, 1.0])),
            finite,
            "component 0 is inf",
        ),
        row(
            "values-minus-inf.parquet",
            of_values(some([1.0, 1.0, 1.0, f32::NEG_INFINITY])),
            finite,
            "component 3 is -inf",
        ),
        row(
            "values-overflow.parquet",
            parquet(&vec![("id", good(3).remove(0).1), ("values", doubles)]),
            finite,
            "component 0 is inf",
        ),
        row(
            "values-zero.parquet",
            of_values(some([0.0, -0.0, 0.0, 0.0])),
            codes_of::ZERO,
            "all components are 0",
        ),
    ]
}

fn metadata() -> Vec<Case> {
    let big = format!("{{\"a\":\"{}\"}}", "y".repeat(41 << 10));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"{}"[..], b"{\"a\":\"\xff\"}", b"{}"]));
    let value = "E_METADATA_VALUE";
    vec![
        row("json.parquet", of_metadata("{oops"), "E_METADATA_JSON", "not valid JSON"),
        row("json-cut.parquet", of_metadata("{\"a\":1"), "E_METADATA_JSON", "not valid JSON"),
        row(
            "json-deep.parquet",
            of_metadata(&"[".repeat(5_000)),
            "E_METADATA_JSON",
            "not valid JSON",
        ),
        row(
            "json-list.parquet",
            of_metadata("[1]"),
            "E_METADATA_NOT_OBJECT",
            "a list, expected an object",
        ),
        row(
            "json-text.parquet",
            of_metadata("\"a\""),
            "E_METADATA_NOT_OBJECT",
            "expected an object",
        ),
        row("json-null.parquet", of_metadata("{\"a\":null}"), value, "field \"a\" is null"),
        row(
            "json-object.parquet",
            of_metadata("{\"a\":{\"b\":1}}"),
            value,
            "field \"a\" is an object",
        ),
        row(
            "json-mixed.parquet",
            of_metadata("{\"a\":[\"x\",1]}"),
            value,
            "field \"a\" is a list that holds",
        ),
        row("json-key.parquet", of_metadata("{\"$a\":1}"), "E_METADATA_KEY", "field name \"$a\""),
        row("json-big.parquet", of_metadata(&big), "E_METADATA_SIZE", "expected at most 40960"),
        row("json-bytes.parquet", with("metadata", bytes), codes::METADATA_UTF8, "not UTF-8"),
    ]
}

fn sparse() -> Vec<Case> {
    let mut indices = ListBuilder::new(UInt32Builder::new());
    let mut values = ListBuilder::new(Float64Builder::new());
    for length in [0, 1, 0] {
        match length {
            0 => (indices.append_null(), values.append_null()),
            _ => (indices.append_value([Some(3)]), values.append_value([Some(0.5)])),
        };
    }
    let (indices, values) = (indices.finish(), values.finish());
    use arrow_array::Array;
    let field =
        |name: &str, array: &dyn Array| Arc::new(Field::new(name, array.data_type().clone(), true));
    let parts: Vec<(_, ArrayRef)> = vec![
        (field("indices", &indices), Arc::new(indices)),
        (field("values", &values), Arc::new(values)),
    ];
    let both: ArrayRef = Arc::new(StructArray::from(parts));
    vec![row(
        "sparse-in-cosine.parquet",
        with("sparse_values", both),
        codes::SPARSE_NOT_ALLOWED,
        "row 1, id \"a1\": column \"sparse_values\"",
    )]
}

pub(crate) fn cases() -> Vec<Case> {
    [ids_and_vectors(), metadata(), sparse()].into_iter().flatten().collect()
}
