//! OpenAI's embeddings API: the request, and an answer that is checked before
//! it counts.

use crossbill_core::limits::DIMENSION_MAX;
use serde::{Deserialize, Serialize};

use crate::Embeddings;

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    /// Where absent, the order is that of the texts.
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens: Option<u64>,
}

/// The body of a request.
pub(crate) fn request(model: &str, texts: &[&str], dimensions: Option<u32>) -> Vec<u8> {
    let request = Request { model, input: texts, encoding_format: "float", dimensions };
    serde_json::to_vec(&request).expect("a struct of texts and numbers is always JSON")
}

/// The vectors of an answer, in the order of the texts. The error says what
/// was found.
pub(crate) fn read(body: &[u8], texts: usize) -> Result<Embeddings, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("answered what is no list of embeddings ({error})"))?;
    if answer.data.len() != texts {
        return Err(format!("answered {} vectors", answer.data.len()));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (place, item) in answer.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(place);
        let components = item.embedding.len();
        if !(1..=DIMENSION_MAX as usize).contains(&components) {
            return Err(format!("answered a vector of {components} components"));
        }
        match vectors.get_mut(index) {
            Some(slot @ None) => *slot = Some(item.embedding),
            _ => return Err(format!("answered a vector for the text {index}, twice or too far")),
        }
    }
    let usage = answer.usage;
    let tokens = usage.and_then(|usage| usage.total_tokens.or(usage.prompt_tokens)).unwrap_or(0);
    Ok(Embeddings { vectors: vectors.into_iter().flatten().collect(), tokens })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let body = r#"{"object":"list","model":"m","usage":{"prompt_tokens":3,"total_tokens":4},
            "data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1.5]}]}"#;
        let read = read(body.as_bytes(), 2).unwrap();
        assert_eq!(read, Embeddings { vectors: vec![vec![1.5], vec![2.0]], tokens: 4 });
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (body, expected) in [
            ("", "no list"),
            ("<html>", "no list"),
            (r#"{"data":"x"}"#, "no list"),
            (r#"{"data":[]}"#, "0 vectors"),
            (r#"{"data":[{"embedding":[1]},{"embedding":[1]},{"embedding":[1]}]}"#, "3 vectors"),
            (r#"{"data":[{"embedding":[]},{"embedding":[1]}]}"#, "0 components"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, "twice"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}"#, "too far"),
            (r#"{"data":[{"embedding":[1e39]},{"embedding":[1]}]}"#, "out of range"),
            (r#"{"data":[{"embedding":"AAAA"},{"embedding":[1]}]}"#, "no list"),
        ] {
            let error = read(body.as_bytes(), 2).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, texts in 0_usize..4) {
            let _ = read(&bytes, texts);
        }
    }
}
