//! Azure Blob Storage; hierarchical accounts (`abfss://`) answer at the same
//! address.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
use object_store::{ObjectStore, StaticCredentialProvider};

use super::{Access, no_retries, problem};
use crate::source::uri::ObjectPlace;

/// Where the store is, in words.
pub(super) fn place(place: &ObjectPlace, access: &Access<'_>) -> String {
    access
        .endpoint()
        .map_or_else(|| format!("https://{}.blob.core.windows.net", place.account), str::to_owned)
}

pub(super) fn build(
    place: &ObjectPlace,
    access: &Access<'_>,
) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&place.account)
        .with_container_name(&place.bucket)
        .with_retry(no_retries())
        .with_client_options(access.client_options())
        .with_http_connector(access.connector);
    if let Some(endpoint) = access.endpoint() {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    let key = access.integration.and_then(|i| i.access_key.as_ref());
    let token = access.integration.and_then(|i| i.sas_token.as_ref());
    builder = match (key, token) {
        (Some(key), _) => builder.with_access_key(key.expose()),
        (None, Some(token)) => builder.with_config(AzureConfigKey::SasKey, token.expose()),
        // With no credentials at all the builder would take the machine's.
        (None, None) => {
            let nothing = AzureCredential::SASToken(Vec::new());
            builder
                .with_skip_signature(true)
                .with_credentials(Arc::new(StaticCredentialProvider::new(nothing)))
        }
    };
    Ok(Arc::new(builder.build().map_err(problem)?))
}
