//! The export calls of an index.

use crossbill_core::limits::EXPORT_QUEUE_MAX;
use crossbill_core::{Error, NamespaceName, Result};

use super::Waiting;
use super::job::{ExportRecord, Job};
use super::layout::directory_of;
use crate::Index;
use crate::imports::check_length;
use crate::types::{ExportView, ImportStatus, StartExport};

impl Index {
    /// Starts an export and gives its id. Checks the form of the request and
    /// that the operator allows the place; writes nothing yet.
    pub fn start_export(&self, start: StartExport) -> Result<String> {
        self.check_open()?;
        let env = &self.context().env;
        check_length("uri", &start.uri, env.limits.import_uri_chars)?;
        if let Some(integration) = &start.integration {
            check_length("integration id", integration, env.limits.integration_id_chars)?;
        }
        env.destinations.check(&start.uri, start.integration.as_deref(), &env.policy)?;
        if env.exports.len() >= EXPORT_QUEUE_MAX {
            return Err(Error::exhausted(format!(
                "{EXPORT_QUEUE_MAX} exports wait already, expected fewer; try again later"
            )));
        }
        let counts = self.export_counts(start.namespace.as_ref())?;
        for (namespace, _) in &counts {
            directory_of(namespace)?;
        }
        let record = ExportRecord {
            id: 0,
            uri: start.uri,
            integration: start.integration,
            namespace: start.namespace.map(|name| name.as_str().to_owned()),
            rows_total: counts.iter().map(|(_, rows)| rows).sum(),
            namespaces: counts.into_iter().map(|(name, _)| name).collect(),
            created_at: env.clock.now(),
            status: ImportStatus::Pending,
            parts: Vec::new(),
            finished_at: None,
            error: None,
        };
        let create = |dir: &_, id| Job::create(&env.root, dir, ExportRecord { id, ..record });
        let (job, _) = self.exports().add(|_| false, create)?;
        let id = job.id.to_string();
        env.exports.push(Waiting { index: self.weak(), job });
        Ok(id)
    }

    /// What is exported: namespaces in order, and their records now.
    fn export_counts(&self, namespace: Option<&NamespaceName>) -> Result<Vec<(String, u64)>> {
        match namespace {
            Some(name) => {
                let info = self.describe_namespace(name)?;
                Ok(vec![(info.name, info.record_count)])
            }
            None if self.has_broken() => Err(Error::failed_precondition(
                "a namespace of the index cannot be opened, expected all; export the others one \
                 by one",
            )),
            None => Ok(self.stats()?.namespaces.into_iter().collect()),
        }
    }

    /// One export. `NotFound` where there is none.
    pub fn describe_export(&self, id: &str) -> Result<ExportView> {
        self.check_open()?;
        Ok(self.exports().get(id)?.view())
    }

    /// Exports, newest first, with ids below `before`; whether there are more.
    pub fn list_exports(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<ExportView>, bool)> {
        self.check_open()?;
        let newest_first = self.exports().all().into_iter().rev();
        let below = newest_first.filter(|job| before.is_none_or(|before| job.id < before));
        let mut jobs: Vec<_> = below.take(limit.saturating_add(1)).collect();
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        Ok((jobs.iter().map(|job| job.view()).collect(), more))
    }

    /// Cancels an export: described as Cancelled from the next call on, and no
    /// further file appears. No effect on one that has ended.
    pub fn cancel_export(&self, id: &str) -> Result<()> {
        self.check_open()?;
        self.exports().get(id)?.cancel(self.context().env.clock.now())
    }
}
