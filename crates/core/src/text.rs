//! Which fields of an index are searched as text, and how the text of each is
//! taken apart. Says what was chosen; the taking apart is the engine's.

use serde::{Deserialize, Serialize};

/// The languages whose stems are known, by their ISO 639-1 codes.
const LANGUAGES: [(&str, Language); 18] = [
    ("ar", Language::Arabic),
    ("da", Language::Danish),
    ("de", Language::German),
    ("el", Language::Greek),
    ("en", Language::English),
    ("es", Language::Spanish),
    ("fi", Language::Finnish),
    ("fr", Language::French),
    ("hu", Language::Hungarian),
    ("it", Language::Italian),
    ("nl", Language::Dutch),
    ("no", Language::Norwegian),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("sv", Language::Swedish),
    ("ta", Language::Tamil),
    ("tr", Language::Turkish),
];

/// The language of a field's text: whose stems and stop words it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
#[expect(missing_docs, reason = "each is the language that its name says")]
pub enum Language {
    Arabic,
    Danish,
    German,
    Greek,
    #[default]
    English,
    Spanish,
    Finnish,
    French,
    Hungarian,
    Italian,
    Dutch,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Swedish,
    Tamil,
    Turkish,
}

impl Language {
    /// The code on the wire, `en` for example.
    pub fn code(self) -> &'static str {
        LANGUAGES.iter().find(|(_, language)| *language == self).map_or("en", |(code, _)| code)
    }

    /// Reads a code or the language's English name, in any case.
    pub fn parse(code: &str) -> Option<Self> {
        let is_it = |known: &str, language: Language| {
            known.eq_ignore_ascii_case(code) || format!("{language:?}").eq_ignore_ascii_case(code)
        };
        let found = LANGUAGES.iter().find(|(known, language)| is_it(known, *language));
        found.map(|(_, language)| *language)
    }

    /// Every code, in order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        LANGUAGES.iter().map(|(code, _)| *code)
    }
}

impl From<Language> for &'static str {
    fn from(language: Language) -> Self {
        language.code()
    }
}

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::parse(&code).ok_or_else(|| {
            let known: Vec<_> = Self::codes().collect();
            format!("language {code:?}, expected one of {}", known.join(", "))
        })
    }
}

/// Parts of words that are found as if they were words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ngrams {
    /// Characters of the shortest part.
    pub min_gram: u8,
    /// Characters of the longest part.
    pub max_gram: u8,
    /// Whether only beginnings of words are found so.
    pub prefix_only: bool,
}

/// How a field's text is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TextOptions {
    /// Its language.
    pub language: Language,
    /// Whether words are reduced to their stems.
    pub stemming: bool,
    /// Whether words that are everywhere are left out.
    pub stop_words: bool,
    /// Which parts of words are found, where any are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngrams: Option<Ngrams>,
}

/// A field that is searched as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextField {
    /// Its name in a record's metadata.
    pub name: String,
    /// How its text is taken apart.
    pub options: TextOptions,
}

/// The fields of an index that are searched as text, in the order of their
/// names. None in an index of vectors alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextSchema(Vec<TextField>);

impl TextSchema {
    /// These fields; of two with one name the later stays.
    pub fn new(fields: impl IntoIterator<Item = TextField>) -> Self {
        let by_name: std::collections::BTreeMap<_, _> =
            fields.into_iter().map(|field| (field.name.clone(), field)).collect();
        Self(by_name.into_values().collect())
    }

    /// The fields, in the order of their names.
    pub fn fields(&self) -> &[TextField] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of the field called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|field| field.name.as_str().cmp(name)).ok()
    }
}

/// One thing that text is searched for. Of several in one search the scores
/// add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextClause {
    /// Any of the words of a text, which has no operators.
    Text {
        /// The fields to look in, one at least.
        fields: Vec<String>,
        /// The words.
        query: String,
    },
    /// A query in the syntax of Lucene: words, phrases, operators, fields.
    QueryString(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_read_back() {
        for (code, language) in LANGUAGES {
            assert_eq!(language.code(), code);
            assert_eq!(Language::parse(&code.to_uppercase()), Some(language));
        }
        assert_eq!(Language::parse("xx"), None);
        assert_eq!(Language::parse("swedish"), Some(Language::Swedish));
        assert_eq!(Language::default().code(), "en");
    }

    #[test]
    fn fields_are_found_by_name() {
        let field = |name: &str| TextField { name: name.into(), options: TextOptions::default() };
        let schema = TextSchema::new([field("title"), field("body"), field("title")]);
        assert_eq!(schema.fields().len(), 2);
        assert_eq!(schema.position("body"), Some(0));
        assert_eq!(schema.position("title"), Some(1));
        assert_eq!(schema.position("x"), None);
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<TextSchema>(&json).unwrap(), schema);
        assert!(serde_json::from_str::<Language>("\"xx\"").is_err());
    }
}
