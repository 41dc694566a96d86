//! What text is searched for: read once, against the fields of its index, with
//! its words taken apart as each field's text is. Bounded in every direction.
//! Knows no rows.

use crossbill_core::limits::{
    TEXT_AUTOMATA_MAX, TEXT_CLAUSES_MAX, TEXT_FILTER_TOKENS_MAX, TEXT_QUERY_BYTES_MAX,
    TEXT_REGEX_BYTES_MAX, TEXT_REGEX_COST_MAX, TEXT_TERMS_MAX,
};
use crossbill_core::{Filter, TextClause, TextMatch};
use tantivy::query::{Occur, RegexQuery};
use tantivy::schema::Field;

use super::analyzer::Word;
use super::fields::TextFields;
use super::syntax;

/// Terms of up to this many characters match exactly where a fuzzy one names no
/// distance.
const EXACT_CHARS_MAX: usize = 3;
/// Those of up to this many may have one edit, longer ones two.
const ONE_EDIT_CHARS_MAX: usize = 7;

/// Why a search of text was refused; quotes the part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TextQueryError(String);

impl TextQueryError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<TextQueryError> for crossbill_core::Error {
    fn from(error: TextQueryError) -> Self {
        crossbill_core::Error::invalid(error.to_string())
    }
}

/// What rows are asked for. Fields are numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// No row.
    Nothing,
    /// Rows with the word.
    Term { field: usize, word: String },
    /// Rows with all the words at these places from each other, give or take
    /// the slop.
    Phrase { field: usize, words: Vec<Word>, slop: u32 },
    /// Rows with all the words and one that begins so, at these places.
    Prefix { field: usize, words: Vec<Word>, at: usize, prefix: String },
    /// Rows with a word that is so many edits away at most. All score the same.
    Fuzzy { field: usize, word: String, distance: u8 },
    /// Rows with a word that matches. All score the same.
    Regex { field: usize, pattern: String },
    /// As each part says; scores add up.
    Bool(Vec<(Occur, Node)>),
    /// Rows of any of these, each with the best of its scores.
    Best(Vec<Node>),
    /// The same rows, their scores times this.
    Boost(Box<Node>, f32),
}

/// What text is searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct TextQuery {
    pub(super) node: Node,
}

impl TextQuery {
    /// Reads clauses; a row is found that any of them finds, and its scores add
    /// up.
    ///
    /// # Errors
    /// The first thing found that cannot be searched for.
    pub fn parse(fields: &TextFields, clauses: &[TextClause]) -> Result<Self, TextQueryError> {
        if clauses.is_empty() || clauses.len() > TEXT_CLAUSES_MAX {
            return Err(TextQueryError::new(format!(
                "{} text clauses, expected 1 to {TEXT_CLAUSES_MAX}",
                clauses.len()
            )));
        }
        let mut leaves = Leaves { fields, terms: 0, automata: 0 };
        let nodes = clauses.iter().map(|clause| clause_node(&mut leaves, clause));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { node: any_of(nodes.into_iter().flatten()).unwrap_or(Node::Nothing) })
    }

    /// The rows that a condition on words lets through; none where the field is
    /// no text field.
    pub(super) fn of_condition(fields: &TextFields, condition: &Filter) -> Self {
        let Filter::Text(name, how, text) = condition else { return Self { node: Node::Nothing } };
        let Ok(field) = fields.find(name) else { return Self { node: Node::Nothing } };
        let words = fields.words(field, text, TEXT_FILTER_TOKENS_MAX);
        let node = match how {
            TextMatch::Phrase => phrase(field, words, 0),
            TextMatch::All | TextMatch::Any => {
                let occur = if *how == TextMatch::All { Occur::Must } else { Occur::Should };
                let words = words.into_iter().map(|(_, word)| (occur, Node::Term { field, word }));
                Some(words.collect::<Vec<_>>()).filter(|words| !words.is_empty()).map(Node::Bool)
            }
        };
        Self { node: node.unwrap_or(Node::Nothing) }
    }
}

fn clause_node(
    leaves: &mut Leaves<'_>,
    clause: &TextClause,
) -> Result<Option<Node>, TextQueryError> {
    let (TextClause::Text { query, .. } | TextClause::QueryString(query)) = clause;
    if query.len() > TEXT_QUERY_BYTES_MAX {
        return Err(TextQueryError::new(format!(
            "a text query has {} bytes, expected at most {TEXT_QUERY_BYTES_MAX}",
            query.len()
        )));
    }
    match clause {
        TextClause::QueryString(query) => syntax::parse(query, leaves),
        TextClause::Text { fields, query } => {
            if fields.is_empty() {
                return Err(TextQueryError::new("a text clause has no fields, expected one"));
            }
            let mut numbers = Vec::with_capacity(fields.len());
            for name in fields {
                let number = leaves.fields.find(name)?;
                if !numbers.contains(&number) {
                    numbers.push(number);
                }
            }
            let mut nodes = Vec::new();
            for field in numbers {
                let words = leaves.words(field, query)?;
                nodes.extend(words.into_iter().map(|(_, word)| Node::Term { field, word }));
            }
            Ok(any_of(nodes))
        }
    }
}

/// Rows of any of `nodes`; nothing where there are none.
pub(super) fn any_of(nodes: impl IntoIterator<Item = Node>) -> Option<Node> {
    let mut nodes: Vec<Node> = nodes.into_iter().collect();
    match nodes.len() {
        0 => None,
        1 => nodes.pop(),
        _ => Some(Node::Bool(nodes.into_iter().map(|node| (Occur::Should, node)).collect())),
    }
}

/// Rows with these words at their places; nothing where there are none.
pub(super) fn phrase(field: usize, mut words: Vec<Word>, slop: u32) -> Option<Node> {
    match words.len() {
        0 => None,
        1 => words.pop().map(|(_, word)| Node::Term { field, word }),
        _ => Some(Node::Phrase { field, words, slop }),
    }
}

/// How large the automaton of a pattern may get, roughly and rather too high:
/// tantivy makes all of it ahead, and a few bytes can ask for hours of that.
fn regex_cost(pattern: &str) -> u64 {
    const CLASS: u64 = 100;
    const ANY: u64 = 10;
    let (mut cost, mut repeats) = (0_u64, 1_u64);
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        cost += match next {
            '\\' if rest.next().is_some_and(char::is_alphabetic) => CLASS,
            '[' => CLASS,
            '.' => ANY,
            _ => 1,
        };
        if next == '{' {
            // Of {2}, {2,} and {2,5} the last number; of {1,2}{3} both count.
            let counts = rest.as_str().split('}').next().unwrap_or_default().split(',');
            let most = counts.filter_map(|count| count.trim().parse::<u64>().ok()).max();
            repeats = repeats.saturating_mul(most.unwrap_or(1).max(1));
        }
    }
    cost.saturating_mul(repeats)
}

/// Makes what a query's words ask for, in one field or in all, and counts it.
/// `None` where nothing is left of the words: they ask for nothing then.
pub(super) struct Leaves<'a> {
    pub(super) fields: &'a TextFields,
    terms: usize,
    automata: usize,
}

impl Leaves<'_> {
    /// The words of `text` in `field`, counted.
    fn words(&mut self, field: usize, text: &str) -> Result<Vec<Word>, TextQueryError> {
        let room = TEXT_TERMS_MAX - self.terms;
        let words = self.fields.words(field, text, room + 1);
        if words.len() > room {
            return Err(TextQueryError::new(format!(
                "the search has more than {TEXT_TERMS_MAX} words, each counted for every field"
            )));
        }
        self.terms += words.len();
        Ok(words)
    }

    fn count_automaton(&mut self) -> Result<(), TextQueryError> {
        self.automata += 1;
        if self.automata > TEXT_AUTOMATA_MAX {
            return Err(TextQueryError::new(format!(
                "the search has more than {TEXT_AUTOMATA_MAX} fuzzy words and regular \
                 expressions, each counted for every field"
            )));
        }
        Ok(())
    }

    /// `make` for the field, or for all where none is named.
    fn each(
        &mut self,
        field: Option<usize>,
        make: impl Fn(&mut Self, usize) -> Result<Option<Node>, TextQueryError>,
    ) -> Result<Option<Node>, TextQueryError> {
        let numbers = match field {
            Some(field) => field..field + 1,
            None => 0..self.fields.len(),
        };
        let nodes = numbers.map(|number| make(self, number)).collect::<Result<Vec<_>, _>>()?;
        Ok(any_of(nodes.into_iter().flatten()))
    }

    /// A word, or several without a space between them, or a phrase in quotes.
    pub(super) fn phrase(
        &mut self,
        field: Option<usize>,
        text: &str,
        slop: u32,
    ) -> Result<Option<Node>, TextQueryError> {
        self.each(field, |leaves, field| Ok(phrase(field, leaves.words(field, text)?, slop)))
    }

    /// A phrase whose last word may go on.
    pub(super) fn prefix(
        &mut self,
        field: Option<usize>,
        text: &str,
    ) -> Result<Option<Node>, TextQueryError> {
        let mut plain = self.fields.plain_words(text, TEXT_TERMS_MAX + 1);
        let last = plain.pop();
        let Some((at, prefix)) = last.filter(|_| !plain.is_empty()) else {
            return Err(TextQueryError::new(format!(
                "the phrase prefix {text:?} has one word, expected two or more"
            )));
        };
        self.each(field, |leaves, field| {
            let mut words = leaves.words(field, text)?;
            if leaves.fields.has_grams(field) {
                return Ok(phrase(field, words, 0));
            }
            words.retain(|(place, _)| *place < at);
            Ok(Some(Node::Prefix { field, words, at, prefix: prefix.clone() }))
        })
    }

    /// A word with its typos.
    pub(super) fn fuzzy(
        &mut self,
        field: Option<usize>,
        text: &str,
        distance: Option<u8>,
    ) -> Result<Option<Node>, TextQueryError> {
        self.each(field, |leaves, field| {
            let words = leaves.words(field, text)?;
            if leaves.fields.has_grams(field) {
                return Ok(phrase(field, words, 0));
            }
            let mut nodes = Vec::with_capacity(words.len());
            for (_, word) in words {
                nodes.push((Occur::Must, leaves.fuzzy_word(field, word, distance)?));
            }
            Ok(match nodes.len() {
                0 => None,
                1 => nodes.pop().map(|(_, node)| node),
                _ => Some(Node::Bool(nodes)),
            })
        })
    }

    fn fuzzy_word(
        &mut self,
        field: usize,
        word: String,
        distance: Option<u8>,
    ) -> Result<Node, TextQueryError> {
        let distance = distance.unwrap_or_else(|| match word.chars().count() {
            0..=EXACT_CHARS_MAX => 0,
            count if count <= ONE_EDIT_CHARS_MAX => 1,
            _ => 2,
        });
        let exact = Node::Term { field, word: word.clone() };
        if distance == 0 {
            return Ok(exact);
        }
        self.count_automaton()?;
        // The word itself counts as it does elsewhere, beside what all get.
        let near = Node::Fuzzy { field, word, distance };
        Ok(Node::Bool(vec![(Occur::Should, exact), (Occur::Should, near)]))
    }

    /// A regular expression of whole words.
    pub(super) fn regex(
        &mut self,
        field: Option<usize>,
        pattern: &str,
    ) -> Result<Option<Node>, TextQueryError> {
        if pattern.len() > TEXT_REGEX_BYTES_MAX {
            return Err(TextQueryError::new(format!(
                "the regular expression /{pattern}/ has {} bytes, expected at most \
                 {TEXT_REGEX_BYTES_MAX}",
                pattern.len()
            )));
        }
        if regex_cost(pattern) > TEXT_REGEX_COST_MAX {
            return Err(TextQueryError::new(format!(
                "the regular expression /{pattern}/ has too many classes or repetitions"
            )));
        }
        RegexQuery::from_pattern(pattern, Field::from_field_id(0)).map_err(|error| {
            TextQueryError::new(format!("the regular expression /{pattern}/: {error}"))
        })?;
        self.each(field, |leaves, field| {
            leaves.count_automaton()?;
            Ok(Some(Node::Regex { field, pattern: pattern.to_owned() }))
        })
    }
}
