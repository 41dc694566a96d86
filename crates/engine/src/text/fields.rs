//! The text fields of an index, ready to take text apart and to be given to
//! tantivy. A field's number is its place in the schema.

use std::sync::Arc;

use crossbill_core::limits::{TEXT_FILTER_TOKENS_MAX, TEXT_TOKEN_CHARS_MAX};
use crossbill_core::{Filter, Metadata, MetadataValue, TextSchema};
use tantivy::Term;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};

use super::TextQueryError;
use super::analyzer::{Word, analyzer, prefix_analyzer, words};

/// The text fields of an index. Cheap to clone.
#[derive(Clone)]
pub struct TextFields(Arc<Inner>);

struct Inner {
    schema: TextSchema,
    analyzers: Vec<TextAnalyzer>,
    prefix_analyzer: TextAnalyzer,
    tantivy: Schema,
}

impl Default for TextFields {
    fn default() -> Self {
        Self::new(&TextSchema::default())
    }
}

impl std::fmt::Debug for TextFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TextFields").field(&self.0.schema).finish()
    }
}

impl TextFields {
    /// The fields of `schema`.
    pub fn new(schema: &TextSchema) -> Self {
        let mut tantivy = Schema::builder();
        for number in 0..schema.fields().len() {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(&number.to_string())
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_fieldnorms(true);
            // Named by its number: names that users give have no meaning there.
            let options = TextOptions::default().set_indexing_options(indexing);
            tantivy.add_text_field(&number.to_string(), options);
        }
        let analyzers = schema.fields().iter().map(|field| analyzer(&field.options)).collect();
        Self(Arc::new(Inner {
            schema: schema.clone(),
            analyzers,
            prefix_analyzer: prefix_analyzer(),
            tantivy: tantivy.build(),
        }))
    }

    /// The schema they are those of.
    pub fn schema(&self) -> &TextSchema {
        &self.0.schema
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.schema.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.schema.fields().len()
    }

    pub(super) fn tantivy(&self) -> &Schema {
        &self.0.tantivy
    }

    /// The analyzers under the names that the schema gives them.
    pub(super) fn tokenizers(&self) -> TokenizerManager {
        let manager = TokenizerManager::new();
        for (number, analyzer) in self.0.analyzers.iter().enumerate() {
            manager.register(&number.to_string(), analyzer.clone());
        }
        manager
    }

    /// The words of `text` in field `number`, up to `most`.
    pub(super) fn words(&self, number: usize, text: &str, most: usize) -> Vec<Word> {
        words(&self.0.analyzers[number], text, most)
    }

    /// The words of `text` as they are written, up to `most`.
    pub(super) fn plain_words(&self, text: &str, most: usize) -> Vec<Word> {
        words(&self.0.prefix_analyzer, text, most)
    }

    /// Whether field `number` finds parts of words.
    pub(super) fn has_grams(&self, number: usize) -> bool {
        self.0.schema.fields()[number].options.ngrams.is_some()
    }

    /// The number of the field called `name`, or what to say where there is none.
    pub(super) fn find(&self, name: &str) -> Result<usize, TextQueryError> {
        self.0.schema.position(name).ok_or_else(|| {
            let names: Vec<&str> =
                self.0.schema.fields().iter().map(|field| field.name.as_str()).collect();
            let expected = match names.is_empty() {
                true => "the index has none".to_owned(),
                false => format!("expected one of {names:?}"),
            };
            TextQueryError::new(format!("{name:?} is no text field: {expected}"))
        })
    }

    /// A record's texts, by the numbers of their fields.
    pub(super) fn texts<'a>(
        &'a self,
        metadata: &'a Metadata,
    ) -> impl Iterator<Item = (usize, &'a str)> {
        self.0.schema.fields().iter().enumerate().filter_map(|(number, field)| {
            match metadata.0.get(&field.name) {
                Some(MetadataValue::String(text)) => Some((number, text.as_str())),
                _ => None,
            }
        })
    }

    /// Checks that a filter asks for words of text fields alone, and that it
    /// compares none of these with a value.
    ///
    /// # Errors
    /// Which condition is not one of this index.
    pub fn check_filter(&self, filter: &Filter) -> Result<(), TextQueryError> {
        let mut checked = Ok(());
        filter.for_each(&mut |condition| {
            if checked.is_ok() {
                checked = self.check_condition(condition);
            }
        });
        checked
    }

    fn check_condition(&self, condition: &Filter) -> Result<(), TextQueryError> {
        match condition {
            Filter::Text(name, _, text) => {
                let number = self.find(name)?;
                let found = self.words(number, text, TEXT_FILTER_TOKENS_MAX + 1).len();
                if found > TEXT_FILTER_TOKENS_MAX {
                    return Err(TextQueryError::new(format!(
                        "the text condition on field {name:?} has more than \
                         {TEXT_FILTER_TOKENS_MAX} words"
                    )));
                }
                Ok(())
            }
            Filter::In(name, _) | Filter::Compare(name, ..)
                if self.0.schema.position(name).is_some() =>
            {
                Err(TextQueryError::new(format!(
                    "field {name:?} is a text field and has no value to compare, expected \
                     $match_phrase, $match_all, $match_any or $exists"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// A word of field `number`, as tantivy knows it.
pub(super) fn term(number: usize, word: &str) -> Term {
    debug_assert!(word.chars().count() <= TEXT_TOKEN_CHARS_MAX);
    Term::from_field_text(Field::from_field_id(number as u32), word)
}
