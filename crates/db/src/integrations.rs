//! Storage integrations: listed, made, deleted, and sources tried out. Those
//! of the operator's settings can be seen here and changed only there.

use std::time::Duration;

use crossbill_core::limits::SOURCE_TEST_FILES_MAX;
use crossbill_core::{Error, Result};
use crossbill_store::{Integration, SourceObject, SourcePolicy};

use crate::Database;
use crate::imports::check_length;

/// How long a test goes on trying. A caller waits for its answer.
const TEST_BUDGET: Duration = Duration::from_secs(5);
/// How long one request of a test may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An integration, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationInfo {
    /// Its settings.
    pub integration: Integration,
    /// Whether it comes from the operator's settings, not from a call.
    pub is_from_settings: bool,
}

/// What a look at a source found.
#[derive(Debug)]
pub struct SourceTest {
    /// What was tried: place, endpoint, integration.
    pub tried: String,
    /// The first files and whether there are more, or why it cannot be read.
    pub outcome: Result<(Vec<SourceObject>, bool)>,
}

impl Database {
    /// All integrations that an import may name, by id.
    pub fn list_integrations(&self) -> Vec<IntegrationInfo> {
        let policy = &self.env.policy;
        let info =
            |is_from_settings| move |integration| IntegrationInfo { integration, is_from_settings };
        let fixed = policy.integrations.iter().cloned().map(info(true));
        let mut all: Vec<_> =
            fixed.chain(policy.stored.all().into_iter().map(info(false))).collect();
        // Of two with one id the one of the settings counts, and comes first.
        all.sort_by(|a, b| a.integration.id.cmp(&b.integration.id));
        all.dedup_by(|a, b| a.integration.id == b.integration.id);
        all
    }

    /// One integration. `NotFound` where there is none of that id.
    pub fn describe_integration(&self, id: &str) -> Result<IntegrationInfo> {
        let found = self.list_integrations().into_iter().find(|info| info.integration.id == id);
        found.ok_or_else(|| Error::not_found(format!("integration {id:?} not found")))
    }

    /// Makes an integration, which is kept with its secrets in the data
    /// directory. `Conflict` where its id is taken.
    pub fn create_integration(&self, integration: Integration) -> Result<IntegrationInfo> {
        self.env.policy.check_integration(&integration)?;
        let id = integration.id.clone();
        if self.env.policy.integrations.iter().any(|fixed| fixed.id == id) {
            return Err(Error::conflict(format!(
                "integration {id:?} exists already, in the server's settings"
            )));
        }
        self.env.policy.stored.insert(integration.clone())?;
        tracing::info!(integration = id, kind = integration.kind.as_str(), "integration created");
        Ok(IntegrationInfo { integration, is_from_settings: false })
    }

    /// Deletes an integration and its secrets. `Forbidden` for one of the
    /// settings, `FailedPrecondition` while an import that has not ended uses
    /// it: its next task would find it gone.
    pub fn delete_integration(&self, id: &str) -> Result<()> {
        if self.describe_integration(id)?.is_from_settings {
            return Err(Error::forbidden(format!(
                "integration {id:?} comes from the server's settings; remove it there"
            )));
        }
        for info in self.list_indexes() {
            let Ok(index) = self.index(info.name.as_str()) else { continue };
            if let Some(import) = index.imports().unfinished_with(id) {
                return Err(Error::failed_precondition(format!(
                    "integration {id:?} is used by import {import} of index {:?}; cancel that \
                     import or wait for its end",
                    info.name.as_str()
                )));
            }
        }
        self.env.policy.stored.remove(id)?;
        tracing::info!(integration = id, "integration deleted");
        Ok(())
    }

    /// Looks whether the files that a URI means can be listed, as an import
    /// would. `Invalid` or `Forbidden` where an import would not be started.
    pub fn test_source(&self, uri: &str, integration: Option<&str>) -> Result<SourceTest> {
        check_length("uri", uri, self.env.limits.import_uri_chars)?;
        let policy = SourcePolicy {
            retry_budget: self.env.policy.retry_budget.min(TEST_BUDGET),
            attempt_timeout: self.env.policy.attempt_timeout.min(TEST_TIMEOUT),
            ..(*self.env.policy).clone()
        };
        let checked = policy.check(uri, integration)?;
        Ok(match policy.open(&checked) {
            Ok(source) => SourceTest {
                tried: source.place(),
                outcome: source.peek(SOURCE_TEST_FILES_MAX).map_err(Error::from),
            },
            Err(error) => {
                SourceTest { tried: checked.to_string(), outcome: Err(Error::from(error)) }
            }
        })
    }
}
