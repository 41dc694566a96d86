//! API keys: what each may do, to which indexes and how often. They can be
//! changed while the server runs. No file is read here; the binary does that.
//!
//! A key is held only as its hash and cannot be shown again; what logs name it
//! by is the name that the operator gave it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crossbill_core::limits::{KEY_INDEXES_MAX, KEY_NAME_CHARS_MAX, KEYS_MAX};
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::rate::{Bucket, RateLimit};

/// Why something cannot be an API key, or be said of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No client could send it in a header.
    #[error("an API key must be 1 to 512 visible ASCII characters without spaces")]
    Text,
    /// No hash.
    #[error("sha256 is not a hash, expected 64 hexadecimal digits")]
    Hash,
    /// No name.
    #[error("the name {0:?} of a key is not 1 to {KEY_NAME_CHARS_MAX} of a-z, A-Z, 0-9, . _ and -")]
    Name(String),
    /// No role.
    #[error("the role is {0:?}, expected read, write or admin")]
    Role(String),
    /// No name of an index, or beginning of one.
    #[error(
        "{0:?} in indexes is neither an index's name nor the beginning of one with * behind it"
    )]
    Pattern(String),
    /// Too many of them.
    #[error("indexes has {0} names, expected 1 to {KEY_INDEXES_MAX}")]
    Patterns(usize),
    /// Too many keys.
    #[error("there are {0} keys, expected at most {KEYS_MAX}")]
    Keys(usize),
    /// Two keys of one name.
    #[error("two keys have the name {0:?}")]
    SameName(String),
    /// One key twice: it would be unclear what it may do.
    #[error("the keys {0:?} and {1:?} are the same")]
    SameKey(String, String),
}

/// What a key may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Query, fetch, list and describe.
    Read,
    /// Change records and namespaces, import and export.
    Write,
    /// Make, change and delete indexes, backups and integrations.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 3] = [Role::Read, Role::Write, Role::Admin];

    /// Its name in settings and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| KeyError::Role(text.to_owned()))
    }
}

/// The SHA-256 hash of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key. An error where no client could send it in a header.
    pub fn of_text(text: &str) -> Result<Self, KeyError> {
        let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > 512 || !sendable {
            return Err(KeyError::Text);
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(KeyError::Hash);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let text = std::str::from_utf8(pair).map_err(|_| KeyError::Hash)?;
            *byte = u8::from_str_radix(text, 16).map_err(|_| KeyError::Hash)?;
        }
        Ok(Self(hash))
    }

    /// As 64 hexadecimal digits, for a file of keys.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(hidden)")
    }
}

/// Indexes by name, or by how their names begin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    is_prefix: bool,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, KeyError> {
        let is_prefix = text.ends_with('*');
        let stem = text.strip_suffix('*').unwrap_or(text);
        let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // A star alone would be every index: then nothing is said at all.
        if stem.is_empty() || !stem.bytes().all(of_name) {
            return Err(KeyError::Pattern(text.to_owned()));
        }
        Ok(Self { text: stem.to_owned(), is_prefix })
    }

    fn matches(&self, name: &str) -> bool {
        match self.is_prefix {
            true => name.starts_with(&self.text),
            false => name == self.text,
        }
    }
}

/// An API key and what it may do.
#[derive(Debug, Clone)]
pub struct ApiKey {
    name: String,
    hash: KeyHash,
    role: Role,
    /// Nothing: all indexes, and what concerns none.
    indexes: Option<Vec<Pattern>>,
    limit: Option<RateLimit>,
    bucket: Arc<Bucket>,
}

impl ApiKey {
    /// A key that may do everything. `name` is what logs call it.
    pub fn new(name: &str, hash: KeyHash) -> Result<Self, KeyError> {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > KEY_NAME_CHARS_MAX || !name.bytes().all(of_name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let (name, bucket) = (name.to_owned(), Arc::default());
        Ok(Self { name, hash, role: Role::Admin, indexes: None, limit: None, bucket })
    }

    /// The same with another role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The same for some indexes only: names, or beginnings of names with `*`.
    pub fn for_indexes(self, names: &[String]) -> Result<Self, KeyError> {
        if names.is_empty() || names.len() > KEY_INDEXES_MAX {
            return Err(KeyError::Patterns(names.len()));
        }
        let patterns = names.iter().map(|name| Pattern::new(name)).collect::<Result<_, _>>()?;
        Ok(Self { indexes: Some(patterns), ..self })
    }

    /// The same with a limit of its own in place of the server's.
    #[must_use]
    pub fn with_limit(self, limit: RateLimit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// What logs call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether it is for all indexes, and for what concerns none.
    pub(crate) fn is_for_all(&self) -> bool {
        self.indexes.is_none()
    }

    /// Whether it is for the index of this name.
    pub(crate) fn is_for(&self, index: &str) -> bool {
        let any = |patterns: &Vec<Pattern>| patterns.iter().any(|pattern| pattern.matches(index));
        self.indexes.as_ref().is_none_or(any)
    }

    pub(crate) fn limit(&self) -> Option<RateLimit> {
        self.limit
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}

/// The keys that are let in. Clones share them: what one sets, all have.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<RwLock<Arc<Vec<Arc<ApiKey>>>>>);

impl Keys {
    /// These keys.
    pub fn new(keys: Vec<ApiKey>) -> Result<Self, KeyError> {
        let made = Self::default();
        made.replace(keys)?;
        Ok(made)
    }

    /// Whether there is none, so that everyone on this machine is let in.
    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// Lets these in from now on and no others; what they were used for lately
    /// still counts for their limits. Changes nothing where there is an error.
    pub fn replace(&self, keys: Vec<ApiKey>) -> Result<(), KeyError> {
        check_distinct(&keys)?;
        let mut current = self.0.write();
        let known = |key: &ApiKey| {
            let same = current.iter().find(|old| old.hash == key.hash && old.limit == key.limit);
            same.map(|old| Arc::clone(&old.bucket))
        };
        let keys = keys.into_iter().map(|mut key| {
            key.bucket = known(&key).unwrap_or(key.bucket);
            Arc::new(key)
        });
        *current = Arc::new(keys.collect());
        Ok(())
    }

    /// The key that was presented. Looks at all of them and at every byte, so
    /// that the time taken tells nothing of keys that were not presented.
    pub(crate) fn find(&self, presented: &[u8]) -> Option<Arc<ApiKey>> {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let keys = Arc::clone(&self.0.read());
        let mut found = None;
        for key in keys.iter() {
            if bool::from(key.hash.0.ct_eq(&hash)) {
                found = Some(Arc::clone(key));
            }
        }
        found
    }
}

fn check_distinct(keys: &[ApiKey]) -> Result<(), KeyError> {
    if keys.len() > KEYS_MAX {
        return Err(KeyError::Keys(keys.len()));
    }
    for (number, key) in keys.iter().enumerate() {
        for other in &keys[..number] {
            if other.name == key.name {
                return Err(KeyError::SameName(key.name.clone()));
            }
            if other.hash == key.hash {
                return Err(KeyError::SameKey(other.name.clone(), key.name.clone()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, text: &str) -> ApiKey {
        ApiKey::new(name, KeyHash::of_text(text).unwrap()).unwrap()
    }

    #[test]
    fn keys_match_only_themselves() {
        let keys = Keys::new(vec![key("a", "one"), key("b", "two")]).unwrap();
        let name = |text: &[u8]| keys.find(text).map(|key| key.name().to_owned());
        assert_eq!(name(b"one").as_deref(), Some("a"));
        assert_eq!(name(b"two").as_deref(), Some("b"));
        for wrong in [&b"on"[..], b"onee", b"", b"One"] {
            assert_eq!(name(wrong), None);
        }
        assert!(Keys::default().find(b"one").is_none());
    }

    #[test]
    fn keys_are_replaced_whole_or_not_at_all() {
        let keys = Keys::new(vec![key("a", "one")]).unwrap();
        let other = keys.clone();
        let twice = vec![key("a", "two"), key("a", "three")];
        assert_eq!(other.replace(twice), Err(KeyError::SameName("a".into())));
        let same = vec![key("a", "two"), key("b", "two")];
        assert_eq!(other.replace(same), Err(KeyError::SameKey("a".into(), "b".into())));
        assert!(keys.find(b"one").is_some());
        other.replace(vec![key("a", "two")]).unwrap();
        assert!(keys.find(b"one").is_none() && keys.find(b"two").is_some());
    }

    #[test]
    fn limits_go_on_when_keys_are_replaced() {
        let limited = |limit| key("a", "one").with_limit(RateLimit::per_second(limit).unwrap());
        let keys = Keys::new(vec![limited(5)]).unwrap();
        let bucket = |keys: &Keys| Arc::clone(&keys.find(b"one").unwrap().bucket);
        let before = bucket(&keys);
        keys.replace(vec![limited(5), key("b", "two")]).unwrap();
        assert!(Arc::ptr_eq(&before, &bucket(&keys)));
        keys.replace(vec![limited(6)]).unwrap();
        assert!(!Arc::ptr_eq(&before, &bucket(&keys)));
    }

    #[test]
    fn what_no_header_carries_is_refused_and_nothing_is_shown() {
        for bad in ["", " ", "a b", "a\n", "ü"] {
            assert_eq!(KeyHash::of_text(bad), Err(KeyError::Text), "{bad:?}");
        }
        let shown = format!("{:?}", key("a", "secret"));
        let hex = KeyHash::of_text("secret").unwrap().to_hex();
        assert!(shown.contains("hidden") && !shown.contains(&hex[..8]), "{shown}");
    }

    #[test]
    fn hashes_are_read_as_written() {
        let hash = KeyHash::of_text("secret").unwrap();
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Ok(hash));
        for bad in ["", "ab", &"x".repeat(64), &"é".repeat(32), &hash.to_hex()[1..]] {
            assert_eq!(KeyHash::from_hex(bad), Err(KeyError::Hash), "{bad}");
        }
    }

    #[test]
    fn keys_are_for_indexes_by_name_or_beginning() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            key("a", "one").for_indexes(&names)
        };
        let some = of(&["products", "docs-*"]).unwrap();
        for (index, is_for) in [
            ("products", true),
            ("products-2", false),
            ("docs-", true),
            ("docs-en", true),
            ("d", false),
        ] {
            assert_eq!(some.is_for(index), is_for, "{index}");
        }
        assert!(key("a", "one").is_for("products"));
        for bad in [&["*"][..], &[""], &["A"], &["a*b"], &[]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_have_names() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(KeyError::Role("root".into())));
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
    }
}
