//! Goal: the layout rules and the cutting of tasks, over listings and files
//! made from code.

use crossbill_core::Metric;
use crossbill_core::limits::NAMESPACE_CHARS_MAX;
use crossbill_store::SourceObject;

use super::*;
use crate::decode::Group;
use crate::failure::file_reject;
use crate::reject::codes;

fn object(path: &str) -> SourceObject {
    SourceObject { path: path.to_owned(), size: 100, etag: "e".to_owned() }
}

fn request(error_mode: ErrorMode) -> PlanRequest {
    PlanRequest {
        import: "1".into(),
        uri: "file:///data/".into(),
        integration: None,
        index_dir: "indexes/u".into(),
        shape: IndexShape::dense(4, Metric::Cosine),
        text: Default::default(),
        documents: None,
        seed: Seed(7),
        error_mode,
        errors_max: None,
        dry_run: false,
        loaded: LoadedFiles::default(),
        mapping: ColumnMapping::default(),
    }
}

fn settings() -> ImportSettings {
    ImportSettings { task_rows: 100, task_bytes: 10_000, ..ImportSettings::new(2, 64 << 20) }
}

fn laid_out(paths: &[&str]) -> layout::Layout {
    lay_out(paths.iter().map(|path| object(path)).collect(), NAMESPACE_CHARS_MAX)
}

#[test]
fn directories_are_namespaces() {
    let found = laid_out(&[
        "z.parquet",
        "b/part-2.parquet",
        "b/part-1.PARQUET",
        "b/deep/er/part-0.parquet",
        "__default__/a.parquet",
        "a.parquet",
    ]);
    let files: Vec<(&str, &str)> =
        found.files.iter().map(|(object, ns)| (object.path.as_str(), ns.as_str())).collect();
    let expected = [
        ("__default__/a.parquet", "__default__"),
        ("a.parquet", "__default__"),
        ("b/deep/er/part-0.parquet", "b"),
        ("b/part-1.PARQUET", "b"),
        ("b/part-2.parquet", "b"),
        ("z.parquet", "__default__"),
    ];
    assert_eq!(files, expected);
    assert!(found.warnings.is_empty() && found.misplaced.is_empty());
}

#[test]
fn a_directory_with_too_long_a_name_is_misplaced() {
    let paths = ["ab/x.parquet", "abc/x.parquet", "x.parquet", "__default__/y.parquet"];
    let found = lay_out(paths.iter().map(|path| object(path)).collect(), 2);
    let names: Vec<&str> = found.files.iter().map(|(_, namespace)| namespace.as_str()).collect();
    assert_eq!(names, ["__default__", "ab", "__default__"]);
    let (object, reject) = &found.misplaced[0];
    assert_eq!((object.path.as_str(), found.misplaced.len()), ("abc/x.parquet", 1));
    assert!(reject.message.contains("3 characters, expected at most 2"), "{}", reject.message);
}

#[test]
fn hidden_and_other_files_are_counted_once_each() {
    let found = laid_out(&[
        "a/part.parquet",
        "a/_SUCCESS",
        "a/_temporary/0/part.parquet",
        "a/.part.parquet.crc",
        ".git/x.parquet",
        "notes.txt",
        "a/data.csv",
        "a/",
    ]);
    assert_eq!(found.files.len(), 1);
    assert_eq!(
        found.warnings,
        [
            "ignored 4 files because their names start with \"_\" or \".\", the first is \
             \".git/x.parquet\"",
            "ignored 2 files because they are of no format that is read, the first is \"a/data.csv\"",
        ]
    );
    let one = laid_out(&["notes.txt"]);
    assert_eq!(
        one.warnings,
        ["ignored 1 file because they are of no format that is read: \"notes.txt\""]
    );
}

#[test]
fn an_import_reads_one_format() {
    let paths = |found: &layout::Layout| -> Vec<String> {
        found.files.iter().map(|(object, _)| object.path.clone()).collect()
    };
    let beside = laid_out(&["a/x.parquet", "a/x.npy", "b/y.jsonl"]);
    assert_eq!(paths(&beside), ["a/x.parquet"]);
    assert_eq!(
        beside.warnings,
        ["ignored 2 files because there are Parquet files, and an import reads one format, the \
          first is \"a/x.npy\""]
    );
    let lines = laid_out(&["a.jsonl", "b.ndjson.gz", "c.txt"]);
    assert_eq!(paths(&lines), ["a.jsonl", "b.ndjson.gz"]);
    assert_eq!(lines.unclear, None);
    let mixed = laid_out(&["a.jsonl", "b.npy"]).unclear.unwrap();
    assert!(mixed.contains("\"a.jsonl\" (JSON lines) and \"b.npy\" (NumPy)"), "{mixed}");
}

#[test]
fn ids_made_of_rows_need_the_file_in_them() {
    let check = |paths: &[&str], prefix: Option<&str>| {
        let mapping =
            ColumnMapping { id_prefix: prefix.map(str::to_owned), ..ColumnMapping::default() };
        check_prefix(&laid_out(paths), &mapping).map_err(|error| error.to_string())
    };
    let several = ["a/1.npy", "a/2.npy"];
    let message = check(&several, None).unwrap_err();
    assert!(
        message.contains("namespace \"a\" has several files (\"a/1.npy\", \"a/2.npy\")"),
        "{message}"
    );
    assert!(check(&several, Some("doc-")).is_err());
    assert!(check(&several, Some("{file}-")).is_ok());
    assert!(check(&["a/1.npy", "b/1.npy"], None).is_ok());
    assert!(check(&["1.parquet", "2.parquet"], None).is_ok());
    assert!(check(&["1.parquet", "2.parquet"], Some("")).is_err());
}

#[test]
fn a_directory_that_names_no_namespace_is_a_bad_file() {
    let found = laid_out(&["caf\u{e9}/a.parquet"]);
    assert_eq!(found.misplaced[0].1.code, codes::FILE_NAMESPACE);
    assert!(
        found.misplaced[0].1.message.starts_with("caf\u{e9}/a.parquet: its directory names no")
    );
}

#[test]
fn limits_name_what_was_found() {
    type Change = fn(&mut ImportSettings);
    let found = laid_out(&["a/1.parquet", "a/2.parquet", "b/1.parquet"]);
    let check = |change: Change| {
        let mut settings = settings();
        change(&mut settings);
        check_limits(&found, &settings).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 4] = [
        (
            |s| s.files_max = 2,
            "too many files in the import: found 3, expected at most 2 (setting import-files-max)",
        ),
        (
            |s| s.file_bytes_max = 99,
            "too many bytes in a/1.parquet: found 100, expected at most 99 (setting import-file-bytes-max)",
        ),
        (
            |s| s.namespaces_max = 1,
            "too many namespaces in the import: found 2, expected at most 1 (setting import-namespaces-max)",
        ),
        (
            |s| s.namespace_bytes_max = 150,
            "too many bytes in namespace \"a\": found 200, expected at most 150 (setting import-namespace-bytes-max)",
        ),
    ];
    for (change, message) in cases {
        assert_eq!(check(change), message);
    }
    assert!(check_limits(&found, &settings()).is_ok());
}

/// A file's row groups (rows, bytes), or why it is bad.
type Found = Result<Vec<(u64, u64)>, &'static str>;

fn planned(mode: ErrorMode, files: &[(&str, Found)]) -> Plan {
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let surveys = files
        .iter()
        .map(|(path, survey)| match survey {
            Ok(row_groups) => {
                let groups = row_groups.iter().map(|&(rows, bytes)| Group::new(rows, bytes));
                Ok(Survey { groups: groups.collect(), ignored: vec!["extra".into()] })
            }
            Err(reason) => Err(Box::new(file_reject(path, None, codes::FILE_DECODE, reason))),
        })
        .collect();
    assemble(&request(mode), &settings(), laid_out(&paths), surveys)
}

/// Tasks as text: `namespace: file[first..end)@row` and so on.
fn shown(plan: &Plan) -> Vec<String> {
    plan.tasks
        .iter()
        .map(|task| {
            let pieces: Vec<String> = task
                .pieces
                .iter()
                .map(|piece| {
                    let end = piece.first_row_group + piece.row_groups;
                    format!(
                        "{}[{}..{end})@{}{}",
                        piece.file.path,
                        piece.first_row_group,
                        piece.first_row,
                        if piece.last { "!" } else { "" }
                    )
                })
                .collect();
            format!("{}: {}", task.namespace, pieces.join(" "))
        })
        .collect()
}

#[test]
fn tasks_keep_source_order_one_namespace_and_their_size() {
    let plan = planned(
        ErrorMode::Continue,
        &[
            ("a/1.parquet", Ok(vec![(60, 1), (60, 1), (30, 1)])),
            ("a/2.parquet", Ok(vec![(10, 1), (0, 0)])),
            ("a/3.parquet", Ok(vec![(1_000_000, 1)])),
            ("a/4.parquet", Ok(vec![(1, 1)])),
            ("b/1.parquet", Ok(vec![(1, 9_999), (1, 2)])),
            ("b/2.parquet", Ok(vec![])),
        ],
    );
    assert_eq!(
        shown(&plan),
        [
            "a: a/1.parquet[0..1)@0",
            "a: a/1.parquet[1..3)@60! a/2.parquet[0..1)@0!",
            "a: a/3.parquet[0..1)@0!",
            "a: a/4.parquet[0..1)@0!",
            "b: b/1.parquet[0..1)@0",
            "b: b/1.parquet[1..2)@1!",
        ]
    );
    assert_eq!((plan.rows_total, plan.files.len()), (1_000_163, 6));
    let ordinals: Vec<u32> = plan.tasks.iter().map(|task| task.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2, 3, 4, 5]);
    assert!(plan.tasks.windows(2).all(|pair| pair[0].seed != pair[1].seed));
    assert_eq!(plan.warnings, ["ignored the column \"extra\" (first seen in \"a/1.parquet\")"]);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn a_bad_file_is_one_error_and_ends_an_abort_plan() {
    let files = [
        ("a/1.parquet", Ok(vec![(10, 1)])),
        ("a/2.parquet", Err("it is damaged")),
        ("a/3.parquet", Ok(vec![(10, 1)])),
        ("a/4.parquet", Err("it is damaged, too")),
    ];
    let plan = planned(ErrorMode::Continue, &files);
    assert_eq!(shown(&plan), ["a: a/1.parquet[0..1)@0! a/3.parquet[0..1)@0!"]);
    let messages: Vec<&str> = plan.file_errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, ["a/2.parquet: it is damaged", "a/4.parquet: it is damaged, too"]);
    let plan = planned(ErrorMode::Abort, &files);
    assert_eq!(shown(&plan), ["a: a/1.parquet[0..1)@0!"]);
    assert_eq!(plan.file_errors.len(), 1);
}
