//! S3 and what speaks its protocol.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

use super::{Access, no_retries, problem};
use crate::source::uri::ObjectPlace;

fn region<'a>(access: &Access<'a>) -> &'a str {
    access.integration.and_then(|i| i.region.as_deref()).unwrap_or("us-east-1")
}

/// Where the store is, in words.
pub(super) fn place(access: &Access<'_>) -> String {
    access.endpoint().map_or_else(|| format!("AWS region {}", region(access)), str::to_owned)
}

pub(super) fn build(
    place: &ObjectPlace,
    access: &Access<'_>,
) -> Result<Arc<dyn ObjectStore>, String> {
    let integration = access.integration;
    let in_host = integration.and_then(|i| i.path_style) == Some(false);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&place.bucket)
        .with_region(region(access))
        .with_virtual_hosted_style_request(in_host)
        .with_retry(no_retries())
        .with_client_options(access.client_options())
        .with_http_connector(access.connector);
    if let Some(endpoint) = access.endpoint() {
        builder = builder.with_endpoint(match in_host {
            true => bucket_in_host(endpoint, &place.bucket)?,
            false => endpoint.to_owned(),
        });
    }
    let keys =
        integration.and_then(|i| Some((i.access_key_id.as_ref()?, i.secret_access_key.as_ref()?)));
    builder = match keys {
        Some((id, secret)) => {
            builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose())
        }
        None => builder.with_skip_signature(true),
    };
    if let Some(token) = integration.and_then(|i| i.session_token.as_ref()) {
        builder = builder.with_token(token.expose());
    }
    Ok(Arc::new(builder.build().map_err(problem)?))
}

/// The endpoint whose host's name begins with the bucket.
fn bucket_in_host(endpoint: &str, bucket: &str) -> Result<String, String> {
    let wrong = || format!("the endpoint {endpoint} cannot have the bucket in its host's name");
    let mut url = reqwest::Url::parse(endpoint).map_err(|_| wrong())?;
    let host = match url.domain() {
        Some(host) => format!("{bucket}.{host}"),
        None => return Err(wrong()),
    };
    url.set_host(Some(&host)).map_err(|_| wrong())?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_stands_in_the_host() {
        for (endpoint, expected) in [
            ("https://s3.example.com", Some("https://lake.s3.example.com")),
            ("http://s3.example.com:9000", Some("http://lake.s3.example.com:9000")),
            ("http://127.0.0.1:9000", None),
            ("http://[::1]:9000", None),
        ] {
            assert_eq!(bucket_in_host(endpoint, "lake").ok().as_deref(), expected, "{endpoint}");
        }
    }
}
