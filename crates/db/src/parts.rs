//! Which parts are shared: kept alive by a backup, or by an index that was
//! restored from one and still refers to parts of the index they were built
//! for. A part lies in the directory of the index that built it, and stays
//! there until nobody refers to it: neither its own index (whose manifests
//! say so) nor a holder (told here).
//!
//! In memory only. An open builds it anew from backups and manifests, so no
//! crash can make it wrong.

use std::collections::{HashMap, HashSet};
use std::sync::Weak;

use crossbill_core::{Error, Result};
use crossbill_import::part_key;
use crossbill_store::killpoint::reach;
use crossbill_store::{Key, Root};
use parking_lot::Mutex;

use crate::Index;

/// Where all indexes lie.
const INDEXES: &str = "indexes";

/// The name by which an index other than `uid` refers to its part `part`. A
/// part that `uid` itself has from elsewhere keeps its name.
pub(crate) fn shared_name(uid: &str, part: &str) -> String {
    match is_foreign(part) {
        true => part.to_owned(),
        false => format!("{uid}.{part}"),
    }
}

/// Whether a manifest that names `part` so means one of another index.
pub(crate) fn is_foreign(part: &str) -> bool {
    part.contains('.')
}

/// The index that a shared part was built for, and its name there.
pub(crate) fn origin(shared: &str) -> Option<(&str, &str)> {
    shared.split_once('.')
}

/// `indexes/<uid>`.
pub(crate) fn index_dir(uid: &str) -> Result<Key> {
    Key::new(&format!("{INDEXES}/{uid}")).map_err(|error| Error::internal(error.to_string()))
}

/// Where the part lies that a manifest of index `uid` names `part`.
pub(crate) fn key_of(uid: &str, part: &str) -> Result<Key> {
    let (origin, name) = origin(part).unwrap_or((uid, part));
    part_key(&format!("{INDEXES}/{origin}"), name)
}

/// Who refers to parts of other indexes.
#[derive(Default)]
pub(crate) struct SharedParts {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Shared names by holder: the id of a backup or the uid of an index.
    held: HashMap<String, HashSet<String>>,
    /// How many hold each shared name; only what is held stands here.
    holders: HashMap<String, usize>,
    /// The indexes there are, by uid.
    owners: HashMap<String, Weak<Index>>,
    /// Indexes of whose parts nobody knows who refers to them, because a
    /// manifest or a backup that may do so cannot be read.
    blocked: HashSet<String>,
}

impl SharedParts {
    /// Tells of an index that exists: it, too, may refer to its own parts.
    pub(crate) fn add_owner(&self, uid: &str, index: Weak<Index>) {
        self.inner.lock().owners.insert(uid.to_owned(), index);
    }

    /// Tells that an index is gone: its parts are there for holders only.
    pub(crate) fn remove_owner(&self, uid: &str) {
        self.inner.lock().owners.remove(uid);
    }

    /// Lets nothing of the index `uid` be deleted until the next open.
    pub(crate) fn block(&self, uid: &str) {
        self.inner.lock().blocked.insert(uid.to_owned());
    }

    /// Keeps parts alive until `holder` releases them.
    pub(crate) fn hold(&self, holder: &str, shared: impl IntoIterator<Item = String>) {
        let mut inner = self.inner.lock();
        for part in shared {
            inner.hold(holder, part);
        }
    }

    /// Keeps alive for `to` what is kept alive for `from`.
    pub(crate) fn share(&self, from: &str, to: &str) {
        let mut inner = self.inner.lock();
        let parts: Vec<String> = inner.held.get(from).into_iter().flatten().cloned().collect();
        for part in parts {
            inner.hold(to, part);
        }
    }

    /// Whether somebody but the index `uid` itself refers, or may refer, to
    /// its part `part`.
    pub(crate) fn is_kept(&self, uid: &str, part: &str) -> bool {
        let inner = self.inner.lock();
        inner.blocked.contains(uid) || inner.holders.contains_key(&format!("{uid}.{part}"))
    }

    /// Whether somebody else refers, or may refer, to any part of `uid`.
    pub(crate) fn keeps_any(&self, uid: &str) -> bool {
        let inner = self.inner.lock();
        let of_it = |part: &String| origin(part).is_some_and(|(of, _)| of == uid);
        inner.blocked.contains(uid) || inner.holders.keys().any(of_it)
    }

    /// Lets go of one part, and deletes it where nobody refers to it now.
    pub(crate) fn release(&self, root: &Root, holder: &str, shared: &str) {
        let freed = self.inner.lock().release(holder, shared);
        self.delete_unreferenced(root, freed.into_iter().collect());
    }

    /// Lets go of all that `holder` holds, and deletes what nobody refers to
    /// now.
    pub(crate) fn release_all(&self, root: &Root, holder: &str) {
        let freed = {
            let mut inner = self.inner.lock();
            let parts = inner.held.remove(holder).unwrap_or_default();
            let is_free = |part: &String| inner.forget_holder(part);
            parts.into_iter().filter(is_free).collect()
        };
        self.delete_unreferenced(root, freed);
    }

    /// Deletes those of `shared` that their own index does not refer to. They
    /// are held by nobody, and nobody can begin to hold one: only what a
    /// manifest or a backup refers to can be.
    fn delete_unreferenced(&self, root: &Root, shared: Vec<String>) {
        let mut own: HashMap<String, Option<HashSet<String>>> = HashMap::new();
        for part in &shared {
            let Some((uid, name)) = origin(part) else { continue };
            let referenced = own.entry(uid.to_owned()).or_insert_with(|| self.referenced(uid));
            let Some(referenced) = referenced else { continue };
            if referenced.contains(name) {
                continue;
            }
            reach("sweep.before_delete");
            if let Err(error) = key_of(uid, name).and_then(|key| Ok(root.delete(&key)?)) {
                tracing::warn!(part, %error, "a part was not deleted; the next start does it");
            }
        }
    }

    /// Names of the parts that the index `uid` refers to itself; nothing where
    /// nobody knows.
    fn referenced(&self, uid: &str) -> Option<HashSet<String>> {
        let owner = {
            let inner = self.inner.lock();
            if inner.blocked.contains(uid) {
                return None;
            }
            inner.owners.get(uid).and_then(Weak::upgrade)
        };
        let Some(owner) = owner else { return Some(HashSet::new()) };
        if owner.has_broken() {
            return None;
        }
        Some(owner.all_namespaces().iter().flat_map(|namespace| namespace.parts()).collect())
    }
}

impl Inner {
    fn hold(&mut self, holder: &str, part: String) {
        if self.held.entry(holder.to_owned()).or_default().insert(part.clone()) {
            *self.holders.entry(part).or_default() += 1;
        }
    }

    /// The part, where this was its last holder.
    fn release(&mut self, holder: &str, part: &str) -> Option<String> {
        let parts = self.held.get_mut(holder)?;
        if !parts.remove(part) {
            return None;
        }
        if parts.is_empty() {
            self.held.remove(holder);
        }
        self.forget_holder(part).then(|| part.to_owned())
    }

    /// Counts one holder less; whether there is none any more.
    fn forget_holder(&mut self, part: &str) -> bool {
        let Some(count) = self.holders.get_mut(part) else { return false };
        *count -= 1;
        if *count == 0 {
            self.holders.remove(part);
            return true;
        }
        false
    }
}

/// Deletes what lies below `indexes/<uid>` of an index that is gone, but for
/// the parts that others refer to.
pub(crate) fn delete_index_files(root: &Root, parts: &SharedParts, uid: &str) -> Result<()> {
    let dir = index_dir(uid)?;
    if !parts.keeps_any(uid) {
        reach("sweep.before_delete");
        return Ok(root.delete_prefix(&dir)?);
    }
    for name in root.list_dirs(&dir)? {
        if name != "parts" {
            reach("sweep.before_delete");
            root.delete_prefix(&dir.join(&name))?;
        }
    }
    for (key, _) in root.list(&dir.join("parts"))? {
        let part = key.name().strip_suffix(".seg").unwrap_or(key.name());
        if !parts.is_kept(uid, part) {
            reach("sweep.before_delete");
            root.delete(&key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> SharedParts {
        SharedParts::default()
    }

    #[test]
    fn a_part_is_kept_until_its_last_holder_lets_go() {
        let parts = shared();
        parts.hold("b1", ["x.p".to_owned(), "x.q".to_owned()]);
        parts.share("b1", "y");
        parts.hold("y", ["x.p".to_owned()]); // Again: counts once.
        let mut inner = parts.inner.lock();
        assert_eq!(inner.release("b1", "x.p"), None);
        assert_eq!(inner.release("b1", "x.p"), None);
        assert_eq!(inner.release("y", "x.p"), Some("x.p".to_owned()));
        assert_eq!(inner.release("y", "x.p"), None);
        drop(inner);
        assert!(!parts.is_kept("x", "p") && parts.is_kept("x", "q"));
        assert!(parts.keeps_any("x") && !parts.keeps_any("y"));
    }

    #[test]
    fn names_lead_to_the_index_that_built_the_part() {
        assert_eq!(key_of("y", "p").unwrap().as_str(), "indexes/y/parts/p.seg");
        assert_eq!(key_of("y", "x.p").unwrap().as_str(), "indexes/x/parts/p.seg");
        assert_eq!(shared_name("x", "p"), "x.p");
        assert_eq!(shared_name("y", "x.p"), "x.p");
    }
}
