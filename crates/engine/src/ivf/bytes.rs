//! Little-endian numbers in and out of a section.

use crate::FormatError;

/// Appends numbers.
pub(super) fn put_u32s(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Appends numbers.
pub(super) fn put_f32s(out: &mut Vec<u8>, numbers: &[f32]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Zeros up to the next multiple of 64 bytes.
pub(super) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(64), 0);
}

/// Reads a section from its start to its end.
pub(super) struct Reader<'a> {
    section: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins to read; `section` names the bytes in errors.
    pub(super) fn new(section: &'static str, bytes: &'a [u8]) -> Self {
        Self { section, bytes, at: 0 }
    }

    /// An error in this section.
    pub(super) fn damaged(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> FormatError {
        FormatError::damaged(self.section, found, expected)
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let left = &self.bytes[self.at..];
        let Some(taken) = left.get(..count) else {
            return Err(self.damaged(
                format!("{} bytes", self.bytes.len()),
                format!("at least {}", self.at.saturating_add(count)),
            ));
        };
        self.at += count;
        Ok(taken)
    }

    /// The next number.
    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(self.u32s(1)?[0])
    }

    /// The next number of eight bytes.
    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        let words = self.u32s(2)?;
        Ok(u64::from(words[0]) | u64::from(words[1]) << 32)
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next `count` numbers.
    pub(super) fn u32s(&mut self, count: usize) -> Result<Vec<u32>, FormatError> {
        let (numbers, _) = self.take(count.saturating_mul(4))?.as_chunks();
        Ok(numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    /// The next `count` numbers.
    pub(super) fn f32s(&mut self, count: usize) -> Result<Vec<f32>, FormatError> {
        let (numbers, _) = self.take(count.saturating_mul(4))?.as_chunks();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Passes over the zeros of `pad`.
    pub(super) fn skip_padding(&mut self) -> Result<(), FormatError> {
        self.take(self.at.next_multiple_of(64) - self.at).map(|_| ())
    }

    /// Everything must have been read.
    pub(super) fn finish(&self) -> Result<(), FormatError> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.damaged(format!("{} bytes", self.bytes.len()), format!("{}", self.at)))
    }
}
