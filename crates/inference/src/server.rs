//! A model server behind the port: which models there are, which endpoint is
//! asked, and what an answer that is no success means.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbill_core::limits::{
    MODEL_ANSWER_BYTES_MAX, MODEL_NAME_CHARS_MAX, MODELS_MAX, QUOTED_CHARS_MAX, TEXT_RECORDS_MAX,
};
use crossbill_core::{Error, Result};
use crossbill_store::{Endpoint, EndpointAnswer, EndpointOptions, Secret};
use parking_lot::Mutex;
use serde_json::Value;

use crate::rerank::RerankShape;
use crate::{
    EmbedTexts, Embeddings, Inference, Model, ModelKind, RankDocuments, Ranked, Stop, embedding,
    rerank,
};

/// Where texts are embedded.
#[derive(Debug, Clone)]
pub struct EmbeddingOptions {
    /// The address that is posted to, such as `http://127.0.0.1:8080/v1/embeddings`.
    pub url: String,
    /// Its key.
    pub key: Option<Secret>,
    /// Names that clients use, and the names of these models there.
    pub models: BTreeMap<String, String>,
    /// Texts of one request.
    pub batch: usize,
}

/// Where documents are ranked.
#[derive(Debug, Clone)]
pub struct RerankOptions {
    /// The address that is posted to, such as `http://127.0.0.1:8080/rerank`.
    pub url: String,
    /// Its key.
    pub key: Option<Secret>,
    /// Names that clients use, and the names of these models there.
    pub models: BTreeMap<String, String>,
    /// How the documents are sent.
    pub shape: RerankShape,
}

/// The endpoints and their bounds.
#[derive(Debug, Clone)]
pub struct ModelServerOptions {
    /// Where texts are embedded; nowhere where absent.
    pub embedding: Option<EmbeddingOptions>,
    /// Where documents are ranked; nowhere where absent.
    pub rerank: Option<RerankOptions>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Requests to each endpoint under way at once.
    pub at_once: usize,
}

/// The adapter for model servers over HTTP.
#[derive(Debug)]
pub struct ModelServer {
    embedding: Option<(Endpoint, EmbeddingOptions)>,
    rerank: Option<(Endpoint, RerankOptions)>,
    /// What calls found.
    dimensions: Mutex<BTreeMap<String, u32>>,
}

impl ModelServer {
    /// Checks the settings and contacts nobody.
    pub fn new(options: ModelServerOptions) -> Result<Self> {
        let endpoint = |what, url: &str, key: &Option<Secret>| {
            let (url, key) = (url.to_owned(), key.clone());
            let (timeout, at_once) = (options.timeout, options.at_once);
            let answer_bytes_max = MODEL_ANSWER_BYTES_MAX;
            Endpoint::new(what, EndpointOptions { url, key, timeout, at_once, answer_bytes_max })
        };
        let embedding = options.embedding.clone().map(|mut own| {
            check_models("embedding", &own.models)?;
            own.batch = own.batch.clamp(1, TEXT_RECORDS_MAX);
            Ok::<_, Error>((endpoint("the embedding endpoint", &own.url, &own.key)?, own))
        });
        let rerank = options.rerank.clone().map(|own| {
            check_models("rerank", &own.models)?;
            Ok::<_, Error>((endpoint("the rerank endpoint", &own.url, &own.key)?, own))
        });
        let (embedding, rerank) = (embedding.transpose()?, rerank.transpose()?);
        Ok(Self { embedding, rerank, dimensions: Mutex::default() })
    }

    /// One request's worth of texts.
    fn embed_batch(
        &self,
        (endpoint, there): (&Endpoint, &str),
        asked: &EmbedTexts<'_>,
        texts: &[&str],
        stop: Stop<'_>,
    ) -> Result<Embeddings> {
        let answer = endpoint.post(embedding::request(there, texts, asked.dimension), stop)?;
        check_status("the embedding endpoint", endpoint, &answer)?;
        let wrong = |found: String| {
            Error::upstream(format!(
                "the embedding endpoint at {} {found}, expected {} vectors of finite numbers",
                endpoint.host(),
                texts.len()
            ))
        };
        embedding::read(&answer.body, texts.len()).map_err(wrong)
    }
}

impl Inference for ModelServer {
    fn models(&self) -> Vec<Model> {
        let known = self.dimensions.lock();
        let embed = self.embedding.iter().flat_map(|(_, own)| own.models.keys());
        let rerank = self.rerank.iter().flat_map(|(_, own)| own.models.keys());
        let model = |name: &String, kind, dimension| Model { name: name.clone(), kind, dimension };
        embed
            .map(|name| model(name, ModelKind::Embed, known.get(name).copied()))
            .chain(rerank.map(|name| model(name, ModelKind::Rerank, None)))
            .collect()
    }

    fn embed(&self, asked: &EmbedTexts<'_>, stop: Stop<'_>) -> Result<Embeddings> {
        let (endpoint, own) = self.embedding.as_ref().ok_or_else(no_embedding)?;
        let there = own.models.get(asked.model).ok_or_else(|| no_model(asked.model))?;
        let mut all = Embeddings { vectors: Vec::with_capacity(asked.texts.len()), tokens: 0 };
        for texts in asked.texts.chunks(own.batch) {
            let part = self.embed_batch((endpoint, there), asked, texts, stop)?;
            all.vectors.extend(part.vectors);
            all.tokens = all.tokens.saturating_add(part.tokens);
        }
        let dimension = all.vectors.first().map_or(0, Vec::len);
        if let Some(other) = all.vectors.iter().find(|vector| vector.len() != dimension) {
            return Err(Error::upstream(format!(
                "the embedding endpoint at {} answered vectors of {dimension} and of {} \
                 components, expected one dimension",
                endpoint.host(),
                other.len()
            )));
        }
        match asked.dimension {
            Some(wanted) if wanted as usize != dimension => Err(Error::invalid(format!(
                "dimension is {wanted}, expected {dimension}: model {} gives no other",
                asked.model
            ))),
            Some(_) => Ok(all),
            None => {
                let found = u32::try_from(dimension).unwrap_or(u32::MAX);
                self.dimensions.lock().insert(asked.model.to_owned(), found);
                Ok(all)
            }
        }
    }

    fn rerank(&self, asked: &RankDocuments<'_>, stop: Stop<'_>) -> Result<Vec<Ranked>> {
        let (endpoint, own) = self.rerank.as_ref().ok_or_else(no_rerank)?;
        let there = own.models.get(asked.model).ok_or_else(|| no_model(asked.model))?;
        if asked.documents.is_empty() {
            return Ok(Vec::new());
        }
        let answer = endpoint.post(rerank::request(own.shape, there, asked), stop)?;
        check_status("the rerank endpoint", endpoint, &answer)?;
        let (documents, top_n) = (asked.documents.len(), asked.top_n.min(asked.documents.len()));
        rerank::read(&answer.body, documents, top_n).map_err(|found| {
            Error::upstream(format!(
                "the rerank endpoint at {} {found}, expected scores of {top_n} documents",
                endpoint.host()
            ))
        })
    }
}

fn no_embedding() -> Error {
    Error::not_found(
        "this server has no embedding model: its operator can name one with --embedding-url and \
         --embedding-model",
    )
}

fn no_rerank() -> Error {
    Error::not_found(
        "this server has no rerank model: its operator can name one with --rerank-url and \
         --rerank-model",
    )
}

fn no_model(name: &str) -> Error {
    let shown: String = name.chars().take(QUOTED_CHARS_MAX).collect();
    Error::not_found(format!("Model {shown} not found."))
}

fn check_models(what: &str, models: &BTreeMap<String, String>) -> Result<()> {
    if !(1..=MODELS_MAX).contains(&models.len()) {
        return Err(Error::invalid(format!(
            "found {} {what} models, expected 1 to {MODELS_MAX}",
            models.len()
        )));
    }
    let good = |name: &String| (1..=MODEL_NAME_CHARS_MAX).contains(&name.chars().count());
    match models.iter().find(|(name, there)| !good(name) || !good(there)) {
        Some((name, there)) => Err(Error::invalid(format!(
            "the {what} model {name}={there} is refused, expected names of 1 to \
             {MODEL_NAME_CHARS_MAX} characters"
        ))),
        None => Ok(()),
    }
}

/// What an answer that is no success means: the input was refused, the
/// endpoint is busy or down, or it does not take what we say at all.
fn check_status(what: &str, endpoint: &Endpoint, answer: &EndpointAnswer) -> Result<()> {
    let (status, host) = (answer.status, endpoint.host());
    let said = said(&answer.body);
    match status {
        200..=299 => Ok(()),
        400 | 413 | 422 => {
            Err(Error::invalid(format!("{what} at {host} refused the input ({status}){said}")))
        }
        408 | 429 | 500..=599 => {
            Err(Error::unavailable(format!("{what} at {host} failed ({status}){said}")))
        }
        _ => Err(Error::upstream(format!(
            "{what} at {host} answered {status}{said}, expected 200: its address, key or model's \
             name in the server's settings may be wrong"
        ))),
    }
}

/// The message of an error's body, shortened; nothing where none is found.
fn said(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let places = ["/error/message", "/message", "/error", "/detail"];
    let found = places.iter().find_map(|place| body.pointer(place)?.as_str());
    found.map_or(String::new(), |text| {
        let shown: String = text
            .chars()
            .filter(|character| !character.is_control())
            .take(2 * QUOTED_CHARS_MAX)
            .collect();
        format!(": {shown}")
    })
}

#[cfg(test)]
mod tests {
    use crossbill_core::ErrorKind;

    use super::*;

    fn options(models: &[(&str, &str)]) -> ModelServerOptions {
        let named = |(name, there): &(&str, &str)| ((*name).to_owned(), (*there).to_owned());
        ModelServerOptions {
            embedding: Some(EmbeddingOptions {
                url: "http://127.0.0.1:9/v1/embeddings".to_owned(),
                key: None,
                models: models.iter().map(named).collect(),
                batch: 32,
            }),
            rerank: None,
            timeout: Duration::from_secs(5),
            at_once: 1,
        }
    }

    #[test]
    fn models_are_known_by_the_names_that_clients_use() {
        let server = ModelServer::new(options(&[("e5", "intfloat/e5")])).unwrap();
        let expected = Model { name: "e5".to_owned(), kind: ModelKind::Embed, dimension: None };
        assert_eq!(server.models(), [expected]);
        let embed = |model| {
            let asked = EmbedTexts { model, texts: &["a"], dimension: None };
            server.embed(&asked, &|| false).unwrap_err().kind()
        };
        assert_eq!(embed("intfloat/e5"), ErrorKind::NotFound);
        assert_eq!(embed("e5"), ErrorKind::Unavailable);
        let asked = RankDocuments { model: "e5", query: "q", documents: &["d"], top_n: 1 };
        let error = server.rerank(&asked, &|| false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("--rerank-url"));
        assert!(ModelServer::new(options(&[])).is_err());
        assert!(ModelServer::new(options(&[("", "a")])).is_err());
    }

    #[test]
    fn what_an_endpoint_says_is_shortened() {
        assert_eq!(said(br#"{"error":{"message":"too long"}}"#), ": too long");
        assert_eq!(said(br#"{"error":"no\nmodel"}"#), ": nomodel");
        assert_eq!(said(b"<html>"), "");
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(1000));
        assert!(said(long.as_bytes()).len() < 200);
    }
}
