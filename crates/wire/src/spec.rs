//! Where an index says it runs: `spec` of the classic dialect, `deployment`
//! of the 2026-07 one, and what the catalog keeps so that both can be given
//! back. All of them run here; the words change nothing.

use std::collections::BTreeMap;

use crossbill_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe;
use crate::{Schema, SchemaField, StoredEmbed};

/// The cloud an index is said to run in where the request names none.
const DEFAULT_CLOUD: &str = "aws";
/// The region, likewise.
const DEFAULT_REGION: &str = "us-east-1";

/// `read_capacity`. Requests may ask for dedicated nodes; the answer is
/// always on demand, for that is what this server does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadCapacity {
    /// `OnDemand` or `Dedicated`.
    #[serde(default)]
    pub mode: String,
    /// In answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReadStatus>,
}

/// `status` of [`ReadCapacity`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadStatus {
    /// `Ready`.
    #[serde(default)]
    pub state: String,
}

impl ReadCapacity {
    /// What every answer says.
    pub fn on_demand() -> Self {
        let status = ReadStatus { state: "Ready".to_owned() };
        Self { mode: "OnDemand".to_owned(), status: Some(status) }
    }
}

/// `spec.serverless`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerlessSpec {
    /// Such as `aws`.
    pub cloud: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// On demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_capacity: Option<ReadCapacity>,
    /// The collection whose records it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_collection: Option<String>,
    /// Filterable metadata fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<crate::Schema>,
}

/// `spec.pod`: accepted as equivalent to serverless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodSpec {
    /// Such as `us-east1-gcp`.
    pub environment: String,
    /// Such as `p1.x1`.
    #[serde(default = "pod_type")]
    pub pod_type: String,
    /// Copies; no effect.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Parts; no effect.
    #[serde(default = "one")]
    pub shards: u32,
    /// Copies times parts; no effect.
    #[serde(default = "one")]
    pub pods: u32,
    /// The collection whose records it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_collection: Option<String>,
    /// Which metadata fields can be filtered by; here all can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_config: Option<PodMetadata>,
}

/// `metadata_config` of [`PodSpec`]: kept and given back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PodMetadata {
    /// Names of metadata fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexed: Option<Vec<String>>,
}

fn pod_type() -> String {
    "p1.x1".to_owned()
}

fn one() -> u32 {
    1
}

/// `spec.byoc`: accepted as equivalent to serverless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ByocSpec {
    /// The environment's name.
    pub environment: String,
    /// On demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_capacity: Option<ReadCapacity>,
    /// Filterable metadata fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<crate::Schema>,
}

/// `spec` of the classic dialect: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Spec {
    /// Serverless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serverless: Option<ServerlessSpec>,
    /// Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSpec>,
    /// The customer's own cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byoc: Option<ByocSpec>,
}

/// `deployment` of the 2026-07 dialect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// `managed`, `pod` or `byoc`; managed where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::DeploymentWord>")]
    pub deployment_type: Option<String>,
    /// Of managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    /// Of managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Of pod and byoc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Of pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_type: Option<String>,
    /// Of pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Of pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
}

/// Where an index says it runs, in neither dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Placement {
    /// Serverless, or managed.
    Managed {
        /// Such as `aws`.
        cloud: String,
        /// Such as `us-east-1`.
        region: String,
    },
    /// Pods.
    Pod(PodSpec),
    /// The customer's own cloud.
    Byoc {
        /// The environment's name.
        environment: String,
    },
}

/// What the catalog keeps of a create request so that describe can answer in
/// both dialects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredSpec {
    /// Where it says it runs.
    pub placement: Placement,
    /// Whether the schema named the sparse field beside the dense one.
    #[serde(default)]
    pub sparse_field: bool,
    /// The metadata fields that the schema named.
    #[serde(default)]
    pub metadata_fields: BTreeMap<String, SchemaField>,
    /// How its records are embedded, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<StoredEmbed>,
    /// The schema of an index of documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_schema: Option<Schema>,
}

impl StoredSpec {
    /// What is kept of an index whose request named no more than where it runs.
    pub fn of(placement: Placement) -> Self {
        Self {
            placement,
            sparse_field: false,
            metadata_fields: BTreeMap::new(),
            embed: None,
            document_schema: None,
        }
    }
}

impl Placement {
    /// The default one.
    pub fn managed() -> Self {
        Self::Managed { cloud: DEFAULT_CLOUD.to_owned(), region: DEFAULT_REGION.to_owned() }
    }

    /// Whether it says that it runs on pods.
    pub fn is_pod(&self) -> bool {
        matches!(self, Placement::Pod(_))
    }

    /// The cloud and region, as far as the placement has them.
    pub fn cloud_and_region(&self) -> (String, String) {
        match self {
            Placement::Managed { cloud, region } => (cloud.clone(), region.clone()),
            Placement::Pod(PodSpec { environment, .. }) | Placement::Byoc { environment } => {
                (DEFAULT_CLOUD.to_owned(), environment.clone())
            }
        }
    }

    /// The classic dialect's form.
    pub(crate) fn spec(&self) -> Spec {
        let read_capacity = Some(ReadCapacity::on_demand());
        match self.clone() {
            Placement::Managed { cloud, region } => Spec {
                serverless: Some(ServerlessSpec {
                    cloud,
                    region,
                    read_capacity,
                    source_collection: None,
                    schema: None,
                }),
                ..Spec::default()
            },
            Placement::Pod(pod) => Spec { pod: Some(pod), ..Spec::default() },
            Placement::Byoc { environment } => Spec {
                byoc: Some(ByocSpec { environment, read_capacity, schema: None }),
                ..Spec::default()
            },
        }
    }

    /// The 2026-07 dialect's form.
    pub(crate) fn deployment(&self) -> Deployment {
        let named = |name: &str| Some(name.to_owned());
        match self.clone() {
            Placement::Managed { cloud, region } => Deployment {
                deployment_type: named("managed"),
                cloud: Some(cloud),
                region: Some(region),
                ..Deployment::default()
            },
            Placement::Pod(pod) => Deployment {
                deployment_type: named("pod"),
                environment: Some(pod.environment),
                pod_type: Some(pod.pod_type),
                replicas: Some(pod.replicas),
                shards: Some(pod.shards),
                ..Deployment::default()
            },
            Placement::Byoc { environment } => Deployment {
                deployment_type: named("byoc"),
                environment: Some(environment),
                ..Deployment::default()
            },
        }
    }
}

impl Spec {
    /// The placement, and the metadata fields that came with it.
    pub(crate) fn into_placement(self) -> Result<(Placement, BTreeMap<String, SchemaField>)> {
        let fields = |schema: Option<crate::Schema>| schema.unwrap_or_default().fields;
        match (self.serverless, self.pod, self.byoc) {
            (Some(spec), None, None) => {
                let placement = Placement::Managed { cloud: spec.cloud, region: spec.region };
                Ok((placement, fields(spec.schema)))
            }
            (None, Some(pod), None) => Ok((Placement::Pod(pod), BTreeMap::new())),
            (None, None, Some(spec)) => {
                Ok((Placement::Byoc { environment: spec.environment }, fields(spec.schema)))
            }
            (None, None, None) => {
                Err(Error::invalid("spec is empty, expected one of serverless, pod and byoc"))
            }
            _ => Err(Error::invalid(
                "spec has more than one of serverless, pod and byoc, expected one of them",
            )),
        }
    }
}

impl Deployment {
    /// Whether it asks for pods.
    pub(crate) fn is_pod(&self) -> bool {
        self.deployment_type.as_deref() == Some("pod")
    }

    /// The placement.
    pub(crate) fn into_placement(self) -> Result<Placement> {
        let environment = |found: Option<String>| {
            found.ok_or_else(|| Error::invalid("deployment has no environment, expected one"))
        };
        match self.deployment_type.as_deref() {
            None | Some("managed") => Ok(Placement::Managed {
                cloud: self.cloud.unwrap_or_else(|| DEFAULT_CLOUD.to_owned()),
                region: self.region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            }),
            Some("pod") => {
                let (replicas, shards) = (self.replicas.unwrap_or(1), self.shards.unwrap_or(1));
                Ok(Placement::Pod(PodSpec {
                    environment: environment(self.environment)?,
                    pod_type: self.pod_type.unwrap_or_else(pod_type),
                    replicas,
                    shards,
                    pods: replicas.saturating_mul(shards),
                    source_collection: None,
                    metadata_config: None,
                }))
            }
            Some("byoc") => Ok(Placement::Byoc { environment: environment(self.environment)? }),
            Some(other) => Err(Error::invalid(format!(
                "deployment_type is {other:?}, expected managed, pod or byoc"
            ))),
        }
    }
}
