//! From settings to the models that a server offers.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crossbill_db::Secret;
use crossbill_inference::{
    EmbeddingOptions, Inference, ModelServer, ModelServerOptions, RerankOptions,
};

use crate::args::ModelArgs;
use crate::error::{CliError, Result};

/// The models; none where no endpoint is set.
pub(crate) fn inference(args: &ModelArgs) -> Result<Option<Arc<dyn Inference>>> {
    let embedding = endpoint(
        "embedding",
        &args.embedding_url,
        (&args.embedding_key, &args.embedding_key_file),
        &args.embedding_model,
    )?;
    let rerank = endpoint(
        "rerank",
        &args.rerank_url,
        (&args.rerank_key, &args.rerank_key_file),
        &args.rerank_model,
    )?;
    if embedding.is_none() && rerank.is_none() {
        return Ok(None);
    }
    let batch = usize::from(args.embedding_batch);
    let shape = args.rerank_shape.into();
    let server = ModelServer::new(ModelServerOptions {
        embedding: embedding.map(|(url, key, models)| EmbeddingOptions { url, key, models, batch }),
        rerank: rerank.map(|(url, key, models)| RerankOptions { url, key, models, shape }),
        timeout: args.model_timeout.0,
        at_once: usize::from(args.model_concurrency),
    });
    let server = server.map_err(|error| CliError::usage(error.message()))?;
    Ok(Some(Arc::new(server)))
}

/// Address, key and models of an endpoint; nothing where none is set.
type Endpoint = (String, Option<Secret>, BTreeMap<String, String>);

fn endpoint(
    what: &str,
    url: &Option<String>,
    (key, key_file): (&Option<String>, &Option<PathBuf>),
    models: &[String],
) -> Result<Option<Endpoint>> {
    let key = match (key, key_file) {
        (Some(_), Some(_)) => {
            return Err(CliError::usage(format!(
                "found both --{what}-key and --{what}-key-file, expected one"
            )));
        }
        (Some(key), None) => Some(key.clone()),
        (None, Some(path)) => Some(fs::read_to_string(path).map_err(|error| {
            CliError::usage(format!("cannot read the key in {}: {error}", path.display()))
        })?),
        (None, None) => None,
    };
    match (url, models.is_empty()) {
        (Some(url), false) => {
            let key = key.map(|key| Secret::new(key.trim()));
            Ok(Some((url.clone(), key, models.iter().map(|text| named(text)).collect())))
        }
        (None, true) if key.is_none() => Ok(None),
        _ => Err(CliError::usage(format!(
            "found only some of --{what}-url, --{what}-model and a key, expected at least the \
             first two"
        ))),
    }
}

/// `NAME`, or `NAME=NAME-THERE`.
fn named(text: &str) -> (String, String) {
    let (name, there) = text.split_once('=').unwrap_or((text, text));
    (name.trim().to_owned(), there.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_may_have_another_name_there() {
        assert_eq!(named("e5"), ("e5".to_owned(), "e5".to_owned()));
        assert_eq!(named("e5=org/e5:2"), ("e5".to_owned(), "org/e5:2".to_owned()));
    }

    #[test]
    fn an_endpoint_is_set_as_a_whole() {
        let url = Some("http://127.0.0.1:9/".to_owned());
        let models = ["a".to_owned()];
        let key = Some("k".to_owned());
        assert!(endpoint("embedding", &url, (&None, &None), &models).unwrap().is_some());
        assert!(endpoint("embedding", &None, (&None, &None), &[]).unwrap().is_none());
        assert!(endpoint("embedding", &url, (&None, &None), &[]).is_err());
        assert!(endpoint("embedding", &None, (&None, &None), &models).is_err());
        assert!(endpoint("embedding", &None, (&key, &None), &[]).is_err());
        let file = Some(PathBuf::from("/nowhere/key"));
        assert!(endpoint("embedding", &url, (&key, &file), &models).is_err());
        assert!(endpoint("embedding", &url, (&None, &file), &models).is_err());
    }
}
