//! Why stored bytes were refused. Damaged or unknown bytes end here, never in
//! a panic.

/// Stored bytes that cannot be read as what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The first bytes are not ours.
    #[error("{section} begins with {found:02x?}, expected {expected:02x?}")]
    Magic {
        /// The part of the file.
        section: &'static str,
        /// Bytes found.
        found: Vec<u8>,
        /// Bytes expected.
        expected: Vec<u8>,
    },
    /// A format version this build does not read.
    #[error("{section} has format version {found}, expected {expected}")]
    Version {
        /// The part of the file.
        section: &'static str,
        /// Version found.
        found: u32,
        /// Version this build reads.
        expected: u32,
    },
    /// Bytes are missing or too many.
    #[error("{section} has {found} bytes, expected {expected}")]
    Length {
        /// The part of the file.
        section: &'static str,
        /// Bytes found.
        found: u64,
        /// Bytes expected (at least, where the rest depends on them).
        expected: u64,
    },
    /// The checksum does not match the bytes.
    #[error("{section} has checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// The part of the file.
        section: &'static str,
        /// CRC-32C of the bytes found.
        found: u32,
        /// CRC-32C that was stored.
        expected: u32,
    },
    /// A number that cannot be right.
    #[error("{section}: {what} is {found}, expected {expected}")]
    Value {
        /// The part of the file.
        section: &'static str,
        /// Which number.
        what: &'static str,
        /// The number found.
        found: u64,
        /// What would have been right.
        expected: String,
    },
    /// Bytes that cannot be read as what they should hold (text, a bitmap).
    #[error("{section}: {what} cannot be read: {why}")]
    Content {
        /// The part of the file.
        section: &'static str,
        /// Which bytes.
        what: &'static str,
        /// What the reader said.
        why: String,
    },
    /// A section that must be there is not.
    #[error("section {section} is missing")]
    Missing {
        /// The part of the file.
        section: &'static str,
    },
}

impl From<FormatError> for crossbill_core::Error {
    fn from(error: FormatError) -> Self {
        crossbill_core::Error::corrupt(error.to_string())
    }
}
