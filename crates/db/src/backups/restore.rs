//! From a backup to an index: manifests that name the backup's parts.

use std::sync::Arc;

use crossbill_core::{Error, Result, TextSchema, VectorType};
use crossbill_store::killpoint::reach;
use crossbill_store::{Documents, MANIFEST_KIND, Manifest};

use super::entries::page;
use super::make::missing;
use super::{BackupInfo, IndexSource, RestoreJob, RestoreOptions, at_once, content_of, new_id};
use crate::namespace::directory_name;
use crate::parts::{delete_index_files, index_dir};
use crate::{Database, Index, IndexEvent, IndexInfo, NewIndex};

impl Database {
    /// Makes an index of a backup. It is there, with all its records, when
    /// this returns.
    pub fn restore_backup(
        &self,
        id: &str,
        options: RestoreOptions,
    ) -> Result<(RestoreJob, IndexInfo)> {
        let backup = self.describe_backup(id)?;
        let new = NewIndex {
            name: options.name,
            shape: backup.shape,
            documents: backup.documents,
            text: backup.text,
            tags: options.tags.unwrap_or(backup.tags),
            deletion_protection: options.deletion_protection,
            cloud: backup.cloud,
            region: backup.region,
            spec_json: backup.spec_json,
        };
        let (info, job) = self.make_index_of(&IndexSource::Backup(id.to_owned()), new)?;
        let job = job.ok_or_else(|| Error::internal("a restore has no job"))?;
        Ok((job, info))
    }

    /// Makes an index that begins with the records of a backup or collection,
    /// whose shape must be that of the index.
    pub fn create_index_from(&self, source: &IndexSource, new: NewIndex) -> Result<IndexInfo> {
        Ok(self.make_index_of(source, new)?.0)
    }

    fn make_index_of(
        &self,
        source: &IndexSource,
        new: NewIndex,
    ) -> Result<(IndexInfo, Option<RestoreJob>)> {
        let uid = self.env.ids.next_id().to_string();
        let created_at = self.env.clock.now();
        let backup = self.look(|catalog| {
            let backup = catalog.backups.source(source)?;
            catalog.check_free(&new.name)?;
            check_shape(backup, &new)?;
            // While it is there: whoever deletes it frees nothing from now on.
            self.env.parts.share(&backup.id, &uid);
            Ok::<_, Error>(backup.clone())
        })?;
        let made = self.write_index(&backup, &new, &uid);
        let index = made.inspect_err(|_| self.unmake(&uid))?;
        reach("restore.manifests_written");
        let is_job = matches!(source, IndexSource::Backup(_));
        let completed_at = self.env.clock.now();
        let job = is_job.then(|| RestoreJob {
            id: new_id(&*self.env.ids),
            backup_id: backup.id.clone(),
            index: new.name.clone(),
            index_uid: uid.clone(),
            created_at,
            completed_at,
        });
        let name = new.name.clone();
        let added = self.change_and(
            |catalog| {
                catalog.create(new, uid.clone(), completed_at, self.first_port)?;
                catalog.set_origins(&name, backup.origins.clone());
                if let Some(job) = &job {
                    catalog.backups.add_restore(job.clone());
                }
                catalog.get(name.as_str())
            },
            |info| {
                index.set_info(info.clone());
                self.insert_index(Arc::clone(&index));
            },
        );
        match added {
            Ok(info) => {
                reach("restore.committed");
                self.tell(&IndexEvent::Created(info.clone()));
                index.all_namespaces().iter().for_each(|namespace| namespace.merge_soon());
                Ok((info, job))
            }
            Err(refused) => {
                index.close();
                if refused.is_certain {
                    self.unmake(&uid);
                }
                Err(refused.error)
            }
        }
    }

    /// Stores the manifests of an index that is not in the catalog yet, and
    /// opens it.
    fn write_index(&self, backup: &BackupInfo, new: &NewIndex, uid: &str) -> Result<Arc<Index>> {
        let root = &self.env.root;
        let content = content_of(root, &backup.id)?.load()?;
        let content = content.ok_or_else(|| missing(&backup.id))?.value;
        let namespaces = index_dir(uid)?.join("namespaces");
        at_once(&content.namespaces, |manifest| {
            let dir = namespaces.join(&directory_name(&manifest.namespace));
            let documents: Documents<Manifest> =
                Documents::new(root, dir.join("manifest"), MANIFEST_KIND);
            Ok(documents.commit(0, manifest)?)
        })?;
        let info = IndexInfo {
            name: new.name.clone(),
            uid: uid.to_owned(),
            shape: new.shape,
            documents: new.documents.clone(),
            text: new.text.clone(),
            port: 0, // Known once it is in the catalog.
            tags: new.tags.clone(),
            deletion_protection: new.deletion_protection,
            cloud: new.cloud.clone(),
            region: new.region.clone(),
            created_at: self.env.clock.now(),
            spec_json: new.spec_json.clone(),
        };
        let index = Index::open(&self.env, info)?;
        match index.has_broken() {
            false => Ok(index),
            true => Err(Error::corrupt(format!(
                "a namespace of backup {} cannot be opened; the log says why",
                backup.id
            ))),
        }
    }

    /// Takes back what was stored of an index that did not come to be.
    fn unmake(&self, uid: &str) {
        let env = &self.env;
        env.parts.remove_owner(uid);
        if let Err(error) = delete_index_files(&env.root, &env.parts, uid) {
            tracing::warn!(uid, %error, "files of a failed restore stay for now");
        }
        env.parts.release_all(&env.root, uid);
    }

    /// One restore job. `NotFound` where there is none with that id.
    pub fn describe_restore_job(&self, id: &str) -> Result<RestoreJob> {
        self.look(|catalog| catalog.backups.restore_job(id).cloned())
    }

    /// Restore jobs, newest first, after the one whose cursor is `after`;
    /// whether there are more.
    pub fn list_restore_jobs(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<RestoreJob>, bool)> {
        self.look(|catalog| page(catalog.backups.restore_jobs(), after, limit))
    }
}

/// What an index holds is fixed by the parts it begins with.
fn check_shape(backup: &BackupInfo, new: &NewIndex) -> Result<()> {
    if backup.documents != new.documents {
        return Err(Error::invalid(
            "the index and its source have different schemas, expected the same (restore the \
             backup instead)",
        ));
    }
    if backup.text != new.text {
        let names = |text: &TextSchema| {
            let names: Vec<_> = text.fields().iter().map(|field| field.name.clone()).collect();
            format!("{names:?}")
        };
        return Err(Error::invalid(format!(
            "the index would have the text fields {}, expected those of its source with the same \
             options: {}",
            names(&new.text),
            names(&backup.text)
        )));
    }
    if backup.shape == new.shape {
        return Ok(());
    }
    let words = |shape: &crossbill_core::IndexShape| match shape.vector_type {
        VectorType::Sparse => "sparse".to_owned(),
        VectorType::Dense => format!(
            "dense, dimension {}, metric {}, vector_storage {}",
            shape.dimension,
            shape.metric.as_str(),
            shape.storage.as_str()
        ),
    };
    Err(Error::invalid(format!(
        "the index would be {}, expected the same as its source: {}",
        words(&new.shape),
        words(&backup.shape)
    )))
}
