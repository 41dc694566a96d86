//! Lines that are no JSON, no records, or too much.

use std::io::Write;

use crossbill_import::codes;

use crate::{Case, file, row};

const GOOD: &str = "{\"id\":\"a\",\"values\":[1,2,3,4]}";

/// Three lines, of which the middle one is this.
fn middle(line: &[u8]) -> Vec<u8> {
    [GOOD.as_bytes(), b"\n", line, b"\n", GOOD.as_bytes(), b"\n"].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// Many times what a packed file may unpack to.
fn spaces() -> Vec<u8> {
    vec![b' '; 400 << 20]
}

/// A frame that asks for a window of 2^31 bytes.
fn wide_window() -> Vec<u8> {
    let mut packed = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    packed.long_distance_matching(true).unwrap();
    packed.window_log(30).unwrap();
    packed.write_all(&middle(b"")).unwrap();
    packed.finish().unwrap()
}

pub(crate) fn cases() -> Vec<Case> {
    let many = middle(b"").repeat(100);
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(17 << 20));
    vec![
        file("text.jsonl", b"hello\nworld\n".to_vec(), codes::FILE_FORMAT, "the line is no JSON"),
        file("array.jsonl", b"[{\"id\":1}]".to_vec(), codes::FILE_FORMAT, "the line is a list"),
        file(
            "pretty.jsonl",
            b"{\n  \"id\": 1\n}\n".to_vec(),
            codes::FILE_FORMAT,
            "none of its first 3 lines",
        ),
        file("parquet.jsonl", b"PAR1\x15\x04PAR1".to_vec(), codes::FILE_FORMAT, "not JSON lines"),
        file(
            "no-values.jsonl",
            b"{\"id\":\"a\",\"vec\":[1,2]}".to_vec(),
            codes::FILE_SCHEMA,
            "\"values\":\"vec\"",
        ),
        file("not-packed.jsonl.gz", many.clone(), codes::FILE_DECODE, "damaged"),
        file("not-packed.jsonl.zst", many.clone(), codes::FILE_DECODE, "damaged"),
        file("cut.jsonl.gz", gzip(&many)[..60].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file("cut.jsonl.zst", zstd(&many)[..40].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file(
            "behind.jsonl.gz",
            [gzip(&many), b"noise, and a lot of it".to_vec()].concat(),
            codes::FILE_DECODE,
            "damaged",
        ),
        file("bomb.jsonl.gz", gzip(&spaces()), codes::FILE_LIMIT, "unpacks to more than"),
        file("bomb.jsonl.zst", zstd(&spaces()), codes::FILE_LIMIT, "unpacks to more than"),
        file("window.jsonl.zst", wide_window(), codes::FILE_LIMIT, "too much memory"),
        row(
            "cut.jsonl",
            middle(b"{\"id\":\"a\",\"val"),
            codes::JSON,
            "line 2: the line is not valid JSON",
        ),
        row(
            "utf-8.jsonl",
            middle(b"{\"id\":\"\xff\"}"),
            codes::JSON,
            "line 2: the line is not UTF-8",
        ),
        row("nan.jsonl", middle(b"{\"id\":\"a\",\"values\":[NaN]}"), codes::JSON, "not valid JSON"),
        row(
            "twice.jsonl",
            middle(b"{\"id\":\"a\",\"id\":\"b\"}"),
            codes::JSON,
            "\"id\" is there twice",
        ),
        row(
            "deep.jsonl",
            middle(format!("{{\"id\":{}}}", "[".repeat(100_000)).as_bytes()),
            codes::JSON,
            "not valid JSON",
        ),
        row("long.jsonl", middle(long.as_bytes()), codes::LINE_LENGTH, "more than 16777216 bytes"),
        row(
            "id-type.jsonl",
            middle(b"{\"id\":[],\"values\":[1,2,3,4]}"),
            codes::TYPE,
            "id is a list",
        ),
        row(
            "values-type.jsonl",
            middle(b"{\"id\":\"a\",\"values\":{}}"),
            codes::TYPE,
            "vector is an object",
        ),
        row(
            "item-type.jsonl",
            middle(b"{\"id\":\"a\",\"values\":[1,\"2\"]}"),
            codes::TYPE,
            "component 1 is no number",
        ),
        row(
            "short.jsonl",
            middle(b"{\"id\":\"a\",\"values\":[1]}"),
            "E_DIMENSION",
            "found 1, expected 4",
        ),
        row(
            "no-id.jsonl",
            middle(b"{\"values\":[1,2,3,4]}"),
            codes::ID_NULL,
            "line 2: column \"id\": id is null",
        ),
    ]
}
