//! What a log's directory holds when it is opened: reads the files, cuts a
//! torn tail, and refuses damage anywhere else. Who only looks cuts nothing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::format::{self, FILE_HEADER_BYTES, FileHeader};
use crate::{StoreError, disk};

/// A log file that takes no more frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedFile {
    pub first_lsn: u64,
    pub last_lsn: u64,
}

/// The log file that takes the next frames.
#[derive(Debug)]
pub(super) struct ActiveFile {
    pub file: File,
    pub header: FileHeader,
    pub size: u64,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub frames: Vec<(u64, Bytes)>,
    pub closed: Vec<ClosedFile>,
    pub active: Option<ActiveFile>,
    pub next_lsn: u64,
    /// Bytes at the end that are no whole batch.
    pub torn_bytes: u64,
}

/// What may be done about a torn tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// It is cut off, and a file that was never finished is deleted.
    Cut,
    /// It stays: the log belongs to somebody else.
    Keep,
}

pub(super) fn file_path(directory: &Path, first_lsn: u64) -> PathBuf {
    directory.join(format!("{first_lsn:020}.wal"))
}

/// Reads the log in `directory`, of which frames up to `after_lsn` are no
/// longer needed.
pub(super) fn recover(
    directory: &Path,
    after_lsn: u64,
    tail: Tail,
) -> Result<Recovered, StoreError> {
    let names = list(directory).map_err(|error| failed(directory, &error))?;
    let mut found = Recovered {
        frames: vec![],
        closed: vec![],
        active: None,
        next_lsn: after_lsn + 1,
        torn_bytes: 0,
    };
    let Some(&oldest) = names.first() else { return Ok(found) };
    // Files before the last one that begins at or before the first frame
    // needed are not read: a power cut may have brought some of them back.
    let begin = names.partition_point(|first| *first <= after_lsn + 1);
    if begin == 0 {
        return Err(StoreError::corrupt(
            directory.display(),
            format!("the log begins at frame {oldest}, expected {} or before", after_lsn + 1),
        ));
    }
    for pair in names[..begin].windows(2) {
        found.closed.push(ClosedFile { first_lsn: pair[0], last_lsn: pair[1] - 1 });
    }
    let mut next_lsn = names[begin - 1];
    for (place, &first_lsn) in names.iter().enumerate().skip(begin - 1) {
        if first_lsn != next_lsn {
            return Err(StoreError::corrupt(
                directory.display(),
                format!("frames {next_lsn} to {} are missing", first_lsn - 1),
            ));
        }
        let is_last = place + 1 == names.len();
        let place = (directory, first_lsn, is_last);
        let read = read_file(place, after_lsn, tail, &mut found)?;
        let Some((active, read_next)) = read else { continue };
        next_lsn = read_next;
        if is_last && next_lsn > after_lsn {
            found.active = Some(active);
        } else {
            found.closed.push(ClosedFile { first_lsn, last_lsn: next_lsn - 1 });
        }
    }
    found.next_lsn = next_lsn.max(after_lsn + 1);
    Ok(found)
}

/// Reads one file: adds its frames above `after_lsn` and gives the file and
/// the lsn after its last frame; `None` where it was never finished and is
/// gone now.
fn read_file(
    (directory, first_lsn, is_last): (&Path, u64, bool),
    after_lsn: u64,
    tail: Tail,
    found: &mut Recovered,
) -> Result<Option<(ActiveFile, u64)>, StoreError> {
    let path = file_path(directory, first_lsn);
    let file = File::options().read(true).write(tail == Tail::Cut).open(&path);
    let mut file = file.map_err(|error| failed(&path, &error))?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes).map_err(|error| failed(&path, &error))?;
    let header = match FileHeader::decode(&bytes) {
        Ok(header) if header.first_lsn == first_lsn => header,
        // Batches are written only after the header is durable: a file with
        // nothing else holds nothing that was acknowledged.
        _ if is_last && bytes.len() <= FILE_HEADER_BYTES && tail == Tail::Keep => {
            found.torn_bytes = bytes.len() as u64;
            return Ok(None);
        }
        _ if is_last && bytes.len() <= FILE_HEADER_BYTES => {
            std::fs::remove_file(&path)
                .and_then(|()| disk::sync_dir(directory))
                .map_err(|error| failed(&path, &error))?;
            return Ok(None);
        }
        Ok(header) => {
            let problem = format!("its header says frame {}, its name not", header.first_lsn);
            return Err(StoreError::corrupt(path.display(), problem));
        }
        Err(problem) => return Err(StoreError::corrupt(path.display(), problem)),
    };
    let bytes = Bytes::from(bytes);
    let (mut at, mut next_lsn) = (FILE_HEADER_BYTES, first_lsn);
    while at < bytes.len() {
        let Some(batch) = format::read_batch(&bytes, at, header.salt) else { break };
        if batch.first_lsn != next_lsn {
            let problem =
                format!("found frame {} at byte {at}, expected {next_lsn}", batch.first_lsn);
            return Err(StoreError::corrupt(path.display(), problem));
        }
        at = batch.end;
        for frame in batch.frames {
            if next_lsn > after_lsn {
                found.frames.push((next_lsn, frame));
            }
            next_lsn += 1;
        }
    }
    if at < bytes.len() {
        check_torn(&path, &bytes, at, header.salt, next_lsn, is_last)?;
        found.torn_bytes = (bytes.len() - at) as u64;
        if tail == Tail::Cut {
            let cut = file.set_len(at as u64).and_then(|()| file.sync_all());
            cut.map_err(|error| failed(&path, &error))?;
            let bytes = found.torn_bytes;
            tracing::info!(log = %path.display(), bytes, "cut the torn end of a log");
        }
    }
    Ok(Some((ActiveFile { file, header, size: at as u64 }, next_lsn)))
}

/// Byte `at` begins no whole batch. At the very end of the log that is what
/// a crash leaves; anywhere else it is damage, and refused.
fn check_torn(
    path: &Path,
    bytes: &Bytes,
    at: usize,
    salt: u64,
    next_lsn: u64,
    is_last: bool,
) -> Result<(), StoreError> {
    if !is_last {
        let problem = format!("frame {next_lsn} at byte {at} is damaged and newer files follow");
        return Err(StoreError::corrupt(path.display(), problem));
    }
    if let Some(later) = format::find_batch(bytes, at, salt, next_lsn) {
        let problem =
            format!("frame {next_lsn} at byte {at} is damaged, whole frames follow at {later}");
        return Err(StoreError::corrupt(path.display(), problem));
    }
    Ok(())
}

fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".wal"));
        if let Some(digits) = digits.filter(|digits| digits.len() == 20) {
            found.extend(digits.parse::<u64>());
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::io("opening log", path.display(), error)
}
