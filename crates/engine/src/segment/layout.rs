//! Where things stand in a segment file: the header, the kinds of section,
//! and the footer that lists them. Reads and writes these few bytes and knows
//! nothing of what the sections mean (docs/format.md has the tables).

use crate::FormatError;

/// The first eight bytes of a segment.
pub(super) const MAGIC: [u8; 8] = *b"XBILSEG\0";
/// The last eight bytes of a segment.
pub(super) const END_MAGIC: [u8; 8] = *b"XBILEND\0";
/// The only version of the file's frame that this program writes and reads.
pub(super) const FORMAT_VERSION: u32 = 1;
/// Bytes of the header; the dense vectors start right after it.
pub(super) const HEADER_BYTES: usize = 64;
/// Every section starts at a multiple of this.
pub(super) const ALIGNMENT: u64 = 64;
/// Bytes of one entry of the section table.
const ENTRY_BYTES: usize = 32;
/// Bytes after the section table.
const TAIL_BYTES: usize = 32;
/// More sections than any version will have; bounds what a file may claim.
const SECTIONS_MAX: usize = 1024;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $version:literal, $label:literal;)*) => {
        /// A kind of section.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Kind {
            $($(#[$doc])* $name = $number,)*
        }

        impl Kind {
            /// Every kind this program knows.
            pub(super) const ALL: &[Kind] = &[$(Kind::$name,)*];

            /// The kind with this number, where it is known.
            pub(super) fn from_number(number: u32) -> Option<Kind> {
                match number {
                    $($number => Some(Kind::$name),)*
                    _ => None,
                }
            }

            /// The version of the section's own layout.
            pub(super) fn version(self) -> u32 {
                match self {
                    $(Kind::$name => $version,)*
                }
            }

            /// The name in messages and in docs/format.md.
            pub(super) fn label(self) -> &'static str {
                match self {
                    $(Kind::$name => $label,)*
                }
            }
        }
    };
}

kinds! {
    /// Shape, row counts, options.
    Facts = 1, 1, "facts";
    /// Dense vectors, row after row.
    Vectors = 2, 1, "vectors";
    /// A checksum per block of the vectors.
    VectorBlocks = 3, 1, "vector blocks";
    /// Ids end to end.
    Ids = 4, 1, "ids";
    /// Where each id starts.
    IdOffsets = 5, 1, "id offsets";
    /// Live rows in the order of their ids.
    IdOrder = 6, 1, "id order";
    /// Rows replaced by a later row.
    Superseded = 7, 1, "superseded";
    /// Where each row's sparse entries start.
    SparseOffsets = 8, 1, "sparse offsets";
    /// Sparse entries, row after row.
    SparseEntries = 9, 1, "sparse entries";
    /// Sparse terms and where their bounds start.
    SparseTerms = 10, 2, "sparse terms";
    /// Upper bounds of blocks of rows, term after term.
    SparseBounds = 11, 2, "sparse bounds";
    /// Metadata as JSON end to end.
    Metadata = 12, 1, "metadata";
    /// Where each row's metadata starts.
    MetadataOffsets = 13, 1, "metadata offsets";
    /// Fields and values to rows.
    MetadataIndex = 14, 1, "metadata index";
    /// Cell centres.
    IvfCentroids = 15, 1, "ivf centroids";
    /// Posting lists.
    IvfPostings = 16, 1, "ivf postings";
    /// Probe counts measured at build.
    IvfTuning = 17, 1, "ivf tuning";
    /// Live rows by the hash of their ids.
    IdTable = 18, 1, "id table";
    /// Words of text fields to rows.
    Text = 19, 1, "text";
}

/// Where a section stands and what its bytes hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The kind's number, known or not.
    pub(super) kind: u32,
    /// The version of the section's layout.
    pub(super) version: u32,
    /// From the file's start.
    pub(super) offset: u64,
    /// Without the padding after it.
    pub(super) length: u64,
    /// crc32c of the section's bytes.
    pub(super) crc: u32,
}

/// The header's 64 bytes.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes
}

/// The section table and tail for a file whose table starts at
/// `table_offset`, and the checksum they end with.
pub(super) fn footer(entries: &[Entry], table_offset: u64) -> (Vec<u8>, u32) {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES + TAIL_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&entry.kind.to_le_bytes());
        bytes.extend_from_slice(&entry.version.to_le_bytes());
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.length.to_le_bytes());
        bytes.extend_from_slice(&entry.crc.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.extend_from_slice(&table_offset.to_le_bytes());
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header()), &bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&END_MAGIC);
    (bytes, crc)
}

/// Checks the header and footer of `file`; the entries and the footer's
/// checksum. Every entry lies between header and table, aligned.
pub(super) fn read_footer(file: &[u8]) -> Result<(Vec<Entry>, u32), FormatError> {
    check_header(file)?;
    let tail_at = file.len() - TAIL_BYTES;
    let tail = &file[tail_at..];
    if tail[24..] != END_MAGIC {
        return Err(FormatError::damaged(
            "footer",
            format!("the last bytes {:02x?}", &tail[24..]),
            format!("{END_MAGIC:02x?}; the file may be cut short"),
        ));
    }
    let count = u32_at(tail, 8) as usize;
    let expected_at = count
        .checked_mul(ENTRY_BYTES)
        .filter(|_| count <= SECTIONS_MAX)
        .and_then(|bytes| tail_at.checked_sub(bytes))
        .filter(|&at| at >= HEADER_BYTES);
    let Some(table_at) = expected_at.filter(|&at| at as u64 == u64_at(tail, 0)) else {
        return Err(FormatError::damaged(
            "footer",
            format!("a table of {count} sections at byte {}", u64_at(tail, 0)),
            format!("one that ends at byte {tail_at}"),
        ));
    };
    let computed = crc32c::crc32c_append(
        crc32c::crc32c(&file[..HEADER_BYTES]),
        &file[table_at..][..count * ENTRY_BYTES + 20],
    );
    let stored = u32_at(tail, 20);
    if computed != stored {
        return Err(FormatError::checksum("footer", computed, stored));
    }
    let entries = file[table_at..tail_at]
        .chunks_exact(ENTRY_BYTES)
        .map(|bytes| read_entry(bytes, table_at as u64))
        .collect::<Result<_, _>>()?;
    Ok((entries, stored))
}

/// Bytes of the section table and the tail for so many sections.
pub(super) fn footer_bytes(entries: usize) -> usize {
    entries * ENTRY_BYTES + TAIL_BYTES
}

fn check_header(file: &[u8]) -> Result<(), FormatError> {
    if file.len() < HEADER_BYTES + TAIL_BYTES {
        return Err(FormatError::damaged(
            "header",
            format!("a file of {} bytes", file.len()),
            format!("at least {}", HEADER_BYTES + TAIL_BYTES),
        ));
    }
    if file[..8] != MAGIC {
        return Err(FormatError::damaged(
            "header",
            format!("the first bytes {:02x?}", &file[..8]),
            format!("{MAGIC:02x?}, a segment"),
        ));
    }
    let version = u32_at(file, 8);
    if version != FORMAT_VERSION {
        return Err(FormatError::Version {
            what: "segment",
            found: version,
            expected: FORMAT_VERSION,
        });
    }
    Ok(())
}

fn read_entry(bytes: &[u8], table_at: u64) -> Result<Entry, FormatError> {
    let entry = Entry {
        kind: u32_at(bytes, 0),
        version: u32_at(bytes, 4),
        offset: u64_at(bytes, 8),
        length: u64_at(bytes, 16),
        crc: u32_at(bytes, 24),
    };
    let end = entry.offset.checked_add(entry.length);
    let inside = entry.offset >= HEADER_BYTES as u64 && end.is_some_and(|end| end <= table_at);
    if !inside || !entry.offset.is_multiple_of(ALIGNMENT) {
        return Err(FormatError::damaged(
            "footer",
            format!("section {} at byte {} of {} bytes", entry.kind, entry.offset, entry.length),
            format!("a multiple of {ALIGNMENT} between {HEADER_BYTES} and {table_at}"),
        ));
    }
    Ok(entry)
}

/// The little-endian number at `at`, which the caller has bounded.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

/// The little-endian number at `at`, which the caller has bounded.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}
