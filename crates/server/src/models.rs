//! Models: embedding, reranking and what models there are, each by one call
//! of the port. Where a model runs is the operator's setting, and without one
//! every call here says which setting that is.

use crossbill_core::{Error, Result};
use crossbill_db::IndexInfo;
use crossbill_inference::{EmbedTexts, Embeddings, Inference, ModelKind, RankDocuments, Ranked};
use crossbill_wire::inference::{
    DenseEmbedding, EmbedRequest, EmbedUsage, EmbeddingsList, ModelInfo, ModelInfoList,
    RankedDocument, RerankRequest, RerankResult, RerankUsage,
};
use crossbill_wire::{CreateForModel, EmbedSettings, Status, StoredEmbed};

use crate::backups::make_index;
use crate::call::{Answer, Call, Reply};
use crate::control::{model, open_port, stored_spec};
use crate::error::ApiError;

/// What is embedded to find out a model's dimension.
const PROBE: &str = "dimension";

/// The port, where the operator has set it up. Not found and not 501: a
/// TypeScript client tries that three times more, and then hides the sentence.
fn port(call: &Call) -> Result<&dyn Inference> {
    call.shared.config.inference.as_deref().ok_or_else(|| {
        Error::not_found(
            "this server has no models: its operator can name some with --embedding-url and \
             --embedding-model, and with --rerank-url and --rerank-model",
        )
    })
}

/// A vector for each text.
pub(crate) fn embed_texts(call: &Call, asked: &EmbedTexts<'_>) -> Result<Embeddings> {
    port(call)?.embed(asked, &|| call.check_wanted().is_err())
}

/// The best documents, best first.
pub(crate) fn rank(call: &Call, asked: &RankDocuments<'_>) -> Result<Vec<Ranked>> {
    port(call)?.rerank(asked, &|| call.check_wanted().is_err())
}

/// Vectors of texts for an index, which all have its dimension.
pub(crate) fn embed_for(
    call: &Call,
    info: &IndexInfo,
    embed: &StoredEmbed,
    texts: &[&str],
) -> Result<Embeddings> {
    let asked = EmbedTexts { model: &embed.model, texts, dimension: embed.asked_dimension };
    let found = embed_texts(call, &asked)?;
    let dimension = info.shape.dimension;
    match found.vectors.iter().find(|vector| vector.len() != dimension as usize) {
        None => Ok(found),
        Some(vector) => Err(Error::upstream(format!(
            "model {} gives {} components now, expected the {dimension} of the index: another \
             model may stand behind the name in the server's settings",
            embed.model,
            vector.len()
        ))),
    }
}

/// How the records of an index are embedded, where they are.
pub(crate) fn embed_of(info: &IndexInfo) -> Option<StoredEmbed> {
    stored_spec(info.spec_json.as_deref(), &info.cloud, &info.region).embed
}

/// The dimension of a model's vectors.
fn probe(call: &Call, model: &str, dimension: Option<u32>) -> Result<u32> {
    let found = embed_texts(call, &EmbedTexts { model, texts: &[PROBE], dimension })?;
    let components = found.vectors.first().map_or(0, Vec::len);
    u32::try_from(components).map_err(|error| Error::internal(error.to_string()))
}

/// `POST /indexes/create-for-model`: the index has the dimension that the
/// model's first answer has; it is ready and listens when this answers.
pub(crate) fn create_for_model(call: &Call) -> Answer {
    port(call)?;
    let request: CreateForModel = call.json()?;
    let mut plan = request.into_plan(call.shared.config.vector_storage, call.limits())?;
    let own = probe(call, &plan.embed.model, None)?;
    let dimension = match plan.embed.asked_dimension.filter(|asked| *asked != own) {
        Some(asked) => probe(call, &plan.embed.model, Some(asked))?,
        None => {
            plan.embed.asked_dimension = None;
            own
        }
    };
    call.check_wanted()?;
    let plan = plan.with_dimension(dimension, call.limits())?;
    let name = plan.name.clone();
    let name = name.ok_or_else(|| ApiError::internal("a plan for a model has a name"))?;
    let info = make_index(&call.shared.db, plan, name)?;
    open_port(call, &info)?;
    Reply::json(201, &model(call, &info))
}

/// What the catalog is to keep of an index once `change` is made to how its
/// records are embedded.
pub(crate) fn changed_spec(call: &Call, info: &IndexInfo, change: EmbedSettings) -> Result<String> {
    let mut stored = stored_spec(info.spec_json.as_deref(), &info.cloud, &info.region);
    let before = stored.embed.take();
    let is_new = before.is_none();
    let embed = change.change(before)?;
    if is_new {
        let found = probe(call, &embed.model, None)?;
        let dimension = info.shape.dimension;
        if found != dimension {
            return Err(Error::invalid(format!(
                "model {} gives {found} components, expected the {dimension} of the index",
                embed.model
            )));
        }
    }
    stored.embed = Some(embed);
    serde_json::to_string(&stored)
        .map_err(|error| Error::internal(format!("a spec cannot be written: {error}")))
}

/// `POST /embed`.
pub(crate) fn embed(call: &Call) -> Answer {
    port(call)?;
    let request: EmbedRequest = call.json()?;
    let (texts, dimension) = (request.texts(call.limits().text_records)?, request.dimension()?);
    let asked = EmbedTexts { model: &request.model, texts: &texts, dimension };
    let found = embed_texts(call, &asked)?;
    let dense = |values| DenseEmbedding { values, vector_type: "dense".to_owned() };
    let answer = EmbeddingsList {
        data: found.vectors.into_iter().map(dense).collect(),
        usage: EmbedUsage { total_tokens: found.tokens },
        vector_type: "dense".to_owned(),
        model: request.model,
    };
    Reply::json(200, &answer)
}

/// `POST /rerank`.
pub(crate) fn rerank(call: &Call) -> Answer {
    port(call)?;
    let request: RerankRequest = call.json()?;
    let (documents, top_n) = (request.documents(call.limits().rerank_documents)?, request.top_n()?);
    let texts: Vec<&str> = documents.iter().map(|(_, text)| text.as_str()).collect();
    let asked =
        RankDocuments { model: &request.model, query: &request.query, documents: &texts, top_n };
    let ranked = rank(call, &asked)?;
    let shown = request.return_documents.unwrap_or(true);
    let document = |ranked: Ranked| RankedDocument {
        index: ranked.index,
        score: ranked.score,
        document: documents.get(ranked.index).filter(|_| shown).map(|found| found.0.clone()),
    };
    let answer = RerankResult {
        data: ranked.into_iter().map(document).collect(),
        usage: RerankUsage { rerank_units: 1 },
        model: request.model.clone(),
    };
    Reply::json(200, &answer)
}

fn info(call: &Call, model: crossbill_inference::Model) -> ModelInfo {
    let limits = call.limits();
    match model.kind {
        ModelKind::Embed => ModelInfo::embed(model.name, model.dimension, limits.text_records),
        ModelKind::Rerank => ModelInfo::rerank(model.name, limits.rerank_documents),
    }
}

/// `GET /models`.
pub(crate) fn list(call: &Call) -> Answer {
    let is = |wanted: Option<&str>, found: Option<&str>| wanted.is_none() || wanted == found;
    let (kind, vector_type) = (call.query("type"), call.query("vector_type"));
    let models = port(call)?.models().into_iter().map(|model| info(call, model));
    let models = models
        .filter(|info| is(kind, Some(&info.kind)) && is(vector_type, info.vector_type.as_deref()))
        .collect();
    Reply::json(200, &ModelInfoList { models })
}

/// `GET /models/{name}`, with its dimension where its endpoint answers.
pub(crate) fn describe(call: &Call) -> Answer {
    let name = call.param("name");
    let find = || Ok::<_, Error>(port(call)?.models().into_iter().find(|one| one.name == name));
    let mut found = find()?;
    if found.as_ref().is_some_and(|one| one.kind == ModelKind::Embed && one.dimension.is_none()) {
        // Whether it answers now is not what was asked.
        if let Err(error) = probe(call, name, None) {
            tracing::info!(model = name, %error, "the dimension of a model is not known yet");
        }
        found = find()?;
    }
    match found {
        Some(model) => Reply::json(200, &info(call, model)),
        None => Err(ApiError::not_found(format!("Model {name} not found."))),
    }
}

/// `POST /indexes/{name}`, which only `create-for-model` takes: that is also a
/// good name for an index.
pub(crate) fn post_index(call: &Call) -> Answer {
    match call.param("name") {
        "create-for-model" => create_for_model(call),
        name => Err(ApiError {
            allow: Some("GET,HEAD,PATCH,DELETE"),
            ..ApiError::with_status(
                Status::METHOD_NOT_ALLOWED,
                format!("/indexes/{name} does not take POST"),
            )
        }),
    }
}
