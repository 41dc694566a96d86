//! Names of stored objects: relative, lowercase, and never able to leave the
//! root. User-given names never become keys; ids and hashes do.

use std::fmt;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an object key: {text:?}: {problem}")]
pub struct KeyError {
    text: String,
    problem: &'static str,
}

/// The name of a stored object or of a directory of them, relative to the
/// root: segments of `[a-z0-9._-]` joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// Characters of a key.
const KEY_CHARS_MAX: usize = 1024;
/// Characters of one segment, as file systems bound it.
const SEGMENT_CHARS_MAX: usize = 200;

impl Key {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let refuse = |problem| Err(KeyError { text: text.to_owned(), problem });
        if text.len() > KEY_CHARS_MAX {
            return refuse("longer than 1024 characters");
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return refuse("has an empty segment");
            }
            if segment.len() > SEGMENT_CHARS_MAX {
                return refuse("has a segment longer than 200 characters");
            }
            if segment.bytes().all(|byte| byte == b'.') {
                return refuse("has a segment of dots only");
            }
            if !segment
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
            {
                return refuse("expected only a-z, 0-9, '.', '_', '-' between slashes");
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// This key with `/tail` added.
    ///
    /// # Panics
    /// Where the result is not a key: tails are ids and names of our own.
    #[must_use]
    pub fn join(&self, tail: &str) -> Self {
        Self::new(&format!("{}/{tail}", self.0)).expect("tails are made of ids and fixed names")
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What follows this key and a slash in `other`, if `other` lies below it.
    pub fn relative<'a>(&self, other: &'a Key) -> Option<&'a str> {
        other.0.strip_prefix(self.0.as_str())?.strip_prefix('/')
    }

    pub(crate) fn path(&self) -> object_store::path::Path {
        object_store::path::Path::from_iter(self.0.split('/'))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_below_the_root() {
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", ".", "A", "a b", "a#1", "a\\b", "ä", "a\0"]
        {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "catalog/00000000000000000001.json", "imp-1-0-00000000.seg", "a_b/..c"] {
            assert_eq!(Key::new(good).unwrap().as_str(), good);
            assert_eq!(Key::new(good).unwrap().path().as_ref(), good);
        }
        assert!(Key::new(&"a".repeat(201)).is_err());
        assert!(Key::new(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn keys_join_and_relate() {
        let key = Key::new("indexes").unwrap().join("x/parts");
        assert_eq!((key.as_str(), key.name()), ("indexes/x/parts", "parts"));
        assert_eq!(Key::new("indexes").unwrap().relative(&key), Some("x/parts"));
        assert_eq!(Key::new("index").unwrap().relative(&key), None);
    }
}
