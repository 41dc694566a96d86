//! Backups and collections: made, listed, deleted, and found again at an open.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossbill_core::{Error, IndexName, Result};
use crossbill_store::killpoint::reach;
use crossbill_store::{Manifest, Versioned};

use super::entries::{check_new, page};
use super::{
    BackupCatalog, BackupContent, BackupFilter, BackupInfo, BackupSchedule, NewBackup, at_once,
    backup_dir, backups_dir, content_of, new_id,
};
use crate::env::Env;
use crate::namespace::BackedUp;
use crate::parts::origin;
use crate::{Database, Index};

/// Why a backup is made: what it is called and who keeps it.
#[derive(Default)]
pub(super) struct Purpose {
    pub(super) new: NewBackup,
    pub(super) collection: Option<IndexName>,
    /// The schedule that asks, as it was when it asked.
    pub(super) schedule: Option<BackupSchedule>,
}

/// What was taken of an index.
struct Taken {
    content: BackupContent,
    records: u64,
    bytes: u64,
    origins: BTreeSet<String>,
}

impl Database {
    /// Makes a backup of an index: all writes that were acknowledged before
    /// this call are in it. It copies no records and lasts until it is
    /// deleted, also beyond its index.
    pub fn create_backup(&self, index: &str, new: NewBackup) -> Result<BackupInfo> {
        check_new(&new)?;
        self.make_backup(&*self.index(index)?, Purpose { new, ..Purpose::default() })
    }

    /// Makes a collection of an index: a backup with a unique name. `Conflict`
    /// where the name is taken.
    pub fn create_collection(&self, name: IndexName, index: &str) -> Result<BackupInfo> {
        let purpose = Purpose { collection: Some(name), ..Purpose::default() };
        self.make_backup(&*self.index(index)?, purpose)
    }

    pub(super) fn make_backup(&self, index: &Index, purpose: Purpose) -> Result<BackupInfo> {
        let id = new_id(&*self.env.ids);
        let info = index.info();
        self.look(|catalog| catalog.backups.check_room(&info.uid, purpose.collection.as_ref()))?;
        let created_at = self.env.clock.now();
        let taken = take(index, &id).and_then(|taken| {
            content_of(&self.env.root, &id)?.commit(0, &taken.content)?;
            Ok(taken)
        });
        let taken = taken.inspect_err(|_| forget(&self.env, &id))?;
        reach("backup.content_written");
        let schedule = purpose.schedule;
        let expires = |schedule: &BackupSchedule| created_at.plus_days(schedule.expire_after_days);
        let backup = BackupInfo {
            id: id.clone(),
            name: purpose.new.name,
            description: purpose.new.description,
            collection: purpose.collection,
            expires_at: schedule.as_ref().map(expires),
            schedule: schedule.as_ref().map(|schedule| schedule.id.clone()),
            index: info.name.clone(),
            index_uid: info.uid.clone(),
            index_deleted_at: None,
            shape: info.shape,
            documents: info.documents,
            text: info.text,
            tags: info.tags,
            cloud: info.cloud,
            region: info.region,
            spec_json: info.spec_json,
            records: taken.records,
            namespaces: taken.content.namespaces.len() as u64,
            bytes: taken.bytes,
            created_at,
            origins: taken.origins,
        };
        let added = self.change(|catalog| {
            // Deleted meanwhile: some parts may be gone that were not held yet.
            if catalog.get(info.name.as_str())?.uid != info.uid {
                return Err(crate::catalog::not_found(info.name.as_str()));
            }
            catalog.backups.add(backup.clone())?;
            match &schedule {
                Some(schedule) => catalog.backups.plan_next(&schedule.id, created_at),
                None => Ok(()),
            }
        });
        if let Err(refused) = added {
            if refused.is_certain {
                forget(&self.env, &id);
            }
            return Err(refused.error);
        }
        tracing::info!(index = %backup.index, backup = id, records = backup.records, "backup made");
        Ok(backup)
    }

    /// One backup. `NotFound` where there is none with that id.
    pub fn describe_backup(&self, id: &str) -> Result<BackupInfo> {
        self.look(|catalog| catalog.backups.backup(id).cloned())
    }

    /// Backups, newest first, after the one whose cursor is `after`; whether
    /// there are more.
    pub fn list_backups(
        &self,
        filter: &BackupFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<BackupInfo>, bool)> {
        self.look(|catalog| {
            let index = filter.index.as_deref().map(|name| catalog.get(name));
            let index = match index {
                Some(Err(_)) if filter.include_deleted => None,
                index => index.transpose()?,
            };
            let uid = index.as_ref().map(|info| info.uid.as_str());
            page(catalog.backups.list(filter, uid), after, limit)
        })
    }

    /// Deletes a backup. What nothing else refers to gives its space back.
    pub fn delete_backup(&self, id: &str) -> Result<()> {
        self.change(|catalog| catalog.backups.remove(id))?;
        reach("backup.deleted");
        forget(&self.env, id);
        tracing::info!(backup = id, "backup deleted");
        Ok(())
    }

    /// All collections by name.
    pub fn list_collections(&self) -> Vec<BackupInfo> {
        self.look(|catalog| catalog.backups.collections())
    }

    /// One collection. `NotFound` where there is none of that name.
    pub fn describe_collection(&self, name: &str) -> Result<BackupInfo> {
        self.look(|catalog| catalog.backups.collection(name).cloned())
    }

    /// Deletes a collection, as [`Database::delete_backup`] does a backup.
    pub fn delete_collection(&self, name: &str) -> Result<()> {
        self.delete_backup(&self.describe_collection(name)?.id)
    }
}

/// Holds and names everything that an index has.
fn take(index: &Index, id: &str) -> Result<Taken> {
    index.check_open()?;
    if index.has_broken() {
        return Err(Error::corrupt(format!(
            "index {} has a namespace that cannot be read: it cannot be backed up as a whole",
            index.info().name
        )));
    }
    let namespaces = index.all_namespaces();
    let taken = at_once(&namespaces, |namespace| namespace.back_up(id))?;
    let taken: Vec<BackedUp> = taken.into_iter().flatten().collect();
    let records = taken.iter().map(|namespace| namespace.records).sum();
    let namespaces: Vec<Manifest> = taken.into_iter().map(|namespace| namespace.manifest).collect();
    let content = BackupContent { namespaces };
    let segments = content.namespaces.iter().flat_map(|manifest| &manifest.segments);
    let bytes = segments.map(|entry| entry.bytes).sum();
    let origins = content.parts().filter_map(|part| Some(origin(part)?.0.to_owned()));
    Ok(Taken { origins: origins.collect(), records, bytes, content })
}

/// Lets go of what a backup holds that is not, or no longer, in the catalog.
/// Failing to costs only space until the next open.
fn forget(env: &Env, id: &str) {
    env.parts.release_all(&env.root, id);
    let deleted = backup_dir(id).and_then(|dir| Ok(env.root.delete_prefix(&dir)?));
    if let Err(error) = deleted {
        tracing::warn!(backup = id, %error, "a deleted backup's files stay for now");
    }
}

/// Holds the parts of all backups, so that nothing takes them, and deletes
/// what a crash left of others. To be called before anything may delete a
/// part.
pub(crate) fn open(env: &Arc<Env>, backups: &BackupCatalog) -> Result<()> {
    let all: Vec<&BackupInfo> = backups.backups.values().collect();
    at_once(&all, |backup| {
        let content = content_of(&env.root, &backup.id)
            .and_then(|documents| Ok(documents.load()?))
            .and_then(|found| found.ok_or_else(|| missing(&backup.id)));
        match content {
            Ok(Versioned { value, .. }) => {
                env.parts.hold(&backup.id, value.parts().map(str::to_owned));
            }
            Err(error) => {
                tracing::error!(backup = backup.id, %error, "backup unusable");
                backup.origins.iter().for_each(|uid| env.parts.block(uid));
            }
        }
        Ok(())
    })?;
    for id in env.root.list_dirs(&backups_dir()?)? {
        if !backups.backups.contains_key(&id) {
            reach("sweep.before_delete");
            env.root.delete_prefix(&backups_dir()?.join(&id))?;
        }
    }
    Ok(())
}

pub(super) fn missing(id: &str) -> Error {
    Error::corrupt(format!("the content of backup {id} is missing"))
}
