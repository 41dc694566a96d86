//! Names that users give: indexes, namespaces, record ids. A name is checked
//! once, here, and never becomes a path.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{INDEX_NAME_CHARS_CEILING, NAMESPACE_CHARS_MAX, RECORD_ID_CHARS_MAX};

/// Why a name was refused; reads as "found …, expected …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

impl From<NameError> for crate::Error {
    fn from(error: NameError) -> Self {
        crate::Error::invalid(error.0)
    }
}

/// An index name: characters of `a-z`, `0-9` and `-`, no `-` at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexName(String);

impl IndexName {
    /// Checks a name that may be that of an index.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Self::within(name, INDEX_NAME_CHARS_CEILING)
    }

    /// Checks the name of an index to be made, of so many characters at most.
    pub fn within(name: &str, chars_max: usize) -> Result<Self, NameError> {
        let length = name.chars().count();
        if length == 0 || length > chars_max {
            return Err(NameError(format!(
                "index name has {length} characters, expected 1 to {chars_max}"
            )));
        }
        if let Some(bad) =
            name.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
        {
            return Err(NameError(format!(
                "index name {name:?} has the character {bad:?}, expected only lower case letters, digits and '-'"
            )));
        }
        if name.starts_with('-') || name.ends_with('-') {
            return Err(NameError(format!(
                "index name {name:?} starts or ends with '-', expected a letter or digit"
            )));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A namespace name. The default namespace is written `__default__`, and `""`
/// means the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamespaceName(String);

impl NamespaceName {
    /// How the default namespace is written.
    pub const DEFAULT: &str = "__default__";

    /// The default namespace.
    pub fn default_namespace() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    /// Checks `name`: at most 512 ASCII characters, no NUL.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Self::within(name, NAMESPACE_CHARS_MAX)
    }

    /// The same with another bound: that of a namespace to be made.
    pub fn within(name: &str, chars_max: usize) -> Result<Self, NameError> {
        if name.is_empty() || name == Self::DEFAULT {
            return Ok(Self::default_namespace());
        }
        check_ascii("namespace", name, chars_max)?;
        Ok(Self(name.to_owned()))
    }

    /// The name as text; the default namespace as `__default__`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the default namespace.
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a record id: 1 to 512 ASCII characters, no NUL.
pub fn check_record_id(id: &str) -> Result<(), NameError> {
    check_new_id(id, RECORD_ID_CHARS_MAX)
}

/// The same with another bound: of the id of a record that is to be written.
pub fn check_new_id(id: &str, chars_max: usize) -> Result<(), NameError> {
    if id.is_empty() {
        return Err(NameError(format!("id is empty, expected 1 to {chars_max} characters")));
    }
    check_ascii("id", id, chars_max)
}

fn check_ascii(what: &str, name: &str, chars_max: usize) -> Result<(), NameError> {
    let length = name.chars().count();
    if length > chars_max {
        return Err(NameError(format!(
            "{what} has {length} characters, expected at most {chars_max}"
        )));
    }
    match name.chars().find(|c| !c.is_ascii() || *c == '\0') {
        Some(bad) => Err(NameError(format!(
            "{what} {name:?} has the character {bad:?}, expected ASCII without NUL"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_follow_the_rules() {
        for good in ["a", "product-search", "9-a", &"a".repeat(45)] {
            assert!(IndexName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "ä", "a/b", "..", &"a".repeat(64)] {
            assert!(IndexName::new(bad).is_err(), "{bad}");
        }
        assert!(IndexName::within(&"a".repeat(45), 45).is_ok());
        assert!(IndexName::within(&"a".repeat(46), 45).is_err());
    }

    #[test]
    fn the_default_namespace_has_two_spellings() {
        assert_eq!(NamespaceName::new(""), NamespaceName::new("__default__"));
        assert!(NamespaceName::new("a/../b").is_ok());
        assert!(NamespaceName::new("naïve").is_err());
        assert!(NamespaceName::new("a\0").is_err());
        assert!(NamespaceName::within("ab", 1).is_err());
        assert!(NamespaceName::within("__default__", 1).unwrap().is_default());
    }

    #[test]
    fn record_ids_follow_the_rules() {
        assert!(check_record_id("x y/\"z\"").is_ok());
        let error = check_record_id(&"x".repeat(513)).unwrap_err().to_string();
        assert_eq!(error, "id has 513 characters, expected at most 512");
        assert!(check_record_id("").is_err());
    }
}
