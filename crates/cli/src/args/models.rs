//! The settings of models: which endpoints embed texts and rank documents, and
//! under which names clients ask for what stands there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use crossbill_core::limits::{EMBEDDING_BATCH, MODEL_CALLS_AT_ONCE};
use crossbill_inference::RerankShape;

use crate::units::Span;

/// Model servers.
#[derive(Clone, Args)]
#[command(next_help_heading = "Models")]
pub(crate) struct ModelArgs {
    /// Address that embeds texts as OpenAI's API does, its path (such as /v1/embeddings) included
    #[arg(long, env = "CROSSBILL_EMBEDDING_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) embedding_url: Option<String>,
    /// Key that --embedding-url wants (better in the environment or a file)
    #[arg(long, env = "CROSSBILL_EMBEDDING_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) embedding_key: Option<String>,
    /// File with that key
    #[arg(long, env = "CROSSBILL_EMBEDDING_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) embedding_key_file: Option<PathBuf>,
    /// Model that clients may name, and after = its name at --embedding-url where that is another
    /// (repeatable)
    #[arg(
        long,
        env = "CROSSBILL_EMBEDDING_MODEL",
        value_name = "NAME[=NAME]",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) embedding_model: Vec<String>,
    /// Texts of one request to --embedding-url
    #[arg(long, env = "CROSSBILL_EMBEDDING_BATCH", value_name = "N", hide_env_values = true,
        default_value_t = EMBEDDING_BATCH, value_parser = clap::value_parser!(u16).range(1..=96))]
    pub(crate) embedding_batch: u16,
    /// Address that ranks documents, its path (such as /rerank) included
    #[arg(long, env = "CROSSBILL_RERANK_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) rerank_url: Option<String>,
    /// Key that --rerank-url wants (better in the environment or a file)
    #[arg(long, env = "CROSSBILL_RERANK_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) rerank_key: Option<String>,
    /// File with that key
    #[arg(long, env = "CROSSBILL_RERANK_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) rerank_key_file: Option<PathBuf>,
    /// Model that clients may name, and after = its name at --rerank-url where that is another
    /// (repeatable)
    #[arg(
        long,
        env = "CROSSBILL_RERANK_MODEL",
        value_name = "NAME[=NAME]",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) rerank_model: Vec<String>,
    /// How --rerank-url takes documents: texts for text-embeddings-inference, documents for others
    #[arg(
        long,
        env = "CROSSBILL_RERANK_SHAPE",
        value_enum,
        hide_env_values = true,
        default_value = "documents"
    )]
    pub(crate) rerank_shape: ShapeArg,
    /// How long one request to a model's endpoint may take
    #[arg(
        long,
        env = "CROSSBILL_MODEL_TIMEOUT",
        value_name = "TIME",
        hide_env_values = true,
        default_value = "10s"
    )]
    pub(crate) model_timeout: Span,
    /// Requests to each of these endpoints that are under way at once
    #[arg(long, env = "CROSSBILL_MODEL_CONCURRENCY", value_name = "N", hide_env_values = true,
        default_value_t = MODEL_CALLS_AT_ONCE,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) model_concurrency: u16,
}

/// How documents are sent to be ranked.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ShapeArg {
    /// `{model, query, documents, top_n}`.
    Documents,
    /// `{query, texts}`.
    Texts,
}

impl From<ShapeArg> for RerankShape {
    fn from(shape: ShapeArg) -> Self {
        match shape {
            ShapeArg::Documents => RerankShape::Documents,
            ShapeArg::Texts => RerankShape::Texts,
        }
    }
}
