//! Metadata filters: read from the API's JSON, held as a small tree, and
//! evaluated against one record's metadata (the plain oracle that the
//! segment's metadata index is tested against).
//!
//! Semantics: several keys are an implicit `$and`; a bare value is `$eq`; on
//! a list of strings `$eq`/`$in` hold if any element does; `$ne`/`$nin` are
//! the exact complements of `$eq`/`$in` and so hold where the field is
//! absent; a value of another kind never matches; `true` is not 1.

use serde_json::Value;

use crate::limits::QUOTED_CHARS_MAX;
use crate::metadata::json_kind;
use crate::{Metadata, MetadataValue, RequestLimits};

/// A value that a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterValue {
    /// Text.
    String(String),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
}

/// An order comparison; the operand is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `$gt`
    Greater,
    /// `$gte`
    GreaterOrEqual,
    /// `$lt`
    Less,
    /// `$lte`
    LessOrEqual,
}

impl Comparison {
    /// Whether `left` stands so to `right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
        }
    }
}

/// How the words of a condition stand in a field's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// `$match_phrase`: one after another.
    Phrase,
    /// `$match_all`: all of them, anywhere.
    All,
    /// `$match_any`: at least one.
    Any,
}

/// A condition on metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All hold. Empty: always true.
    And(Vec<Filter>),
    /// At least one holds.
    Or(Vec<Filter>),
    /// The inner one does not hold.
    Not(Box<Filter>),
    /// The field equals one of the values (`$eq`, `$in`).
    In(String, Vec<FilterValue>),
    /// The field is a number that compares so.
    Compare(String, Comparison, f64),
    /// The field is there.
    Exists(String),
    /// The text of the field has these words.
    Text(String, TextMatch, String),
}

/// Why a filter was refused; quotes the offending part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid filter: {0}")]
pub struct FilterError(String);

impl From<FilterError> for crate::Error {
    fn from(error: FilterError) -> Self {
        crate::Error::invalid(error.to_string())
    }
}

impl Filter {
    /// Reads the API's JSON form. `{}` reads as the filter that always holds.
    pub fn from_json(json: &str) -> Result<Self, FilterError> {
        Self::from_json_within(json, &RequestLimits::default())
    }

    /// The same within other limits than the usual ones.
    pub fn from_json_within(json: &str, limits: &RequestLimits) -> Result<Self, FilterError> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| FilterError(format!("not valid JSON: {error}")))?;
        Self::from_value_within(&value, limits)
    }

    /// Reads the API's form where it did not come as text.
    pub fn from_value(value: &Value) -> Result<Self, FilterError> {
        Self::from_value_within(value, &RequestLimits::default())
    }

    /// The same within other limits than the usual ones.
    pub fn from_value_within(value: &Value, limits: &RequestLimits) -> Result<Self, FilterError> {
        object(value, 0, &mut Budget { clauses: 0, limits })
    }

    /// Calls `look` for every condition in it.
    pub fn for_each<'a>(&'a self, look: &mut dyn FnMut(&'a Filter)) {
        match self {
            Filter::And(parts) | Filter::Or(parts) => {
                parts.iter().for_each(|part| part.for_each(look));
            }
            Filter::Not(part) => part.for_each(look),
            Filter::In(..) | Filter::Compare(..) | Filter::Exists(_) | Filter::Text(..) => {
                look(self);
            }
        }
    }

    /// Whether this is the empty filter `{}`.
    pub fn is_empty(&self) -> bool {
        matches!(self, Filter::And(parts) if parts.is_empty())
    }

    /// Whether a record with this metadata matches. A condition on words, which
    /// only who can take text apart can answer, never holds.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        self.matches_with(metadata, &|_| false)
    }

    /// The same where `has_words` answers the conditions on words
    /// ([`Filter::Text`], nothing else is asked).
    pub fn matches_with(&self, metadata: &Metadata, has_words: &dyn Fn(&Filter) -> bool) -> bool {
        match self {
            Filter::And(parts) => parts.iter().all(|part| part.matches_with(metadata, has_words)),
            Filter::Or(parts) => parts.iter().any(|part| part.matches_with(metadata, has_words)),
            Filter::Not(part) => !part.matches_with(metadata, has_words),
            Filter::Text(..) => has_words(self),
            Filter::In(field, values) => metadata
                .0
                .get(field)
                .is_some_and(|found| values.iter().any(|value| equals(found, value))),
            Filter::Compare(field, comparison, right) => match metadata.0.get(field) {
                Some(MetadataValue::Number(left)) => comparison.holds(*left, *right),
                _ => false,
            },
            Filter::Exists(field) => metadata.0.contains_key(field),
        }
    }
}

fn equals(found: &MetadataValue, value: &FilterValue) -> bool {
    match (found, value) {
        (MetadataValue::String(a), FilterValue::String(b)) => a == b,
        (MetadataValue::Strings(items), FilterValue::String(b)) => items.contains(b),
        (MetadataValue::Number(a), FilterValue::Number(b)) => a == b,
        (MetadataValue::Bool(a), FilterValue::Bool(b)) => a == b,
        _ => false,
    }
}

/// What a filter may still have.
struct Budget<'a> {
    clauses: usize,
    limits: &'a RequestLimits,
}

fn object(value: &Value, depth: usize, budget: &mut Budget<'_>) -> Result<Filter, FilterError> {
    let most = budget.limits.filter_depth;
    if depth > most {
        return Err(FilterError(format!("nested deeper than {most}")));
    }
    let Value::Object(fields) = value else {
        return Err(FilterError(format!(
            "{} is {}, expected an object",
            quote(value),
            json_kind(value)
        )));
    };
    let mut parts = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        count(budget)?;
        match key.as_str() {
            "$and" => parts.push(Filter::And(list(key, value, depth, budget)?)),
            "$or" => parts.push(Filter::Or(list(key, value, depth, budget)?)),
            "$not" => parts.push(negate(object(value, depth + 1, budget)?)),
            operator if operator.starts_with('$') => {
                return Err(FilterError(format!(
                    "{operator:?} cannot stand here, expected a field name, \"$and\", \"$or\" or \"$not\""
                )));
            }
            field => conditions(field, value, budget, &mut parts)?,
        }
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
}

fn count(budget: &mut Budget<'_>) -> Result<(), FilterError> {
    budget.clauses += 1;
    let most = budget.limits.filter_conditions;
    if budget.clauses > most {
        return Err(FilterError(format!("more than {most} conditions")));
    }
    Ok(())
}

fn list(
    operator: &str,
    value: &Value,
    depth: usize,
    budget: &mut Budget<'_>,
) -> Result<Vec<Filter>, FilterError> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| object(item, depth + 1, budget)).collect()
        }
        _ => Err(FilterError(format!(
            "{operator:?} has {}, expected a non-empty list of filters",
            quote(value)
        ))),
    }
}

fn conditions(
    field: &str,
    value: &Value,
    budget: &mut Budget<'_>,
    parts: &mut Vec<Filter>,
) -> Result<(), FilterError> {
    let Value::Object(operators) = value else {
        parts.push(Filter::In(field.to_owned(), vec![scalar(field, "$eq", value)?]));
        return Ok(());
    };
    if operators.is_empty() {
        return Err(FilterError(format!("field {field:?} has {{}}, expected an operator")));
    }
    for (operator, operand) in operators {
        count(budget)?;
        parts.push(condition(field, operator, operand, budget.limits.filter_values)?);
    }
    Ok(())
}

fn condition(
    field: &str,
    operator: &str,
    operand: &Value,
    values_max: usize,
) -> Result<Filter, FilterError> {
    let name = field.to_owned();
    let compare = |comparison| match operand.as_f64() {
        Some(number) => Ok(Filter::Compare(name.clone(), comparison, number)),
        None => Err(wrong(field, operator, operand, "a number")),
    };
    let words = |how| match operand {
        Value::String(text) => Ok(Filter::Text(name.clone(), how, text.clone())),
        _ => Err(wrong(field, operator, operand, "a string")),
    };
    match operator {
        "$eq" => Ok(Filter::In(name, vec![scalar(field, operator, operand)?])),
        "$ne" => Ok(negate(Filter::In(name, vec![scalar(field, operator, operand)?]))),
        "$in" => Ok(Filter::In(name, scalars(field, operator, operand, values_max)?)),
        "$nin" => Ok(negate(Filter::In(name, scalars(field, operator, operand, values_max)?))),
        "$gt" => compare(Comparison::Greater),
        "$gte" => compare(Comparison::GreaterOrEqual),
        "$lt" => compare(Comparison::Less),
        "$lte" => compare(Comparison::LessOrEqual),
        "$exists" => match operand {
            Value::Bool(true) => Ok(Filter::Exists(name)),
            Value::Bool(false) => Ok(negate(Filter::Exists(name))),
            _ => Err(wrong(field, operator, operand, "true or false")),
        },
        "$match_phrase" => words(TextMatch::Phrase),
        "$match_all" => words(TextMatch::All),
        "$match_any" => words(TextMatch::Any),
        _ => Err(FilterError(format!(
            "illegal condition for field {field:?}: unknown operator {operator:?}, expected one of \
             $eq $ne $gt $gte $lt $lte $in $nin $exists $match_phrase $match_all $match_any"
        ))),
    }
}

fn negate(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn scalar(field: &str, operator: &str, operand: &Value) -> Result<FilterValue, FilterError> {
    let read = match operand {
        Value::String(text) => Some(FilterValue::String(text.clone())),
        Value::Bool(truth) => Some(FilterValue::Bool(*truth)),
        Value::Number(number) => number.as_f64().map(FilterValue::Number),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    read.ok_or_else(|| wrong(field, operator, operand, "a string, number or boolean"))
}

fn scalars(
    field: &str,
    operator: &str,
    operand: &Value,
    values_max: usize,
) -> Result<Vec<FilterValue>, FilterError> {
    let Value::Array(items) = operand else {
        return Err(wrong(field, operator, operand, "a list of strings, numbers or booleans"));
    };
    if items.len() > values_max {
        return Err(FilterError(format!(
            "illegal condition for field {field:?}: {operator} has {} values, expected at most {values_max}",
            items.len()
        )));
    }
    items.iter().map(|item| scalar(field, operator, item)).collect()
}

fn wrong(field: &str, operator: &str, operand: &Value, expected: &str) -> FilterError {
    FilterError(format!(
        "illegal condition for field {field:?}: {operator} got {}, expected {expected}",
        quote(operand)
    ))
}

fn quote(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(filter: &str, metadata: &str) -> bool {
        Filter::from_json(filter).unwrap().matches(&Metadata::from_json(metadata).unwrap())
    }

    #[test]
    fn operators_mean_what_the_service_says() {
        let film = r#"{"genre":"drama","year":2020,"seen":true,"tags":["a","b"]}"#;
        for yes in [
            r#"{}"#,
            r#"{"genre":"drama"}"#,
            r#"{"genre":{"$eq":"drama"},"year":{"$gte":2020,"$lt":2021}}"#,
            r#"{"genre":{"$ne":"comedy"}}"#,
            r#"{"absent":{"$ne":"x"}}"#,
            r#"{"absent":{"$nin":["x"]}}"#,
            r#"{"absent":{"$exists":false}}"#,
            r#"{"tags":"a"}"#,
            r#"{"tags":{"$in":["z","b"]}}"#,
            r#"{"tags":{"$nin":["z"]}}"#,
            r#"{"seen":true}"#,
            r#"{"$or":[{"year":1},{"$and":[{"year":2020},{"seen":{"$exists":true}}]}]}"#,
        ] {
            assert!(holds(yes, film), "{yes}");
        }
        for no in [
            r#"{"genre":{"$in":[]}}"#,
            r#"{"seen":1}"#,
            r#"{"year":"2020"}"#,
            r#"{"genre":{"$gt":1}}"#,
            r#"{"tags":{"$ne":"a"}}"#,
            r#"{"tags":{"$nin":["a"]}}"#,
            r#"{"absent":{"$gt":0}}"#,
            r#"{"genre":"drama","year":1}"#,
        ] {
            assert!(!holds(no, film), "{no}");
        }
    }

    #[test]
    fn refusals_quote_the_offending_part() {
        let message = |json: &str| Filter::from_json(json).unwrap_err().to_string();
        assert!(message(r#"{"a":{"$foo":1}}"#).contains("unknown operator \"$foo\""));
        assert!(message(r#"{"a":{"$gt":"x"}}"#).contains("$gt got \"x\", expected a number"));
        assert!(message(r#"{"$gt":1}"#).contains("\"$gt\" cannot stand here"));
        assert!(message(r#"{"$and":[]}"#).contains("non-empty list"));
        assert!(message(r#"{"a":[1]}"#).contains("$eq got [1]"));
        assert!(message("[]").contains("expected an object"));
        let deep = format!("{}{{\"a\":1}}{}", r#"{"$or":["#.repeat(40), "]}".repeat(40));
        assert!(message(&deep).contains("nested deeper"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[\{\}\[\]":$a-z0-9, ]{0,60}"#) {
            let _ = Filter::from_json(&text);
        }
    }
}
