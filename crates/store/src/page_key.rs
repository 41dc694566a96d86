//! The data root's own key for signing what clients bring back to it. It is
//! made once and kept for ever; nothing outside the process ever sees it.

use serde::{Deserialize, Serialize};

use crate::{Key, Root, StoreError};

/// The kind under which the document is stored.
const KIND: &str = "page-key";
/// The document's key.
const KEY: &str = "page-key.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    key: [u8; 32],
}

impl Root {
    /// The key with which the tokens of listings are signed: that of an
    /// earlier start, or a new random one that is durable when this returns.
    ///
    /// # Errors
    /// `Corrupt` where it is damaged.
    pub fn page_key(&self) -> Result<[u8; 32], StoreError> {
        let key = Key::new(KEY).expect("a fixed name of lowercase letters is a key");
        let kept = self.keep_private(&key, KIND, || {
            let [first, second] = [self.ids().next_id().0, self.ids().next_id().0];
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&first.to_le_bytes());
            bytes[16..].copy_from_slice(&second.to_le_bytes());
            serde_json::to_vec(&Kept { key: bytes }).expect("a struct of numbers is always JSON")
        })?;
        // Its text is a secret: nothing of it goes into the message.
        let kept: Kept = serde_json::from_slice(&kept).map_err(|_| StoreError::Corrupt {
            file: KEY.to_owned(),
            problem: "it does not read; it may come from a newer release".to_owned(),
        })?;
        Ok(kept.key)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use crossbill_core::{RandomIds, SystemClock};

    use super::*;
    use crate::RootOptions;

    fn root(directory: &tempfile::TempDir) -> Root {
        Root::open(RootOptions {
            path: directory.path().to_owned(),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock::new()),
        })
        .unwrap()
    }

    #[test]
    fn it_is_made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = root(&directory).page_key().unwrap();
        assert_eq!(root(&directory).page_key().unwrap(), first);
        let file = directory.path().join(KEY);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(root(&other).page_key().unwrap(), first);
    }

    #[test]
    fn of_two_makers_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let root = root(&directory);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| root.page_key())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        let kept = root.page_key().unwrap();
        assert!(keys.iter().all(|key| *key == kept));
    }

    #[test]
    fn damage_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let root = root(&directory);
        root.page_key().unwrap();
        let file = directory.path().join(KEY);
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let error = root.page_key().unwrap_err().to_string();
        assert!(error.contains(KEY), "{error}");
    }
}
