//! Bytes of a stored part in the form in which tantivy borrows them. With
//! `kernels` the only place in this crate with `unsafe`.
#![allow(unsafe_code)]

use std::ops::{Deref, Range};

use crossbill_core::PartBytes;
use stable_deref_trait::StableDeref;
use tantivy::directory::OwnedBytes;

/// Some of the bytes of a part, which is held for as long as they are.
struct Held {
    part: PartBytes,
    range: Range<usize>,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &(*self.part).as_ref()[self.range.clone()]
    }
}

// SAFETY: moving a `Held` moves a pointer to the part, not the part. The bytes of
// a part stay the same and where they are for as long as anyone holds it, which
// `StoredBytes` says of all that implement it: memory maps and vectors that
// nobody changes any more.
unsafe impl StableDeref for Held {}

/// These bytes of the part.
///
/// # Panics
/// Where the part has not as many.
pub(super) fn held(part: &PartBytes, range: Range<usize>) -> OwnedBytes {
    OwnedBytes::new(Held { part: PartBytes::clone(part), range })
}
