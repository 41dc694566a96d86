//! Which versions of which files were loaded before, so that an import may
//! pass over them. Knows no history, only what it is told of it.

use std::collections::HashSet;

use xxhash_rust::xxh3::Xxh3;

/// Files that were loaded, each as a number that stands for its namespace,
/// place and version.
#[derive(Debug, Clone, Default)]
pub struct LoadedFiles(HashSet<u128>);

impl LoadedFiles {
    /// Notes the file at `location` as it was with `etag` and `size`.
    pub fn insert(&mut self, namespace: &str, location: &str, etag: &str, size: u64) {
        self.0.insert(number(namespace, location, etag, size));
    }

    /// Whether exactly that was loaded into that namespace.
    pub fn contains(&self, namespace: &str, location: &str, etag: &str, size: u64) -> bool {
        self.0.contains(&number(namespace, location, etag, size))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn number(namespace: &str, location: &str, etag: &str, size: u64) -> u128 {
    let mut hash = Xxh3::new();
    for text in [namespace, location, etag] {
        // The length first: no two sequences of texts look alike.
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(&size.to_le_bytes());
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_all_of_namespace_place_version_and_size() {
        let mut loaded = LoadedFiles::default();
        loaded.insert("ns", "s3://b/1.parquet", "\"e1\"", 7);
        assert!(loaded.contains("ns", "s3://b/1.parquet", "\"e1\"", 7));
        for (namespace, location, etag, size) in [
            ("other", "s3://b/1.parquet", "\"e1\"", 7),
            ("ns", "s3://b/2.parquet", "\"e1\"", 7),
            ("ns", "s3://b/1.parquet", "\"e2\"", 7),
            ("ns", "s3://b/1.parquet", "\"e1\"", 8),
            ("nss", "3://b/1.parquet", "\"e1\"", 7),
        ] {
            assert!(!loaded.contains(namespace, location, etag, size), "{location} {etag}");
        }
        assert_eq!((loaded.len(), loaded.is_empty()), (1, false));
    }
}
