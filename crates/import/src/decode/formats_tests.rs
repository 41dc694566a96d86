//! Goal: the same records read alike whatever the format, their columns
//! mapped or not; what is wrong in a line is that line's reject.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::{Field, Schema};
use crossbill_core::{IndexShape, Metric, RequestLimits};

use super::*;
use crate::mapping::MetadataMapping;
use crate::testing::{Memory, SMALL, decode_as, ids, plain, some_vectors, sparse, strings};
use crate::validate::record::KeptText;
use crate::validate::{Rules, validate};
use crate::{ColumnMapping, Reject};

const SHAPE: IndexShape = IndexShape::dense(4, Metric::DotProduct);
const ROWS: usize = 300;

type Columns<'a> = Vec<(&'a str, ArrayRef)>;

/// Everything a file holds, as text; and what is refused.
fn read(path: &str, bytes: Vec<u8>, mapping: &ColumnMapping) -> (Vec<String>, Vec<Reject>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (mut rows, mut rejects, mut next) = (Vec::new(), Vec::new(), 0);
    let mut kept = KeptText::default();
    let file = Memory::new(bytes);
    let decoded = decode_as(&file, path, &SHAPE, mapping, SMALL, &mut |batch| {
        assert_eq!(batch.first_row, next, "batches follow one another");
        next += batch.rows as u64;
        let limits = &RequestLimits::default();
        let rules = Rules { shape: &SHAPE, documents: None, limits };
        let (valid, bad) = validate(batch, rules, &pool, &mut kept);
        let records = valid.records();
        for (row, id) in records.ids.iter().enumerate() {
            let values = &records.values[4 * row..4 * row + 4];
            let sparse = records.sparse.get(row).and_then(Option::as_ref);
            let metadata = records.metadata.get(row).and_then(Option::as_ref);
            rows.push(format!("{id} {values:?} {sparse:?} {metadata:?}"));
        }
        rejects.extend(bad);
    });
    if let Err(failed) = decoded {
        panic!("{path}: {}", failed.failure);
    }
    (rows, rejects)
}

fn failure(path: &str, bytes: Vec<u8>, mapping: &ColumnMapping) -> (&'static str, String) {
    let decoded = decode_as(&Memory::new(bytes), path, &SHAPE, mapping, SMALL, &mut |_| {});
    decoded.expect_err("a failure").failure.of_the_file().unwrap()
}

fn columns() -> Columns<'static> {
    let metadata: Vec<Option<String>> =
        (0..ROWS).map(|row| (row % 3 > 0).then(|| format!("{{\"n\":{row}}}"))).collect();
    let metadata: Vec<Option<&str>> = metadata.iter().map(Option::as_deref).collect();
    let entry = |row: usize| {
        row.is_multiple_of(2)
            .then(|| (Some(vec![Some(1), Some(row as u32 + 2)]), Some(vec![Some(0.5); 2])))
    };
    vec![
        ("id", ids("p-", ROWS)),
        ("values", some_vectors(ROWS, 4)),
        ("sparse_values", sparse(&(0..ROWS).map(entry).collect::<Vec<_>>())),
        ("metadata", strings(&metadata)),
    ]
}

fn lines() -> Vec<u8> {
    let mut text = String::from("\u{feff}");
    for row in 0..ROWS {
        let value = |at: usize| (row * 31 + at * 7) as f32 % 97.0 + 0.5;
        let values: Vec<String> = (0..4).map(|at| value(at).to_string()).collect();
        text.push_str(&format!("{{\"id\":\"p-{row}\",\"values\":[{}]", values.join(", ")));
        if row % 2 == 0 {
            text.push_str(&format!(
                ",\"sparse_values\":{{\"indices\":[1,{}],\"values\":[0.5,0.5]}}",
                row + 2
            ));
        }
        match row % 3 {
            0 => text.push_str(",\"metadata\":null}\r\n"),
            1 => text.push_str(&format!(",\"metadata\":{{\"n\":{row}}}}}\n")),
            // JSON within JSON, and a line that is blank.
            _ => text.push_str(&format!(",\"metadata\":\"{{\\\"n\\\":{row}}}\"}}\n \n")),
        }
    }
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::stream::encode_all(bytes, 3).unwrap()
}

/// An Arrow file or stream of three batches.
fn arrow(columns: &Columns<'_>, stream: bool, packing: Option<CompressionType>) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).unwrap();
    let options = options.try_with_compression(packing).unwrap();
    let rows = batch.num_rows();
    let parts = [
        batch.slice(0, rows / 3),
        batch.slice(rows / 3, 0),
        batch.slice(rows / 3, rows - rows / 3),
    ];
    if stream {
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    } else {
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    }
}

#[test]
fn every_format_reads_alike() {
    let usual = ColumnMapping::default();
    let (expected, rejects) = read("f.parquet", plain(&columns()), &usual);
    assert_eq!((expected.len(), rejects), (ROWS, vec![]));
    let mut dictionaries = columns();
    dictionaries[0].1 = Arc::new(
        (0..ROWS)
            .map(|row| format!("p-{row}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<DictionaryArray<Int32Type>>(),
    );
    let cases = [
        ("f.jsonl", lines()),
        ("f.ndjson.gz", gzip(&lines())),
        ("f.ndjson.gz", [gzip(&lines()[..1000]), gzip(&lines()[1000..])].concat()),
        ("f.jsonl.zst", zstd(&lines())),
        ("f.jsonl.zst", [zstd(&lines()[..1000]), zstd(&lines()[1000..])].concat()),
        ("f.arrow", arrow(&columns(), false, None)),
        ("f.feather", arrow(&columns(), false, Some(CompressionType::LZ4_FRAME))),
        ("f.ipc", arrow(&columns(), true, Some(CompressionType::ZSTD))),
        ("f.arrows", arrow(&columns(), true, None)),
        ("f.arrow", arrow(&dictionaries, false, None)),
        ("f.arrow", arrow(&dictionaries, true, Some(CompressionType::ZSTD))),
    ];
    for (number, (path, bytes)) in cases.into_iter().enumerate() {
        let (found, rejects) = read(path, bytes, &usual);
        assert_eq!(rejects, vec![], "{path}");
        assert!(found == expected, "case {number}, {path}: {:?}", found.first());
    }
}

fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (head.len() + 11) % 64 != 0 {
        head.push(' ');
    }
    head.push('\n');
    let length = (head.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], head.as_bytes(), data].concat()
}

#[test]
fn arrays_get_ids_of_their_rows() {
    let values: Vec<f32> = (0..80).map(|at| (at % 31) as f32 / 4.0 - 3.0).collect();
    let row = |row: usize, prefix: &str| {
        format!("{prefix}{row} {:?} None None", &values[4 * row..4 * row + 4])
    };
    let expected = |prefix: &str| (0..20).map(|at| row(at, prefix)).collect::<Vec<_>>();
    let bytes =
        |of: fn(f32) -> Vec<u8>| values.iter().flat_map(|value| of(*value)).collect::<Vec<_>>();
    let kinds: [(&str, Vec<u8>); 5] = [
        ("<f2", bytes(|value| half::f16::from_f32(value).to_le_bytes().to_vec())),
        ("<f4", bytes(|value| value.to_le_bytes().to_vec())),
        ("<f8", bytes(|value| f64::from(value).to_le_bytes().to_vec())),
        (">f4", bytes(|value| value.to_be_bytes().to_vec())),
        (">f8", bytes(|value| f64::from(value).to_be_bytes().to_vec())),
    ];
    let prefixed = ColumnMapping { id_prefix: Some("{file}#".into()), ..Default::default() };
    for (kind, data) in &kinds {
        let bytes = npy(kind, "(20, 4)", data);
        assert_eq!(read("a/e.npy", bytes.clone(), &ColumnMapping::default()).0, expected(""));
        assert_eq!(read("a/e.npy", bytes, &prefixed).0, expected("a/e#"), "{kind}");
    }
    let data = &kinds[1].1;
    let fortran = {
        let bytes = npy("<f4", "(20, 4)", data);
        let text = String::from_utf8_lossy(&bytes[..120]).replace("False", "True ");
        let head = text.bytes().skip_while(|byte| *byte != b'{').collect::<Vec<_>>();
        [&bytes[..10], &head[..110], &bytes[120..]].concat()
    };
    let mapped = ColumnMapping { values: Some("emb".into()), ..Default::default() };
    let usual = ColumnMapping::default();
    let cases: Vec<(Vec<u8>, &ColumnMapping, &str, &str)> = vec![
        (b"PK\x03\x04 an npz file".to_vec(), &usual, codes::FILE_FORMAT, "expected \"\\x93NUMPY\""),
        (vec![], &usual, codes::FILE_FORMAT, "begins with \"\""),
        (npy("<i4", "(20, 4)", data), &usual, codes::FILE_SCHEMA, "items are of type '<i4'"),
        (npy("|O", "(20, 4)", data), &usual, codes::FILE_SCHEMA, "items are of type '|O'"),
        (npy("<f4", "(80,)", data), &usual, codes::FILE_SCHEMA, "1 dimensions, expected 2"),
        (npy("<f4", "(16, 5)", data), &usual, codes::FILE_SCHEMA, "have 5 components, expected 4"),
        (npy("<f4", "(21, 4)", data), &usual, codes::FILE_TRUNCATED, "claims 21 rows"),
        (npy("<f4", "(19, 4)", data), &usual, codes::FILE_DECODE, "16 bytes behind the 19 rows"),
        (npy("<f4", "(99999999999999999, 4)", data), &usual, codes::FILE_TRUNCATED, "claims"),
        (npy("<f4", "(-1, 4)", data), &usual, codes::FILE_DECODE, "what is no number"),
        (
            npy("<f4", "(20, 4)", data)[..40].to_vec(),
            &usual,
            codes::FILE_TRUNCATED,
            "its header has",
        ),
        (fortran, &usual, codes::FILE_SCHEMA, "column by column"),
        (
            npy("<f4", "(20, 4)", data),
            &mapped,
            codes::FILE_SCHEMA,
            "no columns that could be mapped",
        ),
    ];
    for (bytes, mapping, code, text) in cases {
        let (found, reason) = failure("e.npy", bytes, mapping);
        assert_eq!(found, code, "{reason}");
        assert!(reason.contains(text), "{reason}");
    }
}

#[test]
fn a_bad_line_is_one_reject_and_names_its_line() {
    let good = r#"{"id":"a","values":[1,2,3,4]}"#;
    let cases = [
        ("{\"id\":", "E_JSON", "line is not valid JSON: EOF while parsing a value at character 6"),
        ("[1,2]", "E_JSON", "the line is a list, expected a JSON object"),
        ("id,values", "E_JSON", "the line is no JSON, expected a JSON object"),
        (r#"{"id":"x","values":[1,2,3,4]} {}"#, "E_JSON", "trailing characters"),
        (r#"{"id":"x","id":"y","values":[1,2,3,4]}"#, "E_JSON", "field \"id\" is there twice"),
        (r#"{"id":"x","values":[1,2,3,NaN]}"#, "E_JSON", "not valid JSON"),
        (r#"{"id":1.5,"values":[1,2,3,4]}"#, "E_TYPE", "column \"id\": id is a number, expected a"),
        (
            r#"{"id":"x","values":"1,2"}"#,
            "E_TYPE",
            "id \"x\": column \"values\": vector is a string",
        ),
        (r#"{"id":"x","values":[1,2,"3",4]}"#, "E_TYPE", "component 2 is no number"),
        (r#"{"id":"x","values":[1,2,null,4]}"#, "E_VALUES_NULL", "component 2 is null"),
        (r#"{"id":"x","values":[1,2,3]}"#, "E_DIMENSION", "found 3, expected 4"),
        (r#"{"id":"x"}"#, "E_VALUES_NULL", "vector is null"),
        (r#"{"values":[1,2,3,4]}"#, "E_ID_NULL", "id is null"),
        (r#"{"id":"x","values":[1,2,3,4e39]}"#, "E_NOT_FINITE", "component 3 is inf"),
        (r#"{"id":"x","values":[1,2,3,4],"metadata":[1]}"#, "E_METADATA_NOT_OBJECT", "a list"),
        (r#"{"id":"x","values":[1,2,3,4],"metadata":"x"}"#, "E_METADATA_JSON", "not valid JSON"),
        (
            r#"{"id":"x","values":[1,2,3,4],"sparse_values":[1]}"#,
            "E_TYPE",
            "sparse vector is a list",
        ),
        (
            r#"{"id":"x","values":[1,2,3,4],"sparse_values":{"indices":[-1],"values":[1]}}"#,
            "E_SPARSE_INDEX",
            "index is -1",
        ),
        (
            r#"{"id":"x","values":[1,2,3,4],"sparse_values":{"indices":["a"],"values":[1]}}"#,
            "E_TYPE",
            "no list of integers",
        ),
        (
            r#"{"id":"x","values":[1,2,3,4],"sparse_values":{"indices":[1]}}"#,
            "E_SPARSE_NULL",
            "values is null",
        ),
    ];
    let usual = ColumnMapping::default();
    for (line, code, message) in cases {
        let text = format!("{good}\n\n{line}\n{good}");
        let (rows, rejects) = read("a/f.jsonl", text.into_bytes(), &usual);
        assert_eq!((rows.len(), rejects.len()), (2, 1), "{line}");
        let reject = &rejects[0];
        assert_eq!((reject.code.as_str(), reject.row), (code, Some(1)), "{}", reject.message);
        assert!(reject.message.starts_with("a/f.jsonl: line 3"), "{}", reject.message);
        assert!(reject.message.contains(message), "{}", reject.message);
        assert!(reject.record.as_ref().is_some_and(|text| !text.is_empty()));
    }
    let (_, rejects) =
        read("f.jsonl", [good.as_bytes(), b"\n{\"id\":\"\xff\"}\n"].concat(), &usual);
    assert_eq!(
        rejects[0].message,
        "f.jsonl: line 2: the line is not UTF-8 from byte 7 on, expected JSON"
    );
    let long = format!("{good}\n{{\"x\":\"{}\"}}\n{good}", "x".repeat(17 << 20));
    let (rows, rejects) = read("f.jsonl", long.into_bytes(), &usual);
    assert_eq!((rows.len(), rejects[0].code.as_str()), (2, "E_LINE_LENGTH"));
}

#[test]
fn files_that_hold_no_lines_of_json_say_what_was_found() {
    let usual = ColumnMapping::default();
    let bomb = vec![b'\n'; 300 << 20];
    let cases = [
        (
            "f.jsonl",
            b"[{\"id\": 1},\n{\"id\": 2}]".to_vec(),
            codes::FILE_FORMAT,
            "the first: the line is a list",
        ),
        ("f.jsonl", b"id,values\n1,2\n".to_vec(), codes::FILE_FORMAT, "the line is no JSON"),
        ("f.jsonl.gz", lines(), codes::FILE_DECODE, "damaged"),
        ("f.jsonl.gz", gzip(&lines())[..900].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        ("f.jsonl.zst", zstd(&lines())[..900].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        ("f.jsonl.zst", lines(), codes::FILE_DECODE, "damaged"),
        ("f.jsonl.gz", gzip(&bomb), codes::FILE_LIMIT, "unpacks to more than 268435456 bytes"),
        ("f.jsonl.zst", zstd(&bomb), codes::FILE_LIMIT, "unpacks to more than 268435456 bytes"),
        (
            "f.jsonl",
            b"{\"_id\":\"a\",\"emb\":[0.5,1],\"title\":\"t\",\"n\":1}\n".to_vec(),
            codes::FILE_SCHEMA,
            "start the import with \"columns\": {\"id\":\"_id\",\"metadata\":[\"n\",\"title\"],\"values\":\"emb\"}",
        ),
    ];
    for (path, bytes, code, text) in cases {
        let (found, reason) = failure(path, bytes, &usual);
        assert_eq!(found, code, "{path}: {reason}");
        assert!(reason.contains(text), "{path}: {reason}");
    }
}

#[test]
fn a_file_without_lines_has_nothing_to_read() {
    let empty = [
        ("f.jsonl", vec![]),
        ("f.jsonl", b"\n \n".to_vec()),
        ("f.jsonl.gz", gzip(b"\n \n")),
        ("f.jsonl.zst", zstd(b"")),
    ];
    for (path, bytes) in empty {
        let file = Box::new(Memory::new(bytes));
        let found = survey(file, path, &SHAPE, &ColumnMapping::default()).unwrap();
        assert_eq!(found, Survey::default(), "{path}");
    }
}

fn mapping() -> ColumnMapping {
    let fields = ["title", "n", "score", "good", "tags"].map(str::to_owned).to_vec();
    ColumnMapping {
        id: Some("_id".into()),
        values: Some("emb".into()),
        metadata: Some(MetadataMapping::Fields(fields)),
        ..ColumnMapping::default()
    }
}

/// A set as it is found in the wild.
fn wild() -> Columns<'static> {
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("x"), Some("y")]);
    tags.append_null();
    tags.append_value([Some("z")]);
    vec![
        ("_id", Arc::new(Int64Array::from(vec![7, 8, 9])) as ArrayRef),
        ("title", Arc::new(StringArray::from(vec![Some("a \"b\""), None, Some("c")]))),
        ("emb", some_vectors(3, 4)),
        ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("score", Arc::new(Float64Array::from(vec![Some(0.5), None, None]))),
        ("good", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("tags", Arc::new(tags.finish())),
        ("url", strings(&[Some("u"), None, None])),
    ]
}

#[test]
fn columns_of_any_name_are_read_where_they_are_mapped() {
    let (rows, rejects) = read("f.parquet", plain(&wild()), &mapping());
    assert_eq!(rejects, vec![]);
    let lines = br#"{"_id": 7, "title": "a \"b\"", "emb": [0.5,7.5,14.5,21.5], "n": 1, "score": 0.5, "good": true, "tags": ["x", "y"]}
{"_id": 8, "emb": [31.5,38.5,45.5,52.5], "tags": null}
{"_id": "9", "emb": [62.5,69.5,76.5,83.5], "tags": ["z"], "good": false, "n": 3, "title": "c"}"#;
    assert_eq!(read("f.jsonl", lines.to_vec(), &mapping()).0, rows);
    assert_eq!(read("f.arrow", arrow(&wild(), false, None), &mapping()).0, rows);
    let metadata: Vec<&str> = rows.iter().map(|row| row.split_once("None ").unwrap().1).collect();
    for (text, parts) in
        metadata.iter().zip([&["title", "tags", "score"][..], &[], &["\"good\"", "\"n\""]])
    {
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains("null"), "{text}");
    }
    // The vectors, by their own name, and ids of the rows.
    let made = ColumnMapping { id: None, id_prefix: Some("doc-".into()), ..mapping() };
    let (rows, _) = read("f.parquet", plain(&wild()), &made);
    assert!(rows[2].starts_with("doc-2 ["), "{}", rows[2]);
    let mut zero = wild();
    zero[2].1 =
        crate::testing::vectors(&[Some(vec![Some(1.0); 3]), None, Some(vec![Some(f32::NAN); 4])]);
    let (_, rejects) = read("f.parquet", plain(&zero), &mapping());
    let messages: Vec<&str> = rejects.iter().map(|reject| reject.message.as_str()).collect();
    assert!(
        messages[0].contains("row 0, id \"7\": column \"emb\": vector dimension 3"),
        "{}",
        messages[0]
    );
    assert_eq!(rejects[2].column.as_deref(), Some("emb"));
    // One column that holds all metadata.
    let one = ColumnMapping { metadata: Some(MetadataMapping::Column("meta".into())), ..mapping() };
    let mut columns = wild();
    columns.push(("meta", strings(&[Some("{\"k\":1}"), None, None])));
    assert!(read("f.parquet", plain(&columns), &one).0[0].contains("\"k\""));
}

#[test]
fn a_mapping_that_does_not_fit_says_what_there_is() {
    let cases: Vec<(ColumnMapping, &str)> = vec![
        (
            ColumnMapping { values: Some("vec".into()), ..mapping() },
            "it lacks the column \"vec\" (list of float, mapped to \"values\"); it has \"_id\" (int64), \"title\" (string), \"emb\" (a list of float)",
        ),
        (
            ColumnMapping {
                metadata: Some(MetadataMapping::Fields(vec!["nope".into()])),
                ..mapping()
            },
            "it lacks the column \"nope\" (mapped to \"metadata\")",
        ),
        (
            ColumnMapping { values: Some("title".into()), ..mapping() },
            "column \"title\" is string, expected list of float",
        ),
        (
            ColumnMapping {
                metadata: Some(MetadataMapping::Fields(vec!["emb".into()])),
                ..mapping()
            },
            "column \"emb\" is a list of float, expected string, number, boolean or list of string",
        ),
        (
            ColumnMapping { metadata: Some(MetadataMapping::Column("n".into())), ..mapping() },
            "column \"n\" is int64, expected string of JSON, a flat struct or a map",
        ),
        (
            ColumnMapping { sparse_values: Some("s".into()), ..mapping() },
            "\"s\" (struct of indices and values, mapped to \"sparse_values\")",
        ),
    ];
    for (mapping, text) in cases {
        for (path, bytes) in
            [("f.parquet", plain(&wild())), ("f.arrow", arrow(&wild(), true, None))]
        {
            let (code, reason) = failure(path, bytes, &mapping);
            assert_eq!(code, codes::FILE_SCHEMA);
            assert!(reason.contains(text), "{reason}");
            assert!(!reason.contains("start the import with"), "{reason}");
        }
    }
    let only_vectors = plain(&[("openai", some_vectors(3, 4))]);
    let (_, reason) = failure("f.parquet", only_vectors, &ColumnMapping::default());
    assert!(
        reason.ends_with("\"columns\": {\"values\":\"openai\"}, \"idPrefix\": \"{file}-\" (in a shell: --columns values=openai --id-prefix '{file}-')"),
        "{reason}"
    );
}

#[test]
fn damaged_arrow_files_are_refused_by_what_is_wrong() {
    let file = arrow(&columns(), false, Some(CompressionType::ZSTD));
    let stream = arrow(&columns(), true, None);
    let end = file.len();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = file.clone();
        change(&mut bytes);
        bytes
    };
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (vec![], codes::FILE_FORMAT, "not an Arrow file"),
        (b"FEA1 and more".to_vec(), codes::FILE_FORMAT, "Feather file of version 1"),
        (b"this is no Arrow".to_vec(), codes::FILE_FORMAT, "begins with \"this i\""),
        (file[..100].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        (file[..9].to_vec(), codes::FILE_TRUNCATED, "it has 9 bytes"),
        (
            with(&|bytes| bytes[end - 10..end - 6].copy_from_slice(&i32::MAX.to_le_bytes())),
            codes::FILE_TRUNCATED,
            "its footer claims 2147483647 bytes",
        ),
        (
            with(&|bytes| bytes[end - 10..end - 6].copy_from_slice(&(-1_i32).to_le_bytes())),
            codes::FILE_DECODE,
            "claims -1 bytes",
        ),
        (with(&|bytes| bytes[end - 60..end - 30].fill(0xff)), codes::FILE_DECODE, "damaged"),
        (stream[..stream.len() - 1000].to_vec(), codes::FILE_TRUNCATED, "the file ends at"),
        (stream[..6].to_vec(), codes::FILE_TRUNCATED, "cut off"),
    ];
    for (bytes, code, text) in cases {
        let (found, reason) = failure("f.arrow", bytes, &ColumnMapping::default());
        assert_eq!(found, code, "{reason}");
        assert!(reason.contains(text), "{reason}");
    }
}
