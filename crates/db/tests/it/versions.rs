//! A data directory of a newer release: whatever its stored parts say of their
//! version, this one refuses them with both numbers, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crossbill_core::{ErrorKind, IndexName};
use crossbill_db::{Database, RestoreOptions};

use crate::fixtures::{Place, by_vector, namespace, record};
use crate::scrub::{all_files, check, fill};

const MAGIC_AT: usize = 8;
const ENTRY_BYTES: usize = 32;
const TAIL_BYTES: usize = 32;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn set(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// With the version after the magic number, which no checksum covers, one up.
fn next_version(bytes: &[u8]) -> Vec<u8> {
    let mut newer = bytes.to_vec();
    let version = u32_at(&newer, MAGIC_AT);
    set(&mut newer, MAGIC_AT, version + 1);
    newer
}

/// A segment whose section number `section` has `version`, its footer's
/// checksum made right; nothing where there are fewer sections.
fn with_section(bytes: &[u8], section: usize, version: impl Fn(u32) -> u32) -> Option<Vec<u8>> {
    let mut newer = bytes.to_vec();
    let tail = newer.len() - TAIL_BYTES;
    let (table, count) = (u64_at(&newer, tail) as usize, u32_at(&newer, tail + 8) as usize);
    if section >= count {
        return None;
    }
    let at = table + section * ENTRY_BYTES + 4;
    let found = u32_at(&newer, at);
    set(&mut newer, at, version(found));
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&newer[..64]), &newer[table..tail + 20]);
    set(&mut newer, tail + 20, checksum);
    Some(newer)
}

/// A log whose first frame has version `version`, its batch's checksum made
/// right.
fn with_frame(bytes: &[u8], version: u8) -> Vec<u8> {
    let mut newer = bytes.to_vec();
    let (salt, batch) = (newer[24..32].to_vec(), 32);
    let end = batch + 32 + u64_at(&newer, batch + 24) as usize;
    newer[batch + 36] = version;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&salt), &newer[batch + 8..end]);
    set(&mut newer, batch + 4, checksum);
    newer
}

/// The newest version of each stored document, every segment and every log.
fn newest(data: &Path) -> Vec<PathBuf> {
    let all = all_files(data);
    let is_last = |path: &&PathBuf| {
        let beside = all.iter().filter(|other| other.parent() == path.parent());
        path.parent() == Some(data) || beside.max() == Some(*path) || !is_document(path)
    };
    let wanted = |path: &&PathBuf| {
        let end = path.extension().and_then(|end| end.to_str());
        matches!(end, Some("json" | "seg" | "wal"))
    };
    all.iter().filter(wanted).filter(is_last).cloned().collect()
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "json")
}

fn content(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let scratch = place.data().join("scratch");
    let all = all_files(&place.data()).into_iter().filter(|path| !path.starts_with(&scratch));
    all.filter(|path| !path.ends_with("lock"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// What a directory with that one file changed is told of: the scrub's words.
fn told(place: &Place, path: &Path, newer: &[u8]) -> String {
    fs::write(path, newer).unwrap();
    let report = check(&place.data());
    assert!(report.problems > 0, "{}: {report:?}", path.display());
    report.findings.iter().map(|one| format!("{}: {}\n", one.place, one.found)).collect()
}

#[test]
fn a_later_version_of_any_stored_file_is_refused_with_both_numbers() {
    let place = Place::new();
    drop(fill(&place));
    let data = place.data();
    let mut kinds = std::collections::BTreeSet::new();
    for path in newest(&data) {
        let bytes = fs::read(&path).unwrap();
        let (found, expected) = (u32_at(&bytes, MAGIC_AT) + 1, u32_at(&bytes, MAGIC_AT));
        let text = told(&place, &path, &next_version(&bytes));
        for word in [format!("version {found}"), format!("expected {expected}")] {
            assert!(text.contains(&word), "{}: {word} is not in {text}", path.display());
        }
        let name = path.strip_prefix(&data).unwrap().to_str().unwrap().to_owned();
        let kind = match is_document(&path) {
            // Its kind stands in the envelope.
            true => String::from_utf8_lossy(&bytes[16..32]).trim_end_matches('\0').to_owned(),
            false => path.extension().unwrap().to_str().unwrap().to_owned(),
        };
        kinds.insert(kind.clone());
        if ["catalog", "integrations", "page-key"].contains(&kind.as_str()) {
            let before = content(&place);
            let error = Database::open(place.options()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
            assert!(error.message().contains("newer release"), "{name}: {error}");
            assert!(content(&place) == before, "{name}: the refused open changed something");
        }
        fs::write(&path, &bytes).unwrap();
    }
    let all = [
        "backup",
        "catalog",
        "export-record",
        "import-entries",
        "import-loaded",
        "import-manifest",
        "import-plan",
        "import-record",
        "integrations",
        "manifest",
        "page-key",
        "seg",
        "wal",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
}

#[test]
fn another_version_of_a_section_or_of_a_frame_is_refused() {
    let place = Place::new();
    drop(fill(&place));
    let data = place.data();
    let mut sections = 0;
    for path in newest(&data) {
        let bytes = fs::read(&path).unwrap();
        match path.extension().unwrap().to_str().unwrap() {
            "seg" => {
                for section in 0.. {
                    let Some(newer) = with_section(&bytes, section, |version| version + 1) else {
                        break;
                    };
                    let text = told(&place, &path, &newer);
                    assert!(text.contains("version") && text.contains("expected"), "{text}");
                    sections += 1;
                }
                // As releases before the first one wrote sparse vectors.
                let older = (0..).map_while(|section| with_section(&bytes, section, |v| v - 1));
                for older in older {
                    assert!(told(&place, &path, &older).contains("expected"));
                }
            }
            "wal" => {
                let text = told(&place, &path, &with_frame(&bytes, 3));
                assert!(text.contains("version 3, expected 2"), "{text}");
                let text = told(&place, &path, &with_frame(&bytes, 1));
                assert!(text.contains("version 1, expected 2"), "{text}");
            }
            _ => continue,
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(sections > 30, "{sections}");
    assert_eq!(check(&data).problems, 0);
}

#[test]
fn what_is_refused_keeps_the_rest_usable_and_is_not_swept() {
    let place = Place::new();
    drop(fill(&place));
    let data = place.data();
    let uid = place.open().describe_index("a").unwrap().uid;
    let manifests = newest(&data.join("indexes").join(&uid).join("namespaces"));
    for path in manifests.iter().filter(|path| is_document(path)) {
        let bytes = fs::read(path).unwrap();
        fs::write(path, next_version(&bytes)).unwrap();
        let parts = all_files(&data.join("indexes").join(&uid).join("parts"));
        let database = place.open();
        let index = database.index("a").unwrap();
        let refused = ["", "other"]
            .iter()
            .filter_map(|name| index.query(&namespace(name), &by_vector(&[1.0, 1.0], 1)).err())
            .collect::<Vec<_>>();
        assert_eq!(refused.len(), 1);
        let message = refused[0].message();
        assert!(message.contains("found layout version 2, expected 1"), "{message}");
        let write =
            |name: &str| index.upsert(&namespace(name), vec![record("x", &[1.0, 1.0], "")]).is_ok();
        assert_eq!(usize::from(write("")) + usize::from(write("other")), 1);
        drop((index, database));
        assert_eq!(all_files(&data.join("indexes").join(&uid).join("parts")), parts);
        fs::write(path, &bytes).unwrap();
    }
    let database = place.open();
    let backup = database.list_backups(&Default::default(), None, 1).unwrap().0.remove(0);
    let path = newest(&data.join("backups")).remove(0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, next_version(&bytes)).unwrap();
    let name = IndexName::new("again").unwrap();
    let options = || RestoreOptions { name: name.clone(), tags: None, deletion_protection: false };
    let error = database.restore_backup(&backup.id, options()).unwrap_err();
    assert!(error.message().contains("found layout version 2, expected 1"), "{error}");
    fs::write(&path, &bytes).unwrap();
    database.restore_backup(&backup.id, options()).unwrap();
}
