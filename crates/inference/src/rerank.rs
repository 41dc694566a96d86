//! Rerank as model servers have it: `{model, query, documents, top_n}`, or
//! `{query, texts}`; answered by `{results: [{index, relevance_score}]}`, or
//! by the list alone with `score`. Answers are checked before they count.

use serde::{Deserialize, Serialize};

use crate::{RankDocuments, Ranked};

/// How the documents are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RerankShape {
    /// `documents`, as Cohere, Jina, vLLM and others take them.
    #[default]
    Documents,
    /// `texts`, as text-embeddings-inference takes them.
    Texts,
}

#[derive(Serialize)]
struct Documents<'a> {
    model: &'a str,
    query: &'a str,
    documents: &'a [&'a str],
    top_n: usize,
    return_documents: bool,
}

#[derive(Serialize)]
struct Texts<'a> {
    query: &'a str,
    texts: &'a [&'a str],
    return_text: bool,
    truncate: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Results { results: Vec<Item> },
    List(Vec<Item>),
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: f32,
}

/// The body of a request.
pub(crate) fn request(shape: RerankShape, model: &str, asked: &RankDocuments<'_>) -> Vec<u8> {
    let (query, documents, top_n) = (asked.query, asked.documents, asked.top_n);
    let written = match shape {
        RerankShape::Documents => serde_json::to_vec(&Documents {
            model,
            query,
            documents,
            top_n,
            return_documents: false,
        }),
        RerankShape::Texts => serde_json::to_vec(&Texts {
            query,
            texts: documents,
            return_text: false,
            truncate: true,
        }),
    };
    written.expect("a struct of texts, numbers and truths is always JSON")
}

/// The best `top_n` of so many documents. The error says what was found.
pub(crate) fn read(body: &[u8], documents: usize, top_n: usize) -> Result<Vec<Ranked>, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("answered what is no list of results ({error})"))?;
    let (Answer::Results { results: items } | Answer::List(items)) = answer;
    let mut seen = vec![false; documents];
    let mut ranked = Vec::with_capacity(items.len().min(documents));
    for Item { index, relevance_score: score } in items {
        match seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(format!("answered the document {index}, twice or too far")),
        }
        if !score.is_finite() {
            return Err("answered a score that is not finite".to_owned());
        }
        ranked.push(Ranked { index, score });
    }
    if ranked.len() < top_n {
        return Err(format!("answered {} results", ranked.len()));
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    ranked.truncate(top_n);
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_answers_are_read_best_first() {
        let expected = [Ranked { index: 1, score: 0.9 }, Ranked { index: 0, score: 0.1 }];
        let results = r#"{"id":"x","results":[{"index":0,"relevance_score":0.1},
            {"index":1,"relevance_score":0.9,"document":{"text":"d"}}],"meta":{}}"#;
        let list = r#"[{"index":1,"score":0.9},{"index":0,"score":0.1},{"index":2,"score":0.0}]"#;
        assert_eq!(read(results.as_bytes(), 2, 2).unwrap(), expected);
        assert_eq!(read(list.as_bytes(), 3, 2).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (body, expected) in [
            ("{}", "no list"),
            (r#"{"results":[]}"#, "0 results"),
            (r#"[{"index":2,"score":1},{"index":0,"score":1}]"#, "too far"),
            (r#"[{"index":0,"score":1},{"index":0,"score":1}]"#, "twice"),
            (r#"[{"index":0,"score":1e39},{"index":1,"score":1}]"#, "not finite"),
        ] {
            let error = read(body.as_bytes(), 2, 2).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, documents in 0_usize..4) {
            let _ = read(&bytes, documents, documents);
        }
    }
}
