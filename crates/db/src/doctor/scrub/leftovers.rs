//! Files that nothing refers to: what a crash left, which the next start
//! deletes, and what somebody else put there.

use std::collections::BTreeSet;

use crossbill_store::RootFile;

use super::Scrubber;
use super::documents::{is_reject_table, kind_at};
use super::parts::is_segment;
use super::references::References;
use crate::catalog::Catalog;

const SWEPT: &str = "the next start of the server deletes it";
const UNKNOWN: &str = "move it elsewhere if nobody knows it; the server does not touch it";

impl Scrubber<'_> {
    /// Names what nothing refers to. Beside a running server that may be what
    /// it is making, so there only foreign files are named.
    pub(super) fn leftovers(
        &mut self,
        files: &[RootFile],
        catalog: &Catalog,
        references: &References,
    ) {
        let uids: BTreeSet<String> =
            catalog.indexes.iter().map(|(name, entry)| entry.info(name).uid).collect();
        let mut told = BTreeSet::new();
        for RootFile { path, bytes } in files {
            let parts: Vec<&str> = path.split('/').collect();
            let owner = match parts.as_slice() {
                ["lock" | "integrations.json" | "page-key.json" | "root-copy.json"]
                | ["scratch", ..] => continue,
                ["indexes", uid, ..] => Some((*uid, uids.contains(*uid), "index")),
                ["backups", id, ..] => {
                    Some((*id, catalog.backups.backups.contains_key(*id), "backup"))
                }
                _ => None,
            };
            let is_named = references.parts.contains_key(path);
            if is_named || (self.report.is_live && is_ours(path)) {
                continue;
            }
            if is_staged(path) {
                self.report.warning(path, "a write that was cut off left it", SWEPT);
                continue;
            }
            match owner {
                // One line for all that is left of it.
                Some((id, false, what)) => {
                    if told.insert(id.to_owned()) {
                        let place = format!("{}/{id}", parts[0]);
                        let found = format!("the catalog knows no {what} of this id");
                        self.report.warning(&place, &found, SWEPT);
                    }
                }
                Some((uid, true, "index")) if is_segment(path) => {
                    let found = format!("{bytes} bytes that nothing refers to");
                    match references.blocked.contains(uid) {
                        true => {}
                        false => self.report.warning(path, &found, SWEPT),
                    }
                }
                _ if is_ours(path) => {}
                _ => self.report.warning(path, "a file that is none of Crossbill's", UNKNOWN),
            }
        }
    }
}

/// Whether a path is one at which this program stores something.
fn is_ours(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_log = matches!(parts.as_slice(), ["indexes", _, "namespaces", _, "wal", name]
        if name.ends_with(".wal"));
    is_log
        || is_segment(path)
        || is_reject_table(path)
        || kind_at(path).is_some()
        || is_staged(path)
}

/// Whether it is an object that was being written.
fn is_staged(path: &str) -> bool {
    path.ends_with(".json.new")
        || path.rsplit_once('#').is_some_and(|(_, digits)| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}
