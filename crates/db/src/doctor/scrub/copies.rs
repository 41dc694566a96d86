//! A copy of a data directory says which files it has, with a checksum of
//! each: they are compared until a server starts on the copy and changes it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use crossbill_store::{CopiedFile, RootFile, read_copy_manifest};

use super::Scrubber;
use super::parts::is_segment;

/// Bytes read at once.
const BLOCK_BYTES: usize = 1 << 20;
const ADVICE: &str = "take another copy, or start on this one if what is damaged can be missed";

impl Scrubber<'_> {
    /// Compares a copy's files with what it says of them.
    pub(super) fn copied_files(&mut self, files: &[RootFile]) {
        if files.iter().any(|file| file.path == "lock") {
            return;
        }
        let manifest = match read_copy_manifest(self.root.path()) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return,
            Err(error) => {
                return self.report.problem("root-copy.json", &error.to_string(), ADVICE);
            }
        };
        let there: HashMap<&str, u64> =
            files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        for file in &manifest.files {
            let found = match there.get(file.path.as_str()) {
                None => Err("the file is missing".to_owned()),
                Some(bytes) if *bytes != file.bytes => {
                    Err(format!("found {bytes} bytes, expected {}", file.bytes))
                }
                // Its own checksums were compared before.
                Some(_) if is_segment(&file.path) => Ok(()),
                Some(_) => self.compare(file),
            };
            if let Err(problem) = found {
                let found = format!("{problem}, as the copy says");
                self.report.problem(&file.path, &found, ADVICE);
            }
        }
    }

    fn compare(&mut self, file: &CopiedFile) -> Result<(), String> {
        let mut read = File::open(self.root.path().join(&file.path)).map_err(|e| e.to_string())?;
        let (mut buffer, mut crc) = (vec![0; BLOCK_BYTES], 0);
        loop {
            let length = read.read(&mut buffer).map_err(|error| error.to_string())?;
            if length == 0 {
                break;
            }
            self.read(length as u64);
            crc = crc32c::crc32c_append(crc, &buffer[..length]);
        }
        match crc == file.crc32c {
            true => Ok(()),
            false => Err(format!("found checksum {crc:08x}, expected {:08x}", file.crc32c)),
        }
    }
}
