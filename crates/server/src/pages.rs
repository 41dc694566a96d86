//! Pages of listings: the one place that makes and reads their tokens. A token
//! is signed with the data root's own key, over its content and over the
//! listing that it goes on with: another listing, index or server refuses it,
//! and so nothing that a token says was made up by a client.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crossbill_wire::{PageToken, Pagination, TokenError};
use ring::hmac;
use serde::Serialize;

use crate::call::check_limit;
use crate::error::ApiError;

/// Bytes of a token's signature, which comes before its content.
const SIGNATURE_BYTES: usize = 32;

/// What tokens are signed with.
#[derive(Clone)]
pub(crate) struct PageKey(hmac::Key);

impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageKey(hidden)")
    }
}

/// A listing, as its tokens are bound to it: indexes by their uid, which one
/// made later under the same name does not share.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum Listing<'a> {
    /// Ids of a namespace.
    Ids { index: &'a str, namespace: &'a str },
    /// Records of a namespace that match a filter.
    ByMetadata { index: &'a str, namespace: &'a str },
    /// Namespaces of an index.
    Namespaces { index: &'a str },
    /// Imports of an index.
    Imports { index: &'a str },
    /// Exports of an index.
    Exports { index: &'a str },
    /// All backups.
    Backups,
    /// Those of the index of this name.
    BackupsOf { name: &'a str, include_deleted: bool },
    /// Restore jobs.
    RestoreJobs,
    /// Schedules of the index of this name.
    Schedules { name: &'a str },
    /// Backups that a schedule made.
    History { schedule: &'a str },
}

impl PageKey {
    /// The key that these bytes are.
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    fn seal(&self, listing: &[u8], token: &PageToken) -> String {
        let content = token.to_bytes();
        let signature = hmac::sign(&self.0, &signed(listing, &content));
        URL_SAFE_NO_PAD.encode([signature.as_ref(), content.as_slice()].concat())
    }

    /// The content of a token, where this key signed it for this listing. The
    /// comparison takes as long whatever it finds.
    fn open(&self, listing: &[u8], text: &str) -> Result<PageToken, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError)?;
        let (signature, content) = bytes.split_at_checked(SIGNATURE_BYTES).ok_or(TokenError)?;
        hmac::verify(&self.0, &signed(listing, content), signature).map_err(|_| TokenError)?;
        PageToken::from_bytes(content)
    }
}

/// JSON has no zero byte, so no two pairs read the same.
fn signed(listing: &[u8], content: &[u8]) -> Vec<u8> {
    [listing, &[0], content].concat()
}

/// A page of a listing, as a request asks for it.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) prefix: String,
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
    key: PageKey,
    listing: Vec<u8>,
}

/// What a request says of a page.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AskedPage<'a> {
    pub(crate) token: Option<&'a str>,
    pub(crate) limit: Option<usize>,
    pub(crate) prefix: Option<&'a str>,
}

impl PageRequest {
    /// The page asked for. A token stands in for what is left out beside it;
    /// a limit is from 1 to the first of `limits` and by default the second.
    pub(crate) fn new(
        key: &PageKey,
        listing: Listing<'_>,
        asked: AskedPage<'_>,
        (limit_max, default): (usize, usize),
    ) -> Result<Self, ApiError> {
        let listing =
            serde_json::to_vec(&listing).expect("an enum of texts and truths is always JSON");
        let token = asked.token.map(|text| key.open(&listing, text)).transpose()?;
        let limit = asked.limit.or(token.as_ref().map(|token| token.limit)).unwrap_or(default);
        check_limit(limit, limit_max)?;
        let (prefix, after) = match token {
            None => (asked.prefix.unwrap_or("").to_owned(), None),
            Some(token) => {
                if asked.prefix.is_some_and(|prefix| prefix != token.prefix) {
                    return Err(ApiError::invalid(format!(
                        "paginationToken was given for prefix {:?}, expected the same prefix",
                        token.prefix
                    )));
                }
                (token.prefix, Some(token.after))
            }
        };
        Ok(Self { prefix, limit, after, key: key.clone(), listing })
    }

    /// What gives out the token of the page after this one, which ended with
    /// `last`.
    pub(crate) fn next(self, last: String) -> Pagination {
        let token = PageToken { prefix: self.prefix, limit: self.limit, after: last };
        Pagination { next: self.key.seal(&self.listing, &token) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTING: Listing<'_> = Listing::Ids { index: "u1", namespace: "n" };

    fn read(key: &PageKey, listing: Listing<'_>, token: &str) -> Result<PageRequest, ApiError> {
        let asked = AskedPage { token: Some(token), ..AskedPage::default() };
        PageRequest::new(key, listing, asked, (100, 100))
    }

    fn token(key: &PageKey, after: &str) -> String {
        let asked = AskedPage { limit: Some(7), prefix: Some("p"), token: None };
        let page = PageRequest::new(key, LISTING, asked, (100, 100)).unwrap();
        page.next(after.to_owned()).next
    }

    #[test]
    fn a_token_is_of_one_listing_index_namespace_and_key() {
        let key = PageKey::new(&[7; 32]);
        let token = token(&key, "last");
        let page = read(&key, LISTING, &token).unwrap();
        assert_eq!((page.prefix.as_str(), page.limit), ("p", 7));
        assert_eq!(page.after.as_deref(), Some("last"));
        for other in [
            Listing::Ids { index: "u2", namespace: "n" },
            Listing::Ids { index: "u1", namespace: "m" },
            Listing::ByMetadata { index: "u1", namespace: "n" },
            Listing::Namespaces { index: "u1" },
            Listing::Backups,
        ] {
            let error = read(&key, other, &token).unwrap_err();
            assert_eq!((error.status.http, error.message.contains("another listing")), (400, true));
        }
        assert!(read(&PageKey::new(&[8; 32]), LISTING, &token).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let key = PageKey::new(&[7; 32]);
        for bad in ["", "x", "e30", "eyJhIjoxfQ", "====", "\u{65e5}\u{672c}", &"A".repeat(43)] {
            assert!(read(&key, LISTING, bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_refused(after in ".{0,40}", at: prop::sample::Index, to: u8) {
            let key = PageKey::new(&[7; 32]);
            let token = token(&key, &after);
            prop_assert!(read(&key, LISTING, &token).is_ok());
            let mut bytes = token.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
                [usize::from(to) % 65];
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(read(&key, LISTING, &changed).is_ok(), changed == token);
            prop_assert!(read(&key, LISTING, &token[..at]).is_err());
        }
    }
}
