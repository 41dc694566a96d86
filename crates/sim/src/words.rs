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

/// The words of all records of a namespace, to score each by.
pub(crate) struct Texts {
    titles: Vec<Vec<String>>,
    bodies: Vec<Vec<String>>,
}

/// The score of each record that has what is wanted.
type Scores = Vec<Option<f64>>;

impl Texts {
    pub(crate) fn of<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> Self {
        let of = |field| records.clone().map(|record| words_of(record, field)).collect();
        Self { titles: of(TITLE), bodies: of(BODY) }
    }

    /// The scores of the records, in their order.
    pub(crate) fn scores(&self, wanted: &Wanted) -> Scores {
        let of = |field: &str, word: &String| self.bm25(field, &words(field, word));
        match wanted {
            Wanted::Any(fields, wanted) => {
                let pairs = fields.iter().flat_map(|field| wanted.iter().map(move |w| (field, w)));
                let each = pairs.map(|(field, word)| of(field, word));
                each.reduce(|a, b| joined(a, b, either)).unwrap_or_default()
            }
            Wanted::All(field, wanted) => {
                let each = wanted.iter().map(|word| of(field, word));
                each.reduce(|a, b| joined(a, b, both)).unwrap_or_default()
            }
            Wanted::Phrase(field, wanted) => self.bm25(field, &words(field, &wanted.join(" "))),
        }
    }

    /// BM25 of a phrase, which may be of one word.
    fn bm25(&self, field: &str, phrase: &[String]) -> Scores {
        let rows = if field == TITLE { &self.titles } else { &self.bodies };
        let all = rows.len() as f64;
        let average = rows.iter().map(Vec::len).sum::<usize>() as f64 / all;
        let idf = |word: &String| {
            let with = rows.iter().filter(|own| own.contains(word)).count() as f64;
            (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
        };
        let idf: f64 = phrase.iter().map(idf).sum();
        let score = |own: &Vec<String>| {
            let count = count_of(own, phrase) as f64;
            let length = own.len() as f64 / average;
            let norm = K1 * (1.0 - B + B * length);
            (count > 0.0).then(|| idf * (K1 + 1.0) * count / (count + norm))
        };
        rows.iter().map(score).collect()
    }
}

fn joined(a: Scores, b: Scores, how: fn(Option<f64>, Option<f64>) -> Option<f64>) -> Scores {
    a.into_iter().zip(b).map(|(a, b)| how(a, b)).collect()
}

/// The sum where either is there.
pub(crate) fn either(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or_default() + b.unwrap_or_default()),
    }
}

/// The sum where both are there.
fn both(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? + b?)
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
