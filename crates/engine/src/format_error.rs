//! Why stored bytes were refused. Damaged or unknown bytes end here, never in
//! a panic.

/// Stored bytes that cannot be read as what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A format version this build does not read.
    #[error("{what} has format version {found}, expected {expected}")]
    Version {
        /// Which format.
        what: &'static str,
        /// Version found.
        found: u32,
        /// Version this build reads.
        expected: u32,
    },
    /// The stored checksum does not match the bytes.
    #[error("{section} has checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// The part of the file.
        section: &'static str,
        /// CRC-32C of the bytes found.
        found: u32,
        /// CRC-32C that was stored.
        expected: u32,
    },
    /// Something that no writer of this format writes.
    #[error("{section} has {found}, expected {expected}")]
    Damaged {
        /// The part of the file.
        section: &'static str,
        /// What was found.
        found: String,
        /// What would have been right.
        expected: String,
    },
}

impl FormatError {
    /// A checksum that does not match.
    pub(crate) fn checksum(section: &'static str, found: u32, expected: u32) -> Self {
        FormatError::Checksum { section, found, expected }
    }

    /// Something that no writer of this format writes.
    pub(crate) fn damaged(
        section: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        FormatError::Damaged { section, found: found.into(), expected: expected.into() }
    }
}

impl From<FormatError> for crossbill_core::Error {
    fn from(error: FormatError) -> Self {
        crossbill_core::Error::corrupt(error.to_string()).with_source(error)
    }
}
