//! Google Cloud Storage, through its XML interface. A service account's key
//! signs its own tokens: no other host is asked for one.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::gcp::{GcpCredential, GcpSigningCredential, GoogleCloudStorageBuilder};

use super::{Access, no_retries, problem};
use crate::source::integration::Secret;
use crate::source::uri::ObjectPlace;

const ADDRESS: &str = "https://storage.googleapis.com";

/// Where the store is, in words.
pub(super) fn place(access: &Access<'_>) -> String {
    access.endpoint().unwrap_or(ADDRESS).to_owned()
}

pub(super) fn build(
    place: &ObjectPlace,
    access: &Access<'_>,
) -> Result<Arc<dyn ObjectStore>, String> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&place.bucket)
        // Said always: a key's own file may name an address, which is not ours.
        .with_base_url(access.endpoint().unwrap_or(ADDRESS))
        .with_retry(no_retries())
        .with_client_options(access.client_options())
        .with_http_connector(access.connector);
    let builder = match key(access)? {
        Some(key) => builder.with_service_account_key(key.expose()),
        // With no credentials at all the builder would look for the user's
        // own, and then ask the machine's metadata service.
        None => builder
            .with_skip_signature(true)
            .with_credentials(fixed(GcpCredential { bearer: String::new() }))
            .with_signing_credentials(fixed(GcpSigningCredential {
                email: String::new(),
                private_key: None,
            })),
    };
    Ok(Arc::new(builder.build().map_err(problem)?))
}

fn fixed<T: std::fmt::Debug + Send + Sync>(
    credential: T,
) -> Arc<object_store::StaticCredentialProvider<T>> {
    Arc::new(object_store::StaticCredentialProvider::new(credential))
}

/// The service account's key, from the settings or the file they name.
fn key(access: &Access<'_>) -> Result<Option<Secret>, String> {
    let Some(integration) = access.integration else { return Ok(None) };
    let key = match (&integration.service_account_key, &integration.service_account_file) {
        (Some(key), _) => key.clone(),
        (None, Some(path)) => Secret::new(std::fs::read_to_string(path).map_err(|error| {
            format!("the service account's file {} cannot be read: {error}", path.display())
        })?),
        (None, None) => return Ok(None),
    };
    check_key(&key)?;
    Ok(Some(key))
}

/// Says what is wrong with a key without showing any of it.
pub(super) fn check_key(key: &Secret) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(key.expose())
        .map_err(|_| "the service account's key is no JSON".to_owned())?;
    for field in ["client_email", "private_key", "private_key_id"] {
        if !value[field].is_string() {
            return Err(format!(
                "the service account's key has no text {field:?}, expected the JSON file that \
                 Google gives for a key of a service account"
            ));
        }
    }
    Ok(())
}
