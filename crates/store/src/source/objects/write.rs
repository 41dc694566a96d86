//! Object stores as a destination of exports: an object appears whole or not
//! at all, and one of an earlier try is replaced. Nothing here says what may
//! be written where.

use std::io;

use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};

use super::super::retry::{Failure, Retry};
use super::super::{SourceError, SourceObject};
use super::ObjectSource;
use crate::runtime::block_on;

/// Bytes of one part of an upload; larger objects have several. Stores allow
/// 10,000 parts of at least 5 MiB.
const PART_BYTES: u64 = 8 << 20;

/// Bytes that can be read again, for another try.
pub(crate) trait Body {
    /// How many there are.
    fn len(&self) -> u64;
    /// Fills `buffer` from `offset` on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ObjectSource {
    /// Whether no object lies below the base.
    pub(in super::super) fn is_empty(&self, retry: &Retry) -> Result<bool, SourceError> {
        let what = || format!("listing {} {}", self.shown(""), self.reached);
        let mut found: Vec<SourceObject> = Vec::new();
        retry.run(&what, || block_on(self.list_onwards(&mut found, 0, retry)))?;
        Ok(found.is_empty())
    }

    /// Writes `body` as `path` below the base.
    pub(in super::super) fn write(
        &self,
        path: &str,
        body: &dyn Body,
        retry: &Retry,
    ) -> Result<(), SourceError> {
        let what = || format!("writing {} {}", self.shown(path), self.reached);
        retry.run(&what, || block_on(self.try_write(path, body, retry)))
    }

    async fn try_write(&self, path: &str, body: &dyn Body, retry: &Retry) -> Result<(), Failure> {
        let location = self.location(path)?;
        if body.len() <= PART_BYTES {
            let payload = self.payload(path, body, 0)?;
            self.attempt(path, retry, self.store.put(&location, payload)).await?;
            return Ok(());
        }
        let begun = self.attempt(path, retry, self.store.put_multipart(&location)).await;
        let mut upload = begun?;
        let written = self.write_parts(path, body, &mut *upload, retry).await;
        if written.is_err() {
            // Where this fails too, the store's own rules remove the parts.
            let _ = self.attempt(path, retry, upload.abort()).await;
        }
        written
    }

    async fn write_parts(
        &self,
        path: &str,
        body: &dyn Body,
        upload: &mut dyn MultipartUpload,
        retry: &Retry,
    ) -> Result<(), Failure> {
        let mut at = 0;
        while at < body.len() {
            let payload = self.payload(path, body, at)?;
            at += payload.content_length() as u64;
            self.attempt(path, retry, upload.put_part(payload)).await?;
        }
        self.attempt(path, retry, upload.complete()).await?;
        Ok(())
    }

    /// The part of the body that begins at `offset`.
    fn payload(&self, path: &str, body: &dyn Body, offset: u64) -> Result<PutPayload, Failure> {
        let length = (body.len() - offset).min(PART_BYTES);
        let mut bytes = vec![0; usize::try_from(length).expect("a part is small")];
        body.read_at(offset, &mut bytes).map_err(|error| {
            let message = format!("writing {}: the part made for it: {error}", self.shown(path));
            Failure::Permanent(SourceError::Invalid(message))
        })?;
        Ok(PutPayload::from(bytes))
    }
}
