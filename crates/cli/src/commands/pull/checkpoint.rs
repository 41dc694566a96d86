//! What a pull knows of its progress, as one document: a checksum, then JSON.
//! It is replaced whole or not at all; whatever a crash leaves, the document
//! on disk tells the truth about the files beside it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crossbill_core::limits::{PULL_CHECKPOINT_BYTES_MAX, PULL_NOTES_MAX};
use serde::{Deserialize, Serialize};

use crate::args::LoadArg;
use crate::error::{CliError, Result};

/// The version of the document that is written and read.
const VERSION: u32 = 1;

/// How the records of a namespace get into the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Load {
    /// By an import of staged files.
    Import,
    /// By upserts as they come.
    Upsert,
}

impl From<LoadArg> for Load {
    fn from(load: LoadArg) -> Self {
        match load {
            LoadArg::Import => Load::Import,
            LoadArg::Upsert => Load::Upsert,
        }
    }
}

/// What is pulled: two pulls that differ in it cannot share a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Errand {
    /// The source's data plane.
    pub(super) from: String,
    pub(super) into: String,
    /// Those that were asked for; none: all.
    pub(super) namespaces: Vec<String>,
    pub(super) load: Load,
}

/// Records by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Ids that the listing gave.
    pub(super) listed: u64,
    /// Records that were fetched.
    pub(super) fetched: u64,
    /// Ids that were listed and could not be fetched a moment later.
    pub(super) vanished: u64,
    /// Records that the index cannot hold.
    pub(super) refused: u64,
}

impl Counts {
    /// Adds those of another part of the work.
    pub(super) fn add(&mut self, other: &Counts) {
        self.listed += other.listed;
        self.fetched += other.fetched;
        self.vanished += other.vanished;
        self.refused += other.refused;
    }
}

/// A staged file that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StagedFile {
    /// Below the directory of records.
    pub(super) path: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
}

/// A namespace of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) load: Load,
    /// Records that the source said it holds, for the display.
    pub(super) expected: u64,
    /// Whether all of it is read.
    pub(super) ended: bool,
    /// Where its listing goes on, behind what is counted and staged.
    pub(super) token: Option<String>,
    pub(super) counts: Counts,
    pub(super) files: Vec<StagedFile>,
}

impl Namespace {
    /// One of which nothing is read yet.
    pub(super) fn new(name: String, load: Load, expected: u64) -> Self {
        let (counts, files) = (Counts::default(), Vec::new());
        Self { name, load, expected, ended: false, token: None, counts, files }
    }

    /// Forgets what was read of it.
    pub(super) fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.name), self.load, self.expected);
    }
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    version: u32,
    /// Names this pull's directory of records, which no other pull had.
    pub(super) id: String,
    pub(super) errand: Errand,
    pub(super) namespaces: Vec<Namespace>,
    /// Why records were left out, the first ones.
    pub(super) notes: Vec<String>,
    /// Whether all is loaded, and the files may go.
    pub(super) finished: bool,
}

impl Checkpoint {
    /// A pull of which nothing is done.
    pub(super) fn new(id: String, errand: Errand, namespaces: Vec<Namespace>) -> Self {
        Self { version: VERSION, id, errand, namespaces, notes: Vec::new(), finished: false }
    }

    /// The sum over all namespaces.
    pub(super) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.namespaces.iter().for_each(|namespace| sum.add(&namespace.counts));
        sum
    }

    /// The staged files.
    pub(super) fn files(&self) -> impl Iterator<Item = &StagedFile> {
        self.namespaces.iter().flat_map(|namespace| &namespace.files)
    }

    /// Keeps why a record was left out, as long as there are few.
    pub(super) fn note(&mut self, text: String) {
        if self.notes.len() < PULL_NOTES_MAX {
            self.notes.push(text);
        }
    }

    /// Reads the document at `path`; none where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let mut bytes = Vec::new();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("reading", path, &error)),
        };
        file.take(PULL_CHECKPOINT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed("reading", path, &error))?;
        decode(&bytes).map(Some).map_err(|problem| {
            CliError::failed(format!("{} is damaged: {problem}", path.display()))
                .hint("remove the staging directory to pull from the beginning")
        })
    }

    /// Puts the document at `path`, durably.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec(self).expect("a checkpoint has only string keys");
        let replace = || {
            let unfinished = path.with_extension("tmp");
            let mut file = File::create(&unfinished)?;
            writeln!(file, "{:08x}", crc32c::crc32c(&json))?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)?;
            sync_parent(path)
        };
        replace().map_err(|error| failed("writing", path, &error))
    }
}

fn decode(bytes: &[u8]) -> std::result::Result<Checkpoint, String> {
    if bytes.len() as u64 > PULL_CHECKPOINT_BYTES_MAX {
        return Err(format!("more than {PULL_CHECKPOINT_BYTES_MAX} bytes"));
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("no checksum")?;
    let (head, json) = (&bytes[..end], &bytes[end + 1..]);
    let said = std::str::from_utf8(head).ok().and_then(|head| u32::from_str_radix(head, 16).ok());
    let found = crc32c::crc32c(json);
    if said != Some(found) {
        let said = String::from_utf8_lossy(&head[..head.len().min(8)]);
        return Err(format!("its checksum is {found:08x}, expected {said}"));
    }
    let checkpoint: Checkpoint = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    match checkpoint.version {
        VERSION => Ok(checkpoint),
        other => Err(format!("its version is {other}, expected {VERSION}")),
    }
}

/// Makes the name of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// An error of the local disk.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("{doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let errand = Errand {
            from: "https://h.example/".into(),
            into: "books".into(),
            namespaces: vec![String::new(), "a/ü".into()],
            load: Load::Import,
        };
        let mut namespace = Namespace::new("a/ü".into(), Load::Upsert, 9);
        namespace.token = Some("t\"\n".into());
        namespace.counts = Counts { listed: 5, fetched: 4, vanished: 1, refused: 1 };
        let file = StagedFile { path: "x/p".into(), rows: 3, bytes: 7, crc32c: u32::MAX };
        namespace.files.push(file);
        Checkpoint::new("id".into(), errand, vec![namespace])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pull.json");
        assert_eq!(Checkpoint::read(&path).unwrap(), None);
        let mut written = checkpoint();
        for round in 0..3 {
            written.note(format!("round {round}"));
            written.write(&path).unwrap();
            assert_eq!(Checkpoint::read(&path).unwrap(), Some(written.clone()));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(written.counts().listed, 5);
    }

    #[test]
    fn no_damage_goes_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pull.json");
        checkpoint().write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "cut at {length}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            // The checksum's digits may be written in either case.
            if let Ok(read) = decode(&bytes) {
                assert_eq!(read, checkpoint(), "byte {at}");
            }
        }
        fs::write(&path, &whole[..9]).unwrap();
        let error = Checkpoint::read(&path).unwrap_err().to_string();
        assert!(error.contains("damaged") && error.contains("remove"), "{error}");
        let json = serde_json::to_string(&Checkpoint { version: 9, ..checkpoint() }).unwrap();
        let text = format!("{:08x}\n{json}", crc32c::crc32c(json.as_bytes()));
        assert!(decode(text.as_bytes()).unwrap_err().contains("version is 9"));
    }

    #[test]
    fn notes_are_few() {
        let mut checkpoint = checkpoint();
        (0..100).for_each(|number| checkpoint.note(number.to_string()));
        assert_eq!(checkpoint.notes.len(), PULL_NOTES_MAX);
    }
}
