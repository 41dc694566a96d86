//! The port: what a server asks of models. Nothing here says where they run.

use std::fmt;

use crossbill_core::Result;

/// Says whether an answer is no longer wanted.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// Makes dense vectors of texts.
    Embed,
    /// Orders documents by how well they answer a query.
    Rerank,
}

/// A model under the name that clients use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name.
    pub name: String,
    /// What it does.
    pub kind: ModelKind,
    /// Components of its vectors, once they are known.
    pub dimension: Option<u32>,
}

/// Texts to embed.
#[derive(Debug, Clone, Copy)]
pub struct EmbedTexts<'a> {
    /// The model, by the name that clients use.
    pub model: &'a str,
    /// The texts.
    pub texts: &'a [&'a str],
    /// Components that each vector is to have; the model's own where absent.
    pub dimension: Option<u32>,
}

/// A vector for each text, in their order, all of one dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that the model read, as far as it says.
    pub tokens: u64,
}

/// Documents to order.
#[derive(Debug, Clone, Copy)]
pub struct RankDocuments<'a> {
    /// The model, by the name that clients use.
    pub model: &'a str,
    /// What is asked.
    pub query: &'a str,
    /// The documents' texts.
    pub documents: &'a [&'a str],
    /// How many of the best to give.
    pub top_n: usize,
}

/// One document that was ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its place among the documents given.
    pub index: usize,
    /// The higher the better.
    pub score: f32,
}

/// What embeds and ranks.
pub trait Inference: Send + Sync + fmt::Debug {
    /// All models, embedding ones first.
    fn models(&self) -> Vec<Model>;

    /// A vector for each text.
    ///
    /// # Errors
    /// `NotFound` where there is no such model, or none that embeds, `Invalid`
    /// where the model refuses the texts or the dimension, `Unavailable` where
    /// it gave no answer, `Upstream` where its answer cannot be used.
    fn embed(&self, asked: &EmbedTexts<'_>, stop: Stop<'_>) -> Result<Embeddings>;

    /// The best documents, best first.
    ///
    /// # Errors
    /// As of [`embed`](Inference::embed).
    fn rerank(&self, asked: &RankDocuments<'_>, stop: Stop<'_>) -> Result<Vec<Ranked>>;
}
