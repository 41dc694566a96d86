//! Storage integrations: which object store, where, with which credentials,
//! and what may be read with it. All of it is the operator's word; a request
//! names one by its id.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crossbill_core::{Error, Result, limits};
use serde::{Deserialize, Serialize};

use super::guard;

/// A value that is never shown or logged.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Which protocol a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// S3 and what speaks its protocol.
    #[default]
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl StoreKind {
    /// As settings and requests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }

    /// The kind that `text` writes.
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::S3, Self::Gcs, Self::Azure].into_iter().find(|kind| kind.as_str() == text)
    }

    /// What the store calls its buckets.
    pub(super) fn bucket_word(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
        }
    }
}

/// An object store that imports may read from. Its fields are the keys of an
/// `[[integration]]` table, in which a field that another kind has is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Integration {
    /// The name by which a request asks for it; empty for a default one.
    pub id: String,
    /// Which protocol it speaks.
    pub kind: StoreKind,
    /// Where the store answers, such as `https://minio.example.com:9000`;
    /// `None` means the provider's own address.
    pub endpoint: Option<String>,
    /// What may be read with it: `bucket` or `bucket/prefix`; empty means
    /// everything the credentials can read.
    pub buckets: Vec<String>,
    /// S3: the region; `None` means `us-east-1`.
    pub region: Option<String>,
    /// S3: the access key's id; without keys, requests are not signed.
    pub access_key_id: Option<Secret>,
    /// S3: the access key itself.
    pub secret_access_key: Option<Secret>,
    /// S3: the token of temporary keys.
    pub session_token: Option<Secret>,
    /// S3: whether the bucket stands in the path (the default), not in the
    /// host's name.
    pub path_style: Option<bool>,
    /// GCS: the JSON of a service account's key; without one, requests are
    /// not signed.
    pub service_account_key: Option<Secret>,
    /// GCS: the file that holds it, read anew for each use.
    pub service_account_file: Option<PathBuf>,
    /// Azure: the storage account.
    pub account: Option<String>,
    /// Azure: the account's access key.
    pub access_key: Option<Secret>,
    /// Azure: a shared access signature; without it or a key, requests are
    /// not signed.
    pub sas_token: Option<Secret>,
    /// Whether the operator vouches for `endpoint`: it may be plain
    /// `http://`, and its address a private one.
    #[serde(skip)]
    pub trusted_endpoint: bool,
}

/// How messages call an integration.
pub(super) fn name_of(integration: Option<&Integration>) -> String {
    match integration {
        Some(integration) if integration.id.is_empty() => {
            format!("the default integration ({})", integration.credentials())
        }
        Some(integration) => {
            format!("integration {:?} ({})", integration.id, integration.credentials())
        }
        None => "no integration (unsigned)".to_owned(),
    }
}

impl Integration {
    /// What its requests are signed with, in words.
    pub fn credentials(&self) -> &'static str {
        match self.kind {
            StoreKind::S3 if self.session_token.is_some() => "temporary keys",
            StoreKind::S3 if self.access_key_id.is_some() => "access key",
            StoreKind::Gcs
                if self.service_account_key.is_some() || self.service_account_file.is_some() =>
            {
                "service account"
            }
            StoreKind::Azure if self.access_key.is_some() => "access key",
            StoreKind::Azure if self.sas_token.is_some() => "SAS token",
            _ => "unsigned",
        }
    }

    pub(super) fn allows(&self, bucket: &str, base: &[String]) -> bool {
        self.buckets.is_empty()
            || self.buckets.iter().any(|allowed| {
                let mut names = allowed.split('/').filter(|name| !name.is_empty());
                names.next() == Some(bucket)
                    && names.enumerate().all(|(at, name)| base.get(at).is_some_and(|b| b == name))
            })
    }

    /// Whether the settings are sound.
    pub(super) fn validate(&self, allow_private_endpoints: bool) -> Result<()> {
        self.check_fields()
            .and_then(|()| self.check_endpoint(allow_private_endpoints))
            .map_err(|problem| Error::invalid(format!("{}: {problem}", name_of(Some(self)))))
    }

    /// The fields that belong to one kind, and whether each is set.
    fn own_fields(&self) -> [(StoreKind, &'static str, bool); 10] {
        use StoreKind::{Azure, Gcs, S3};
        [
            (S3, "region", self.region.is_some()),
            (S3, "access-key-id", self.access_key_id.is_some()),
            (S3, "secret-access-key", self.secret_access_key.is_some()),
            (S3, "session-token", self.session_token.is_some()),
            (S3, "path-style", self.path_style.is_some()),
            (Gcs, "service-account-key", self.service_account_key.is_some()),
            (Gcs, "service-account-file", self.service_account_file.is_some()),
            (Azure, "account", self.account.is_some()),
            (Azure, "access-key", self.access_key.is_some()),
            (Azure, "sas-token", self.sas_token.is_some()),
        ]
    }

    fn check_fields(&self) -> std::result::Result<(), String> {
        let foreign =
            self.own_fields().into_iter().find(|(kind, _, set)| *set && *kind != self.kind);
        if let Some((kind, field, _)) = foreign {
            let (found, expected) = (self.kind.as_str(), kind.as_str());
            return Err(format!(
                "{field} is a setting of kind {expected:?}, its kind is {found:?}"
            ));
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("it has one half of an access key, expected both or none".to_owned());
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Err("it has a session token but no access key".to_owned());
        }
        if self.service_account_key.is_some() && self.service_account_file.is_some() {
            return Err(
                "it has a service account's key and a file of one, expected one of them".to_owned()
            );
        }
        if self.access_key.is_some() && self.sas_token.is_some() {
            return Err("it has an access key and a SAS token, expected one of them".to_owned());
        }
        if self.account.is_none() && (self.access_key.is_some() || self.sas_token.is_some()) {
            return Err("it has credentials but no account, expected the account's name".to_owned());
        }
        if let Some(account) = self.account.as_deref().filter(|name| !is_account(name)) {
            return Err(format!(
                "found the account {account:?}, expected 3 to 24 characters of a-z and 0-9"
            ));
        }
        let fits = |region: &&String| {
            !region.is_empty()
                && region.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if let Some(region) = self.region.as_ref().filter(|region| !fits(region)) {
            return Err(format!("found the region {region:?}, expected a name like us-east-1"));
        }
        Ok(())
    }

    fn check_endpoint(&self, allow_private_endpoints: bool) -> std::result::Result<(), String> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let Ok(url) = reqwest::Url::parse(endpoint) else {
            return Err(format!("the endpoint {endpoint:?} is no URL"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the endpoint has a user in it, expected keys as settings".to_owned());
        }
        match url.scheme() {
            "https" => {}
            "http" if self.trusted_endpoint => {}
            "http" => {
                return Err(format!(
                    "the endpoint {endpoint} is plain http, which the operator has to allow: \
                     --allow-endpoint"
                ));
            }
            other => return Err(format!("found the endpoint scheme {other:?}, expected https")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the endpoint has a query or fragment, expected none".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        if address.is_some_and(guard::is_never_a_store) && !allow_private_endpoints {
            return Err(format!(
                "the endpoint {endpoint} is a link-local or unspecified address, which has to be \
                 allowed explicitly"
            ));
        }
        if address.is_some_and(guard::is_private) && !self.trusted_endpoint {
            return Err(format!(
                "the endpoint {endpoint} is a private address, which the operator has to allow: \
                 --allow-endpoint"
            ));
        }
        Ok(())
    }

    /// Whether it is fit to be made by a request: its name can stand in a
    /// URL, nothing in it is a path of this machine, and it has a bounded size.
    pub(super) fn check_request(&self) -> Result<()> {
        let refuse = |problem: String| Err(Error::invalid(format!("integration: {problem}")));
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let id = &self.id;
        if !(1..=limits::STORED_INTEGRATION_ID_CHARS_MAX).contains(&id.len())
            || !id.chars().all(in_name)
            || !id.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            let shown: String = id.chars().take(limits::QUOTED_CHARS_MAX).collect();
            return refuse(format!(
                "found the id {shown:?}, expected 1 to {} letters, digits, '-', '_' and '.', a \
                 letter or digit first",
                limits::STORED_INTEGRATION_ID_CHARS_MAX
            ));
        }
        if self.service_account_file.is_some() {
            return refuse("a service account's file is a setting of the server only".to_owned());
        }
        let secrets = self.secrets();
        let texts = [&self.endpoint, &self.region, &self.account].into_iter().flatten();
        let bytes = texts.map(String::len).chain(secrets.map(|secret| secret.0.len()));
        let limit = limits::INTEGRATION_FIELD_BYTES_MAX;
        if let Some(found) =
            bytes.chain(self.buckets.iter().map(String::len)).find(|bytes| *bytes > limit)
        {
            return refuse(format!("found a setting of {found} bytes, expected at most {limit}"));
        }
        if self.buckets.len() > limits::INTEGRATION_BUCKETS_MAX {
            let (found, limit) = (self.buckets.len(), limits::INTEGRATION_BUCKETS_MAX);
            return refuse(format!("found {found} buckets, expected at most {limit}"));
        }
        Ok(())
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [
            &self.access_key_id,
            &self.secret_access_key,
            &self.session_token,
            &self.service_account_key,
            &self.access_key,
            &self.sas_token,
        ]
        .into_iter()
        .flatten()
    }

    /// Everything of it, secrets too, for the one document that keeps it.
    pub(super) fn to_stored(&self) -> serde_json::Value {
        let mut fields = serde_json::Map::new();
        fields.insert("id".to_owned(), self.id.clone().into());
        fields.insert("kind".to_owned(), self.kind.as_str().into());
        fields.insert("buckets".to_owned(), self.buckets.clone().into());
        let texts =
            [("endpoint", &self.endpoint), ("region", &self.region), ("account", &self.account)];
        let secrets = [
            ("access-key-id", &self.access_key_id),
            ("secret-access-key", &self.secret_access_key),
            ("session-token", &self.session_token),
            ("service-account-key", &self.service_account_key),
            ("access-key", &self.access_key),
            ("sas-token", &self.sas_token),
        ];
        let set = texts.iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
        let hidden =
            secrets.iter().filter_map(|(name, secret)| Some((name, secret.as_ref()?.expose())));
        fields.extend(set.chain(hidden).map(|(name, text)| ((*name).to_owned(), text.into())));
        if let Some(path_style) = self.path_style {
            fields.insert("path-style".to_owned(), path_style.into());
        }
        serde_json::Value::Object(fields)
    }
}

/// Azure's rule for names of storage accounts.
pub(super) fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
