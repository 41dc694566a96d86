//! Bodies of the index calls, in the union of both dialects: every answer
//! carries the classic keys (`metric`, `dimension`, `spec`) and those of
//! 2026-07 (`schema`, `deployment`), because each client ignores the other's.

use std::collections::BTreeMap;

use crossbill_core::limits::{DIMENSION_MAX, RECALL_TARGET};
use crossbill_core::{
    DocumentFields, Error, IndexName, IndexShape, Metric, RequestLimits, Result, TextSchema,
    VectorStorage, VectorType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ApiVersion;
use crate::backups::PlanSource;
use crate::describe;
use crate::documents::schema::DocumentPlan;
use crate::integrated::{EmbedModel, EmbedSettings};
use crate::schema::{Schema, SchemaField, checked_dimension, checked_metric};
use crate::spec::{Deployment, Placement, ReadCapacity, Spec, StoredSpec};

/// `POST /indexes`, either dialect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreateIndex {
    /// Required in the classic dialect; made up here where the other leaves
    /// it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::IndexName>")]
    pub name: Option<String>,
    /// Classic: of a dense index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = DIMENSION_MAX))]
    pub dimension: Option<u64>,
    /// Classic: cosine where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::MetricWord>")]
    pub metric: Option<String>,
    /// Classic: dense where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::VectorTypeWord>")]
    pub vector_type: Option<String>,
    /// Ours, in both dialects: how full vectors are kept; the server's default
    /// where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::StorageWord>")]
    pub vector_storage: Option<String>,
    /// Classic: where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
    /// 2026-07: what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// 2026-07: where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// `enabled` or `disabled`; disabled where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::ProtectionWord>")]
    pub deletion_protection: Option<String>,
    /// At most 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Tags>")]
    pub tags: Option<BTreeMap<String, String>>,
    /// The collection whose records it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_collection: Option<String>,
    /// The backup whose records it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_backup_id: Option<String>,
    /// Refused: nothing is encrypted with the caller's keys here, and an index
    /// must not seem to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmek_id: Option<String>,
}

/// A create request, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexPlan {
    /// The name, where the request has one.
    pub name: Option<IndexName>,
    /// What it fixes about its records.
    pub shape: IndexShape,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether a delete is refused.
    pub deletion_protection: bool,
    /// What the catalog keeps.
    pub stored: StoredSpec,
    /// Which fields hold the vectors, in an index of documents.
    pub documents: Option<DocumentFields>,
    /// Which fields are searched as text.
    pub text: TextSchema,
    /// What it begins with; nothing where absent.
    pub source: Option<PlanSource>,
    /// Whether the request says how full vectors are kept.
    pub names_storage: bool,
}

impl CreateIndex {
    /// Checks the request in whichever dialect it speaks. A dense index that
    /// does not say how its vectors are kept keeps them as `storage`.
    pub fn into_plan(
        self,
        version: ApiVersion<'_>,
        storage: VectorStorage,
        limits: &RequestLimits,
    ) -> Result<IndexPlan> {
        let source = self.source()?;
        if self.cmek_id.is_some() {
            return Err(Error::unsupported("this server does not encrypt with keys of its users"));
        }
        self.check_pods(version)?;
        let named = |name| IndexName::within(name, limits.index_name_chars);
        let name = self.name.as_deref().map(named).transpose()?;
        let tags = checked_tags(self.tags.clone().unwrap_or_default(), limits)?;
        let deletion_protection = match &self.deletion_protection {
            Some(word) => checked_protection(word)?,
            None => false,
        };
        let asked = self.vector_storage.as_deref().map(checked_storage).transpose()?;
        let (shape, stored, planned) = match self.schema.is_some() {
            true => self.schema_dialect(version, limits)?,
            false => {
                let (shape, stored) = self.classic_dialect(name.is_some(), limits)?;
                (shape, stored, None)
            }
        };
        let shape = match (shape.vector_type, asked) {
            (VectorType::Dense, asked) => shape.stored_as(asked.unwrap_or(storage)),
            (VectorType::Sparse, None) => shape,
            (VectorType::Sparse, Some(asked)) => {
                return Err(Error::invalid(format!(
                    "vector_storage is {}, expected none: the index has no dense vectors",
                    asked.as_str()
                )));
            }
        };
        let (documents, text) = planned.map(|plan| (plan.fields, plan.text)).unzip();
        Ok(IndexPlan {
            name,
            shape,
            tags,
            deletion_protection,
            stored,
            documents,
            text: text.unwrap_or_default(),
            source,
            names_storage: asked.is_some(),
        })
    }

    /// The one source that the request names, wherever it does.
    fn source(&self) -> Result<Option<PlanSource>> {
        let spec = self.spec.as_ref();
        let serverless = spec.and_then(|spec| spec.serverless.as_ref());
        let pod = spec.and_then(|spec| spec.pod.as_ref());
        let collections = [
            self.source_collection.as_ref(),
            serverless.and_then(|spec| spec.source_collection.as_ref()),
            pod.and_then(|spec| spec.source_collection.as_ref()),
        ];
        let collections = collections.into_iter().flatten().cloned().map(PlanSource::Collection);
        let backup = self.source_backup_id.iter().cloned().map(PlanSource::Backup);
        let mut named: Vec<PlanSource> = collections.chain(backup).collect();
        named.dedup();
        match named.len() {
            0 | 1 => Ok(named.pop()),
            found => Err(Error::invalid(format!(
                "found {found} sources, expected at most one collection or backup"
            ))),
        }
    }

    fn check_pods(&self, version: ApiVersion<'_>) -> Result<()> {
        let asked = self.deployment.as_ref().is_some_and(Deployment::is_pod)
            || self.spec.as_ref().is_some_and(|spec| spec.pod.is_some());
        if asked && version.refuses_pods() {
            return Err(Error::invalid(
                "deployment_type 'pod' is not supported on this API version",
            ));
        }
        Ok(())
    }

    fn schema_dialect(
        self,
        version: ApiVersion<'_>,
        limits: &RequestLimits,
    ) -> Result<(IndexShape, StoredSpec, Option<DocumentPlan>)> {
        if self.dimension.is_some() || self.metric.is_some() || self.vector_type.is_some() {
            return Err(Error::invalid(
                "schema was given beside dimension, metric or vector_type, expected schema alone",
            ));
        }
        let facts = self.schema.unwrap_or_default().into_facts(version, limits)?;
        let placement = match (self.deployment, self.spec) {
            (Some(deployment), None) => deployment.into_placement()?,
            (None, Some(spec)) => spec.into_placement()?.0,
            (None, None) => Placement::managed(),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("both deployment and spec were given, expected one"));
            }
        };
        let stored = StoredSpec {
            placement,
            sparse_field: facts.sparse_field,
            metadata_fields: facts.metadata_fields,
            embed: None,
            document_schema: facts.documents.as_ref().map(|plan| plan.schema.clone()),
        };
        Ok((facts.shape, stored, facts.documents))
    }

    fn classic_dialect(
        self,
        named: bool,
        limits: &RequestLimits,
    ) -> Result<(IndexShape, StoredSpec)> {
        if !named {
            return Err(Error::invalid("name is missing, expected one"));
        }
        let shape = self.classic_shape(limits)?;
        let (placement, metadata_fields) = match (self.spec, self.deployment) {
            (Some(spec), None) => spec.into_placement()?,
            (None, Some(deployment)) => (deployment.into_placement()?, BTreeMap::new()),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("both spec and deployment were given, expected one"));
            }
            (None, None) => {
                return Err(Error::invalid(
                    "spec is missing, expected one of spec.serverless, spec.pod and spec.byoc",
                ));
            }
        };
        Ok((shape, StoredSpec { metadata_fields, ..StoredSpec::of(placement) }))
    }

    fn classic_shape(&self, limits: &RequestLimits) -> Result<IndexShape> {
        let metric = self.metric.as_deref().map(checked_metric).transpose()?;
        match self.vector_type.as_deref().unwrap_or("dense") {
            "dense" => Ok(IndexShape::dense(
                checked_dimension(self.dimension, limits.dimension)?,
                metric.unwrap_or(Metric::Cosine),
            )),
            "sparse" => match (self.dimension, metric) {
                (Some(found), _) => Err(Error::invalid(format!(
                    "dimension is {found}, expected none: the index is sparse"
                ))),
                (None, None | Some(Metric::DotProduct)) => Ok(IndexShape::sparse()),
                (None, Some(other)) => Err(Error::invalid(format!(
                    "metric is {}, expected dotproduct: the index is sparse",
                    other.as_str()
                ))),
            },
            other => {
                Err(Error::invalid(format!("vector_type is {other:?}, expected dense or sparse")))
            }
        }
    }
}

/// Checks the tags that an index is made with.
pub(crate) fn checked_tags(
    tags: BTreeMap<String, String>,
    limits: &RequestLimits,
) -> Result<BTreeMap<String, String>> {
    limits.check_tags(&tags)?;
    match tags.values().any(String::is_empty) {
        true => Err(Error::invalid("a tag has an empty value, expected 1 character or more")),
        false => Ok(tags),
    }
}

fn checked_storage(word: &str) -> Result<VectorStorage> {
    VectorStorage::parse(word).ok_or_else(|| {
        Error::invalid(format!("vector_storage is {word:?}, expected f32, f16, bf16 or int8"))
    })
}

pub(crate) fn checked_protection(word: &str) -> Result<bool> {
    match word {
        "enabled" => Ok(true),
        "disabled" => Ok(false),
        _ => Err(Error::invalid(format!(
            "deletion_protection is {word:?}, expected enabled or disabled"
        ))),
    }
}

/// `PATCH /indexes/{name}`. An absent key leaves what it names; an unknown
/// one is refused, for a misspelt one would be lost silently.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigureIndex {
    /// `enabled` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::ProtectionWord>")]
    pub deletion_protection: Option<String>,
    /// Added or put over the others; an empty value removes the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::TagChanges>")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Accepted: capacity has no meaning here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Value>,
    /// Accepted likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Value>,
    /// Accepted likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_capacity: Option<Value>,
    /// Refused: what an index holds is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// How its records are embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<EmbedSettings>,
}

impl ConfigureIndex {
    /// Checks what can be checked without the index: gives the new deletion
    /// protection and the tags to merge.
    pub fn into_change(
        self,
        limits: &RequestLimits,
    ) -> Result<(Option<bool>, BTreeMap<String, String>)> {
        if self.schema.is_some() {
            return Err(Error::unsupported(
                "schema of an existing index cannot be changed on this server",
            ));
        }
        let tags = self.tags.unwrap_or_default();
        limits.check_tags(&tags)?;
        let protection = self.deletion_protection.as_deref().map(checked_protection).transpose()?;
        Ok((protection, tags))
    }
}

/// `status` of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexStatus {
    /// An index is ready as soon as it exists.
    pub ready: bool,
    /// `Ready`.
    pub state: String,
}

/// An index, in both dialects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexModel {
    /// Its name.
    pub name: String,
    /// Such as `cosine`.
    #[schemars(with = "describe::MetricWord")]
    pub metric: String,
    /// Absent in a sparse index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// `dense` or `sparse`.
    #[schemars(with = "describe::VectorTypeWord")]
    pub vector_type: String,
    /// Ours: how full vectors are kept, such as `f32`. Absent in a sparse index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::StorageWord>")]
    pub vector_storage: Option<String>,
    /// Ours: the part of the true nearest neighbours that a query aims to find
    /// where it says nothing else. Absent in a sparse index, which finds all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub recall_target: Option<f32>,
    /// Where its data plane is, scheme and port included.
    pub host: String,
    /// Always ready.
    pub status: IndexStatus,
    /// `enabled` or `disabled`.
    #[schemars(with = "describe::ProtectionWord")]
    pub deletion_protection: String,
    /// Where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Classic: where it runs.
    pub spec: Spec,
    /// 2026-07: what it holds.
    pub schema: Schema,
    /// 2026-07: where it runs.
    pub deployment: Deployment,
    /// On demand.
    pub read_capacity: ReadCapacity,
    /// Classic: how its records are embedded, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<EmbedModel>,
}

/// What an [`IndexModel`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct IndexFacts<'a> {
    /// Its name.
    pub name: &'a IndexName,
    /// What it fixes about its records.
    pub shape: &'a IndexShape,
    /// Where its data plane is.
    pub host: &'a str,
    /// Whether a delete is refused.
    pub deletion_protection: bool,
    /// Its tags.
    pub tags: &'a BTreeMap<String, String>,
    /// What the catalog kept.
    pub stored: &'a StoredSpec,
}

impl IndexModel {
    /// The answer about an index.
    pub fn of(facts: IndexFacts<'_>) -> Self {
        let IndexFacts { name, shape, host, deletion_protection, tags, stored } = facts;
        let protection = if deletion_protection { "enabled" } else { "disabled" };
        let mut spec = stored.placement.spec();
        let fields: &BTreeMap<String, SchemaField> = &stored.metadata_fields;
        if !fields.is_empty()
            && let Some(serverless) = &mut spec.serverless
        {
            serverless.schema = Some(Schema { fields: fields.clone() });
        }
        Self {
            name: name.to_string(),
            metric: shape.metric.as_str().to_owned(),
            dimension: (shape.dimension > 0).then_some(shape.dimension),
            vector_type: shape.vector_type.as_str().to_owned(),
            vector_storage: (shape.vector_type == VectorType::Dense)
                .then(|| shape.storage.as_str().to_owned()),
            recall_target: (shape.vector_type == VectorType::Dense).then_some(RECALL_TARGET),
            host: host.to_owned(),
            status: IndexStatus { ready: true, state: "Ready".to_owned() },
            deletion_protection: protection.to_owned(),
            tags: (!tags.is_empty()).then(|| tags.clone()),
            spec,
            schema: Schema::of(shape, stored),
            embed: stored.embed.as_ref().map(|embed| embed.model_of(shape)),
            deployment: stored.placement.deployment(),
            read_capacity: ReadCapacity::on_demand(),
        }
    }
}

/// Answer of `GET /indexes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexList {
    /// All indexes, by name.
    pub indexes: Vec<IndexModel>,
}

#[cfg(test)]
mod tests;
