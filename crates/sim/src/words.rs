//! Texts as the plain model reads them: which words one has, whether they
//! stand in it as they are wanted, and BM25 straight over all records. Knows
//! the stems of a few English words and no others.

use crossbill_core::{
    MetadataValue, Record, TextClause, TextField, TextMatch, TextOptions, TextSchema,
};

/// A field whose words are taken as they are.
pub const TITLE: &str = "title";
/// A field whose words are reduced to their stems.
pub const BODY: &str = "body";

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Words that are not their own stems. Any other word must be its own.
const STEMS: [(&str, &str); 4] =
    [("cones", "cone"), ("seeds", "seed"), ("running", "run"), ("trees", "tree")];

/// The fields that the model knows.
pub fn text_schema() -> TextSchema {
    let field = |name: &str, stemming| TextField {
        name: name.to_owned(),
        options: TextOptions { stemming, ..TextOptions::default() },
    };
    TextSchema::new([field(TITLE, false), field(BODY, true)])
}

/// What texts are searched for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Any of these words in any of these fields.
    Any(Vec<String>, Vec<String>),
    /// All of these words in one field.
    All(String, Vec<String>),
    /// These words one after another in one field.
    Phrase(String, Vec<String>),
}

impl Wanted {
    /// As it is asked.
    pub fn clause(&self) -> TextClause {
        match self {
            Wanted::Any(fields, words) => {
                TextClause::Text { fields: fields.clone(), query: words.join(" ") }
            }
            Wanted::All(field, words) => {
                TextClause::QueryString(format!("{field}:({})", words.join(" AND ")))
            }
            Wanted::Phrase(field, words) => {
                TextClause::QueryString(format!("{field}:\"{}\"", words.join(" ")))
            }
        }
    }
}

/// The words of a text of `field`.
fn words(field: &str, text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let stem = |word: String| {
        let known = STEMS.iter().find(|(form, _)| field == BODY && *form == word);
        known.map_or(word, |(_, stem)| (*stem).to_owned())
    };
    parts.map(|part| stem(part.to_lowercase())).collect()
}

/// The words that a record has in `field`.
fn words_of(record: &Record, field: &str) -> Vec<String> {
    match record.metadata.as_ref().and_then(|metadata| metadata.0.get(field)) {
        Some(MetadataValue::String(text)) => words(field, text),
        _ => Vec::new(),
    }
}

/// How often `phrase` stands in `own`.
fn count_of(own: &[String], phrase: &[String]) -> usize {
    own.windows(phrase.len().max(1)).filter(|window| *window == phrase).count()
}

/// Whether a record's field has the words of a filter's condition.
pub(crate) fn has_words(record: &Record, field: &str, how: TextMatch, text: &str) -> bool {
    let (own, wanted) = (words_of(record, field), words(field, text));
    match how {
        TextMatch::Phrase => count_of(&own, &wanted) > 0,
        TextMatch::All => wanted.iter().all(|word| own.contains(word)),
        TextMatch::Any => wanted.iter().any(|word| own.contains(word)),
    }
}

/// All records of a namespace, to score one of them by.
pub(crate) struct Texts<'a>(pub(crate) Vec<&'a Record>);

impl Texts<'_> {
    /// The score of a record that has what is wanted.
    pub(crate) fn score(&self, record: &Record, wanted: &Wanted) -> Option<f64> {
        let of = |field: &str, word: &String| {
            self.bm25(record, field, std::slice::from_ref(&words(field, word)))
        };
        match wanted {
            Wanted::Any(fields, wanted) => {
                let pairs = fields.iter().flat_map(|field| wanted.iter().map(move |w| (field, w)));
                let scores: Vec<f64> = pairs.filter_map(|(field, word)| of(field, word)).collect();
                (!scores.is_empty()).then(|| scores.iter().sum())
            }
            Wanted::All(field, wanted) => wanted.iter().map(|word| of(field, word)).sum(),
            Wanted::Phrase(field, wanted) => {
                let each: Vec<Vec<String>> = wanted.iter().map(|word| words(field, word)).collect();
                self.bm25(record, field, &each)
            }
        }
    }

    /// BM25 of a phrase, whose parts are words; nothing where it is not there.
    fn bm25(&self, record: &Record, field: &str, parts: &[Vec<String>]) -> Option<f64> {
        let phrase = parts.concat();
        let own = words_of(record, field);
        let count = count_of(&own, &phrase) as f64;
        if count == 0.0 {
            return None;
        }
        let all = self.0.len() as f64;
        let lengths = self.0.iter().map(|other| words_of(other, field).len());
        let average = lengths.sum::<usize>() as f64 / all;
        let idf = |word: &String| {
            let with = self.0.iter().filter(|other| words_of(other, field).contains(word)).count();
            (1.0 + (all - with as f64 + 0.5) / (with as f64 + 0.5)).ln()
        };
        let idf: f64 = phrase.iter().map(idf).sum();
        let length = own.len() as f64 / average;
        Some(idf * (K1 + 1.0) * count / (count + K1 * (1.0 - B + B * length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart() {
        assert_eq!(words(TITLE, "Pine-Cones, the"), ["pine", "cones", "the"]);
        assert_eq!(words(BODY, "Pine-Cones"), ["pine", "cone"]);
        let own = words(BODY, "cones cone seeds cone");
        assert_eq!(count_of(&own, &words(BODY, "cone seed")), 1);
        assert_eq!(count_of(&own, &words(BODY, "cone")), 3);
    }
}
