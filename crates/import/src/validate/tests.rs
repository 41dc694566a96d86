//! Goal: every rule of the schema, broken once, gives its code, its row and a
//! message that says where, what was found and what was expected; what keeps
//! the rules comes through unchanged.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StructBuilder};
use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use crossbill_core::limits::{
    METADATA_BYTES_MAX, REJECT_RECORD_BYTES_MAX, REJECT_SHOWN_BYTES_MAX, REJECT_TASK_BYTES_MAX,
    SPARSE_ENTRIES_MAX,
};
use crossbill_core::{Metric, RequestLimits, VectorStorage};

use super::*;
use crate::testing::{
    Memory, SMALL, decode_all, ids, plain, some_vectors, sparse, strings, vectors,
};

fn check(columns: &[(&str, ArrayRef)], shape: &IndexShape) -> (Vec<RecordBatch>, Vec<Reject>) {
    check_within(columns, shape, &RequestLimits::default())
}

fn check_within(
    columns: &[(&str, ArrayRef)],
    shape: &IndexShape,
    limits: &RequestLimits,
) -> (Vec<RecordBatch>, Vec<Reject>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (mut valid, mut rejects) = (Vec::new(), Vec::new());
    let mut kept = KeptText::default();
    let decoded = decode_all(&Memory::new(plain(columns)), shape, SMALL, &mut |batch| {
        let rows = batch.rows;
        let (good, bad) =
            validate(batch, Rules { shape, documents: None, limits }, &pool, &mut kept);
        assert_eq!(good.records.len() + bad.len(), rows);
        valid.push(good.records);
        rejects.extend(bad);
    });
    if let Err(failed) = decoded {
        panic!("{}", failed.failure);
    }
    (valid, rejects)
}

/// Three rows of which the middle one breaks a rule.
struct Case {
    shape: IndexShape,
    columns: Vec<(&'static str, ArrayRef)>,
    code: &'static str,
    message: String,
}

fn dense() -> IndexShape {
    IndexShape::dense(2, Metric::Cosine)
}

fn ids_with(middle: Option<&str>) -> ArrayRef {
    strings(&[Some("a"), middle, Some("c")])
}

fn id_case(middle: Option<&str>, code: &'static str, message: &str) -> Case {
    let columns = vec![("id", ids_with(middle)), ("values", some_vectors(3, 2))];
    Case { shape: dense(), columns, code, message: message.to_owned() }
}

fn vector_case(middle: Option<Vec<Option<f32>>>, code: &'static str, message: &str) -> Case {
    let good = || Some(vec![Some(1.0), Some(2.0)]);
    let columns = vec![("id", ids("p-", 3)), ("values", vectors(&[good(), middle, good()]))];
    let message = format!("row 1, id \"p-1\": column \"values\": {message}");
    Case { shape: dense(), columns, code, message }
}

/// What an index of f16 cannot keep, and what it makes of the rest.
#[test]
fn vectors_are_rounded_to_what_the_index_keeps() {
    let shape = dense().stored_as(VectorStorage::F16);
    let values = vectors(&[
        Some(vec![Some(0.1), Some(1.0)]),
        Some(vec![Some(1.0), Some(70_000.0)]),
        Some(vec![Some(1e-9), Some(0.0)]),
        Some(vec![Some(-0.2), Some(3.0)]),
    ]);
    let (batches, rejects) = check(&[("id", ids("p-", 4)), ("values", values)], &shape);
    let mut expected = [0.1, 1.0, -0.2, 3.0];
    expected.chunks_mut(2).for_each(|row| VectorStorage::F16.round(row));
    assert_eq!(batches[0].values, expected);
    assert_ne!(expected[0], 0.1);
    let codes: Vec<&str> = rejects.iter().map(|reject| reject.code.as_str()).collect();
    assert_eq!(codes, ["E_VALUE_RANGE", "E_ZERO_VECTOR"]);
    let message = &rejects[0].message;
    assert!(
        message.contains(
            "row 1, id \"p-1\": column \"values\": component 1 is 70000, expected a magnitude \
             of at most 65504 (the index keeps vectors as f16)"
        ),
        "{message}"
    );
}

#[test]
fn the_limits_that_are_set_hold() {
    let mut limits = RequestLimits::default();
    for (name, value) in [("id-chars", "5"), ("metadata-bytes", "50000"), ("sparse-entries", "3")] {
        limits.set(name, value).unwrap();
    }
    let metadata = |bytes: usize| format!(r#"{{"k":"{}"}}"#, "x".repeat(bytes - 8));
    let texts = [metadata(50_000), metadata(50_001), metadata(10)];
    let texts = texts.each_ref().map(|text| Some(text.as_str()));
    let columns = [
        ("id", strings(&[Some("abcde"), Some("b"), Some("abcdef")])),
        ("values", some_vectors(3, 2)),
        ("metadata", strings(&texts)),
    ];
    let codes = |rejects: &[Reject]| {
        rejects.iter().map(|one| (one.row, one.code.clone())).collect::<Vec<_>>()
    };
    let (valid, rejects) = check_within(&columns, &dense(), &limits);
    assert_eq!(valid.iter().map(RecordBatch::len).sum::<usize>(), 1);
    let expected = [(Some(1), "E_METADATA_SIZE".to_owned()), (Some(2), "E_ID_LENGTH".to_owned())];
    assert_eq!(codes(&rejects), expected);
    assert!(rejects[0].message.contains("50001 bytes as JSON, expected at most 50000"));
    assert!(rejects[1].message.contains("6 characters, expected at most 5"));
    let sparse = sparse(&[entries(&[1, 2, 3], &[1.; 3]), entries(&[1, 2, 3, 4], &[1.; 4])]);
    let columns = [("id", ids("p-", 2)), ("sparse_values", sparse)];
    let (valid, rejects) = check_within(&columns, &IndexShape::sparse(), &limits);
    assert_eq!(valid.iter().map(RecordBatch::len).sum::<usize>(), 1);
    assert_eq!(codes(&rejects), [(Some(1), "E_SPARSE_TOO_LONG".to_owned())]);
    assert!(rejects[0].message.contains("4 entries, expected at most 3"));
}

fn metadata_case(middle: &str, code: &'static str, message: &str) -> Case {
    let metadata = strings(&[Some(r#"{"a":1}"#), Some(middle), None]);
    let columns =
        vec![("id", ids("p-", 3)), ("values", some_vectors(3, 2)), ("metadata", metadata)];
    let message = format!("row 1, id \"p-1\": column \"metadata\": {message}");
    Case { shape: dense(), columns, code, message }
}

fn sparse_case(
    middle: Option<crate::testing::SparseParts>,
    code: &'static str,
    message: &str,
) -> Case {
    let good = || Some((Some(vec![Some(3)]), Some(vec![Some(1.0)])));
    let columns = vec![("id", ids("p-", 3)), ("sparse_values", sparse(&[good(), middle, good()]))];
    let message = format!("row 1, id \"p-1\": column \"sparse_values\": {message}");
    Case { shape: IndexShape::sparse(), columns, code, message }
}

fn entries(at: &[u32], of: &[f32]) -> Option<crate::testing::SparseParts> {
    let at = at.iter().copied().map(Some).collect();
    let of = of.iter().copied().map(Some).collect();
    Some((Some(at), Some(of)))
}

fn cases() -> Vec<Case> {
    let long = "x".repeat(513);
    let big = format!("{{\"a\":\"{}\"}}", "y".repeat(METADATA_BYTES_MAX));
    let many: Vec<u32> = (0..=SPARSE_ENTRIES_MAX as u32).collect();
    let ones = vec![1.0; many.len()];
    vec![
        id_case(None, "E_ID_NULL", "row 1: column \"id\": id is null, expected 1 to 512"),
        id_case(Some(""), "E_ID_EMPTY", "row 1: column \"id\": id is empty, expected 1 to 512"),
        id_case(Some(&long), "E_ID_LENGTH", "id has 513 characters, expected at most 512"),
        id_case(Some("caf\u{e9}"), "E_ID_CHARS", "the character 'é', expected ASCII"),
        id_case(Some("a\0b"), "E_ID_CHARS", "expected ASCII without NUL"),
        vector_case(None, "E_VALUES_NULL", "vector is null, expected 2 components"),
        vector_case(Some(vec![Some(1.), None]), "E_VALUES_NULL", "component 1 is null, expected a"),
        vector_case(
            Some(vec![Some(1.); 3]),
            "E_DIMENSION",
            "vector dimension 3 does not match the dimension of the index 2 (found 3, expected 2)",
        ),
        vector_case(Some(vec![]), "E_DIMENSION", "vector dimension 0 does not match"),
        vector_case(Some(vec![Some(1.), Some(f32::NAN)]), "E_NOT_FINITE", "component 1 is NaN"),
        vector_case(
            Some(vec![Some(f32::INFINITY), Some(0.)]),
            "E_NOT_FINITE",
            "component 0 is inf",
        ),
        vector_case(Some(vec![Some(0.), Some(-0.)]), "E_ZERO_VECTOR", "all components are 0"),
        metadata_case("{oops", "E_METADATA_JSON", "metadata is not valid JSON"),
        metadata_case("[1]", "E_METADATA_NOT_OBJECT", "metadata is a list, expected an object"),
        metadata_case(
            r#"{"a":null}"#,
            "E_METADATA_VALUE",
            "metadata field \"a\" is null, expected",
        ),
        metadata_case(r#"{"a":{"b":1}}"#, "E_METADATA_VALUE", "metadata field \"a\" is an object"),
        metadata_case(
            r#"{"a":[1]}"#,
            "E_METADATA_VALUE",
            "metadata field \"a\" is a list that holds",
        ),
        metadata_case(r#"{"$a":1}"#, "E_METADATA_KEY", "metadata field name \"$a\""),
        metadata_case(
            &big,
            "E_METADATA_SIZE",
            "metadata has 40968 bytes as JSON, expected at most 40960",
        ),
        sparse_case(None, "E_SPARSE_NULL", "sparse vector is null, expected at least 1 entry"),
        sparse_case(
            entries(&[], &[]),
            "E_SPARSE_EMPTY",
            "sparse vector has no entries, expected at least 1",
        ),
        sparse_case(
            entries(&[1, 2], &[1.]),
            "E_SPARSE_LENGTHS",
            "sparse vector has 2 indices and 1 values",
        ),
        sparse_case(
            entries(&[4, 4], &[1., 2.]),
            "E_SPARSE_DUPLICATE",
            "sparse vector has index 4 twice",
        ),
        sparse_case(
            entries(&[4], &[0.]),
            "E_SPARSE_VALUE",
            "sparse value at index 4 is 0, expected",
        ),
        sparse_case(
            entries(&[4], &[f32::NAN]),
            "E_SPARSE_VALUE",
            "sparse value at index 4 is NaN, expected",
        ),
        sparse_case(
            entries(&many, &ones),
            "E_SPARSE_TOO_LONG",
            "sparse vector has 2049 entries, expected at most",
        ),
        sparse_case(
            Some((Some(vec![Some(1)]), None)),
            "E_SPARSE_NULL",
            "sparse vector's values is null",
        ),
        sparse_case(
            Some((Some(vec![None]), Some(vec![Some(1.)]))),
            "E_SPARSE_NULL",
            "sparse vector's index 0 is null",
        ),
    ]
}

#[test]
fn every_rule_has_its_code_row_and_message() {
    for case in cases() {
        let (valid, rejects) = check(&case.columns, &case.shape);
        assert_eq!(rejects.len(), 1, "{}: {rejects:?}", case.code);
        let reject = &rejects[0];
        assert_eq!(reject.code, case.code, "{}", reject.message);
        assert_eq!((reject.row, reject.row_group), (Some(1), Some(0)), "{}", reject.message);
        assert!(reject.message.starts_with("b/part-1.parquet: row group 0, row 1"), "{reject:?}");
        assert!(reject.message.contains(&case.message), "{} in {}", case.message, reject.message);
        assert!(reject.record.as_ref().unwrap().len() <= REJECT_RECORD_BYTES_MAX);
        let kept: Vec<&str> = valid.iter().flat_map(|batch| batch.ids.iter()).collect();
        assert_eq!(kept.len(), 2, "{}", case.code);
        for batch in &valid {
            let dimension = case.shape.dimension as usize;
            assert_eq!(batch.values.len(), batch.len() * dimension, "{}", case.code);
        }
    }
}

#[test]
fn the_message_of_the_wrong_dimension_reads_so() {
    let shape = IndexShape::dense(4, Metric::Euclidean);
    let good = || Some(vec![Some(1.0); 4]);
    let rows = [good(), Some(vec![Some(1.0), Some(0.25), Some(3.0)])];
    let columns = [("id", ids("p-", 2)), ("values", vectors(&rows))];
    let (_, rejects) = check(&columns, &shape);
    let expected = Reject {
        file: "b/part-1.parquet".into(),
        row_group: Some(0),
        row: Some(1),
        id: Some("p-1".into()),
        code: "E_DIMENSION".into(),
        column: Some("values".into()),
        message: "b/part-1.parquet: row group 0, row 1, id \"p-1\": column \"values\": vector \
                  dimension 3 does not match the dimension of the index 4 (found 3, expected 4)"
            .into(),
        record: Some(r#"{"id":"p-1","values":[1,0.25,3]}"#.into()),
    };
    assert_eq!(rejects, [expected]);
}

#[test]
fn a_sparse_index_out_of_range_is_refused() {
    let list = |kind| DataType::List(Arc::new(Field::new("item", kind, true)));
    let fields = Fields::from(vec![
        Field::new("indices", list(DataType::Int64), true),
        Field::new("values", list(DataType::Float64), true),
    ]);
    let part = |items: ArrayRef| {
        let item = Arc::new(Field::new("item", items.data_type().clone(), true));
        Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1, 1]), items, None)) as ArrayRef
    };
    let indices = part(Arc::new(Int64Array::from(vec![-1, 1 << 32])));
    let values = part(Arc::new(Float64Array::from(vec![1.0, 1.0])));
    let array = StructArray::new(fields, vec![indices, values], None);
    let columns = [("id", ids("", 2)), ("sparse_values", Arc::new(array) as ArrayRef)];
    let (_, rejects) = check(&columns, &IndexShape::sparse());
    let found: Vec<_> = rejects.iter().map(|reject| reject.code.as_str()).collect();
    assert_eq!(found, [codes::SPARSE_INDEX; 2]);
    assert!(rejects[0].message.contains("sparse index is -1, expected 0 to 4294967295"));
    assert!(rejects[1].message.contains("sparse index is 4294967296, expected 0 to"));
}

#[test]
fn sparse_values_belong_to_dotproduct_only_and_may_be_null_there() {
    let entry = || entries(&[1], &[0.5]);
    let columns = [
        ("id", ids("", 2)),
        ("values", some_vectors(2, 2)),
        ("sparse_values", sparse(&[entry(), None])),
    ];
    let (valid, rejects) = check(&columns, &IndexShape::dense(2, Metric::DotProduct));
    assert!(rejects.is_empty());
    assert!(valid[0].sparse(0).is_some() && valid[0].sparse(1).is_none());
    let (valid, rejects) = check(&columns, &IndexShape::dense(2, Metric::Cosine));
    assert_eq!(valid[0].len(), 1, "a null is no sparse vector");
    assert_eq!(rejects[0].code, codes::SPARSE_NOT_ALLOWED);
    assert!(rejects[0].message.contains("expected none in an index with the metric cosine"));
}

#[test]
fn text_that_is_no_utf8_is_refused_row_by_row() {
    let bad: &[u8] = &[0x66, 0xff];
    let columns = [
        ("id", Arc::new(BinaryArray::from_vec(vec![b"a", bad, b"c"])) as ArrayRef),
        ("values", some_vectors(3, 2)),
        ("metadata", Arc::new(BinaryArray::from_vec(vec![b"{}", b"{}", bad])) as ArrayRef),
    ];
    let (_, rejects) = check(&columns, &dense());
    let found: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect();
    assert_eq!(found, [(Some(1), codes::ID_CHARS), (Some(2), codes::METADATA_UTF8)]);
}

#[test]
fn numbers_that_json_cannot_hold_are_named() {
    let fields = vec![Field::new("price", DataType::Float64, true)];
    let mut builder = StructBuilder::new(fields, vec![Box::new(Float64Builder::new())]);
    builder.field_builder::<Float64Builder>(0).unwrap().append_value(f64::NAN);
    builder.append(true);
    let metadata = Arc::new(builder.finish()) as ArrayRef;
    let columns = [("id", ids("", 1)), ("values", some_vectors(1, 2)), ("metadata", metadata)];
    let (_, rejects) = check(&columns, &dense());
    assert_eq!(rejects[0].code, "E_METADATA_VALUE");
    assert!(rejects[0].message.contains("metadata field \"price\" is null"), "{rejects:?}");
}

#[test]
fn good_rows_around_bad_ones_keep_their_vectors_and_metadata() {
    let count = 1000;
    let rows: Vec<_> = (0..count)
        .map(|row| match row % 3 {
            0 => Some(vec![Some(row as f32), Some(1.0)]),
            1 => Some(vec![Some(row as f32)]),
            _ => None,
        })
        .collect();
    let json: Vec<String> = (0..count).map(|row| format!("{{\"row\":{row}}}")).collect();
    let json: Vec<_> = json.iter().map(|text| Some(text.as_str())).collect();
    let columns =
        [("id", ids("", count)), ("values", vectors(&rows)), ("metadata", strings(&json))];
    let (valid, rejects) = check(&columns, &dense());
    assert_eq!(rejects.len(), 666);
    assert!(rejects.windows(2).all(|pair| pair[0].row < pair[1].row), "in source order");
    let mut row = 0;
    for batch in &valid {
        for place in 0..batch.len() {
            assert_eq!(batch.ids.get(place), row.to_string());
            assert_eq!(batch.values[place * 2..place * 2 + 2], [row as f32, 1.0]);
            let expected = format!("{{\"row\":{row}}}");
            assert_eq!(batch.metadata(place).unwrap().to_json(), expected);
            row += 3;
        }
    }
    assert_eq!(row, 1002);
}

#[test]
fn a_long_record_is_cut_at_its_limit() {
    let rows = [Some(vec![Some(1.234_567); 3000]), Some(vec![Some(1.234_567); 70_000])];
    let columns = [("id", ids("", 2)), ("values", vectors(&rows))];
    let (_, rejects) = check(&columns, &dense());
    let record = |at: usize| rejects[at].record.as_ref().unwrap();
    let whole: serde_json::Value = serde_json::from_str(record(0)).unwrap();
    assert_eq!(whole["values"].as_array().unwrap().len(), 3000);
    assert!(record(1).len() <= REJECT_RECORD_BYTES_MAX && record(1).ends_with('…'));
    assert!(record(1).starts_with(r#"{"id":"1","values":[1.234567,"#));
}

/// After so much text of one task only beginnings are kept, from the same
/// record on whatever the batches.
#[test]
fn a_task_keeps_so_much_text_and_then_beginnings() {
    let rows = vec![Some(vec![Some(1.234_567); 40_000]); 800];
    let columns = [("id", ids("", 800)), ("values", vectors(&rows))];
    let (_, rejects) = check(&columns, &dense());
    let whole = |reject: &Reject| reject.record.as_ref().unwrap().len() > REJECT_SHOWN_BYTES_MAX;
    let first_cut = rejects.iter().position(|reject| !whole(reject)).unwrap();
    assert_eq!(first_cut, REJECT_TASK_BYTES_MAX.div_ceil(40_000 * 9) - 1);
    assert!(rejects[first_cut..].iter().all(|reject| !whole(reject)));
}
