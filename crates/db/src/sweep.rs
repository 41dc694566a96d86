//! Deletes stored parts that no manifest and no backup refers to: what a
//! crash, a cancelled task or a merge left behind. Only called where nothing
//! can be making a part with the prefix in question.

use std::collections::HashSet;

use crossbill_core::Result;
use crossbill_store::killpoint::reach;

use crate::Index;

/// Deletes unreferenced parts of `index` whose name starts with `prefix`.
pub(crate) fn sweep_parts(index: &Index, prefix: &str) -> Result<()> {
    if index.has_broken() {
        // Nobody knows which parts the unreadable manifest needs.
        return Ok(());
    }
    let env = &index.context().env;
    let root = &env.root;
    let uid = &index.context().uid;
    let stored = root.list(&index.context().dir.join("parts"))?;
    let mut referenced = HashSet::new();
    for namespace in index.all_namespaces() {
        namespace.settle()?;
        referenced.extend(namespace.parts());
    }
    for (key, bytes) in stored {
        let part = key.name().strip_suffix(".seg").unwrap_or(key.name());
        let is_free = || !referenced.contains(part) && !env.parts.is_kept(uid, part);
        if part.starts_with(prefix) && is_free() {
            reach("sweep.before_delete");
            tracing::info!(%key, bytes, "deleting a part that nothing refers to");
            root.delete(&key)?;
        }
    }
    Ok(())
}
