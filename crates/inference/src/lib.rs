//! Texts to vectors, and documents in order of their relevance: the port
//! ([`Inference`]) that the server asks, and its adapter for model servers
//! that speak OpenAI's embeddings API and the widespread rerank API
//! ([`ModelServer`]).
//!
//! Runs no model and keeps nothing. Where the model servers are is the
//! operator's setting; no request can name one. What they answer is not
//! trusted: counts, order, dimensions and numbers are checked before anybody
//! uses them.

mod embedding;
mod port;
mod rerank;
mod server;

pub use port::{EmbedTexts, Embeddings, Inference, Model, ModelKind, RankDocuments, Ranked, Stop};
pub use rerank::RerankShape;
pub use server::{EmbeddingOptions, ModelServer, ModelServerOptions, RerankOptions};
