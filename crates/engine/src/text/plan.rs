//! A query over several parts: what it asks for in tantivy's words, and the
//! numbers that scores are made of, added up over the parts.

use std::collections::{BTreeSet, HashMap};

use crossbill_core::limits::TEXT_PREFIX_WORDS_MAX;
use roaring::RoaringBitmap;
use tantivy::query::{
    BooleanQuery, BoostQuery, DisjunctionMaxQuery, EmptyQuery, FuzzyTermQuery, Occur, PhraseQuery,
    Query, RegexQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::TextQuery;
use super::fields::term;
use super::index::TextIndex;
use super::query::{Node, phrase};
use super::stats::Statistics;
use crate::FormatError;

/// Some rows that are searched together with others.
#[derive(Clone, Copy)]
pub struct TextPart<'a> {
    /// Their words; none of them has any where this is absent.
    pub index: Option<&'a TextIndex>,
    /// Rows that count.
    pub live: u64,
    /// Rows that do not.
    pub dead: &'a RoaringBitmap,
}

/// A query made ready for a set of parts.
pub struct TextPlan {
    query: Box<dyn Query>,
    /// The words, where the query asks for any of some words and no more.
    any_of: Vec<(usize, String)>,
    statistics: Statistics,
}

impl TextPlan {
    /// Makes `query` ready for `parts`.
    ///
    /// # Errors
    /// Bytes of a part that no writer of this format writes.
    pub fn new(query: &TextQuery, parts: &[TextPart<'_>]) -> Result<Self, FormatError> {
        let node = flat(expanded(&query.node, parts)?);
        let mut words = BTreeSet::new();
        note_words(&node, &mut words);
        let fields: BTreeSet<usize> = words.iter().map(|(field, _)| *field).collect();
        let mut statistics = Statistics {
            docs: parts.iter().map(|part| part.live).sum(),
            tokens: vec![0; fields.last().map_or(0, |field| field + 1)],
            frequencies: HashMap::with_capacity(words.len()),
        };
        for (index, dead) in parts.iter().filter_map(|part| Some((part.index?, part.dead))) {
            for &field in &fields {
                statistics.tokens[field] += index.live_tokens(field, dead)?;
            }
            for (field, word) in &words {
                let found = index.live_rows_with(*field, word, dead)?;
                *statistics.frequencies.entry(term(*field, word)).or_default() += found;
            }
        }
        Ok(Self { query: to_tantivy(&node), any_of: any_of(&node), statistics })
    }

    /// The words with their fields, where the query asks for any of several
    /// words and no more; none where it asks for something else.
    pub(super) fn any_of(&self) -> &[(usize, String)] {
        &self.any_of
    }

    pub(super) fn query(&self) -> &dyn Query {
        &*self.query
    }

    pub(super) fn statistics(&self) -> &Statistics {
        &self.statistics
    }
}

/// `node` with the words that its prefixes stand for: the first of all parts
/// together, so that they do not depend on where rows stand.
fn expanded(node: &Node, parts: &[TextPart<'_>]) -> Result<Node, FormatError> {
    Ok(match node {
        Node::Prefix { field, words, at, prefix } => {
            let mut found = BTreeSet::new();
            for (index, dead) in parts.iter().filter_map(|part| Some((part.index?, part.dead))) {
                found.extend(index.live_words(*field, prefix, dead, TEXT_PREFIX_WORDS_MAX)?);
            }
            let whole = found.into_iter().take(TEXT_PREFIX_WORDS_MAX).filter_map(|word| {
                let mut words = words.clone();
                words.push((*at, word));
                phrase(*field, words, 0)
            });
            Node::Best(whole.collect())
        }
        Node::Bool(parts_of) => {
            let made = parts_of.iter().map(|(occur, node)| Ok((*occur, expanded(node, parts)?)));
            Node::Bool(made.collect::<Result<_, FormatError>>()?)
        }
        Node::Boost(inner, factor) => Node::Boost(Box::new(expanded(inner, parts)?), *factor),
        other => other.clone(),
    })
}

/// The same, with what is optional within something optional beside it: so a
/// query for any of some words is one union, however it was put.
fn flat(node: Node) -> Node {
    let Node::Bool(parts) = node else { return node };
    let is_optional = |parts: &[(Occur, Node)]| {
        !parts.is_empty() && parts.iter().all(|(occur, _)| *occur == Occur::Should)
    };
    let spliced = parts.into_iter().flat_map(|(occur, part)| match (occur, flat(part)) {
        (Occur::Should, Node::Bool(inner)) if is_optional(&inner) => inner,
        (occur, part) => vec![(occur, part)],
    });
    Node::Bool(spliced.collect())
}

/// The words of a query for any of several words.
fn any_of(node: &Node) -> Vec<(usize, String)> {
    let Node::Bool(parts) = node else { return Vec::new() };
    let words = parts.iter().map(|part| match part {
        (Occur::Should, Node::Term { field, word }) => Some((*field, word.clone())),
        _ => None,
    });
    words.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// Every word whose frequency a score is made of.
fn note_words(node: &Node, words: &mut BTreeSet<(usize, String)>) {
    match node {
        Node::Term { field, word } => drop(words.insert((*field, word.clone()))),
        Node::Phrase { field, words: own, .. } => {
            words.extend(own.iter().map(|(_, word)| (*field, word.clone())));
        }
        Node::Bool(parts) => parts.iter().for_each(|(_, part)| note_words(part, words)),
        Node::Best(parts) => parts.iter().for_each(|part| note_words(part, words)),
        Node::Boost(inner, _) => note_words(inner, words),
        Node::Nothing | Node::Prefix { .. } | Node::Fuzzy { .. } | Node::Regex { .. } => {}
    }
}

/// The same in tantivy's words.
pub(super) fn to_tantivy(node: &Node) -> Box<dyn Query> {
    match node {
        Node::Term { field, word } => {
            Box::new(TermQuery::new(term(*field, word), IndexRecordOption::WithFreqs))
        }
        Node::Phrase { field, words, slop } if words.len() > 1 => {
            let words = words.iter().map(|(at, word)| (*at, term(*field, word))).collect();
            Box::new(PhraseQuery::new_with_offset_and_slop(words, *slop))
        }
        Node::Fuzzy { field, word, distance } => {
            Box::new(FuzzyTermQuery::new(term(*field, word), *distance, false))
        }
        Node::Regex { field, pattern } => {
            match RegexQuery::from_pattern(pattern, Field::from_field_id(*field as u32)) {
                Ok(query) => Box::new(query),
                // It was read when the query was.
                Err(_) => Box::new(EmptyQuery),
            }
        }
        Node::Bool(parts) if parts.iter().any(|(occur, _)| *occur != Occur::MustNot) => {
            let parts = parts.iter().map(|(occur, part)| (*occur, to_tantivy(part)));
            Box::new(BooleanQuery::new(parts.collect()))
        }
        Node::Best(parts) if !parts.is_empty() => {
            Box::new(DisjunctionMaxQuery::new(parts.iter().map(to_tantivy).collect()))
        }
        Node::Boost(inner, factor) => Box::new(BoostQuery::new(to_tantivy(inner), *factor)),
        // What only excludes finds nothing.
        Node::Nothing
        | Node::Phrase { .. }
        | Node::Prefix { .. }
        | Node::Bool(_)
        | Node::Best(_) => Box::new(EmptyQuery),
    }
}
