//! Whether the object stores of integrations can be reached: one page of a
//! bucket's listing each, in bounded time.

use std::path::Path;
use std::time::Duration;

use crossbill_core::{Error, Result};
use crossbill_store::{Integration, Root, SourcePolicy, StoreKind, StoredIntegrations};

use super::look;
use crate::backups::at_once;

/// How long one store is tried again.
const BUDGET: Duration = Duration::from_secs(5);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the look at one integration found.
#[derive(Debug)]
pub struct IntegrationCheck {
    /// Its id; empty for what is used where an import names none.
    pub id: String,
    /// The kind of its store.
    pub kind: &'static str,
    /// What was tried: place and endpoint. Nothing where it names no bucket,
    /// so that nobody knows what to look at.
    pub tried: Option<String>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// Looks at a bucket of each integration: those of the settings and those
/// that the data directory keeps.
///
/// # Errors
/// Where those that the data directory keeps cannot be read.
pub fn check_integrations(data: &Path, policy: &SourcePolicy) -> Result<Vec<IntegrationCheck>> {
    let root: Option<Root> = data.is_dir().then(|| look(data)).transpose()?;
    let stored = root.as_ref().map(StoredIntegrations::open).transpose()?.unwrap_or_default();
    let policy = SourcePolicy {
        data_dir: Some(data.to_owned()),
        retry_budget: policy.retry_budget.min(BUDGET),
        attempt_timeout: policy.attempt_timeout.min(TIMEOUT),
        stored: stored.clone(),
        ..policy.clone()
    };
    let fixed = policy.defaults.iter().chain(&policy.integrations).cloned();
    let known: Vec<String> = policy.integrations.iter().map(|one| one.id.clone()).collect();
    let kept = stored.all().into_iter().filter(|one| !known.contains(&one.id));
    let all: Vec<Integration> = fixed.chain(kept).collect();
    at_once(&all, |one| Ok(check(&policy, one)))
}

fn check(policy: &SourcePolicy, integration: &Integration) -> IntegrationCheck {
    let scheme = match integration.kind {
        StoreKind::S3 => "s3",
        StoreKind::Gcs => "gs",
        StoreKind::Azure => "az",
    };
    let mut found = IntegrationCheck {
        id: integration.id.clone(),
        kind: integration.kind.as_str(),
        tried: None,
        problem: None,
    };
    let Some(bucket) = integration.buckets.first() else { return found };
    let uri = format!("{scheme}://{}/", bucket.trim_end_matches('/'));
    let id = (!integration.id.is_empty()).then_some(integration.id.as_str());
    let opened = policy.check(&uri, id).and_then(|place| {
        found.tried = Some(place.to_string());
        policy.open(&place).map_err(Error::from)
    });
    let looked = opened.and_then(|source| {
        found.tried = Some(source.place());
        source.peek(1).map_err(Error::from)
    });
    found.tried.get_or_insert(uri);
    found.problem = looked.err().map(|error| error.message().to_owned());
    found
}
