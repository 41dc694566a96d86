//! One builder a kind of store. Each gives an unconnected client that takes
//! credentials, region and endpoint from the integration alone, nothing from
//! the process's environment, files of the user or the machine's metadata
//! service; without credentials, requests are not signed.

mod azure;
mod gcs;
mod s3;

use std::sync::Arc;
use std::time::Duration;

use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::SourceError;
use super::answers::{Reached, cause};
use super::guard::{GuardedConnector, Reach};
use super::integration::{Integration, StoreKind, name_of};
use super::uri::ObjectPlace;

/// How a store is reached.
pub(super) struct Access<'a> {
    pub integration: Option<&'a Integration>,
    pub connector: GuardedConnector,
}

impl<'a> Access<'a> {
    pub(super) fn new(
        integration: Option<&'a Integration>,
        allow_private_endpoints: bool,
        read_timeout: Duration,
    ) -> Self {
        let endpoint = integration.and_then(|i| i.endpoint.as_deref());
        let is_trusted = integration.is_some_and(|i| i.trusted_endpoint);
        let plain_http = endpoint
            .is_some_and(|url| url.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("http:")));
        let reach = match (allow_private_endpoints, endpoint) {
            (true, _) => Reach::All,
            (false, Some(_)) if is_trusted => Reach::Private,
            (false, _) => Reach::Public,
        };
        let connector = GuardedConnector { reach, plain_http, read_timeout };
        Self { integration, connector }
    }

    /// The endpoint without a slash at its end.
    fn endpoint(&self) -> Option<&'a str> {
        self.integration?.endpoint.as_deref().map(|url| url.trim_end_matches('/'))
    }

    fn client_options(&self) -> ClientOptions {
        ClientOptions::new().with_allow_http(self.connector.plain_http)
    }
}

/// Retries are our own: they count progress and can be cancelled.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// The client for `place`, and how it is reached in words.
pub(super) fn connect(
    place: &ObjectPlace,
    access: &Access<'_>,
) -> Result<(Arc<dyn ObjectStore>, Reached), SourceError> {
    let (at, built) = match place.kind {
        StoreKind::S3 => (s3::place(access), s3::build(place, access)),
        StoreKind::Gcs => (gcs::place(access), gcs::build(place, access)),
        StoreKind::Azure => (azure::place(place, access), azure::build(place, access)),
    };
    let how = format!("at {at} with {}", name_of(access.integration));
    let reached = Reached { kind: place.kind, root: place.root.clone(), how };
    match built {
        Ok(store) => Ok((store, reached)),
        Err(problem) => Err(SourceError::Invalid(format!("{} {reached}: {problem}", reached.root))),
    }
}

/// What a builder could not do, in words.
fn problem(error: object_store::Error) -> String {
    cause(&error)
}

/// Whether an integration's credentials have the form that its kind expects.
pub(super) fn check_credentials(integration: &Integration) -> Result<(), String> {
    match &integration.service_account_key {
        Some(key) => gcs::check_key(key),
        None => Ok(()),
    }
}
