//! Updates: records that are there are read, changed and put again, by the
//! writer that leads, so that nothing is written between.

use crossbill_core::limits::METADATA_BYTES_CEILING;
use crossbill_core::{Filter, Record, Result, VectorType};

use super::Namespace;
use super::check::{check_metadata, check_vectors};
use super::write::{WriteOp, Written};
use crate::ops::Op;
use crate::types::{Lsn, Update};

/// Records rewritten per frame by an update by filter.
const FILTER_CHUNK: usize = 1000;

impl Namespace {
    /// Checks updates of distinct records and does them: all, or none where
    /// one cannot be.
    pub(crate) fn update(&self, updates: Vec<Update>) -> Result<Lsn> {
        for update in &updates {
            crossbill_core::check_record_id(&update.id)?;
            self.check_update(update)?;
        }
        Ok(self.write(WriteOp::Update(updates))?.lsn)
    }

    /// Checks an update and does it to every record that matches.
    pub(crate) fn update_by_filter(&self, filter: &Filter, update: Update) -> Result<Written> {
        self.check_update(&update)?;
        self.write(WriteOp::UpdateMatching(filter.clone(), update))
    }

    fn check_update(&self, update: &Update) -> Result<()> {
        let shape = &self.context.shape;
        let given = |values: &&[f32]| shape.vector_type == VectorType::Dense || !values.is_empty();
        let values = update.values.as_deref().filter(given);
        check_vectors(shape, values, update.sparse.as_ref())?;
        let limits = &self.context.env.limits;
        check_metadata(shape, update.set_metadata.as_ref(), limits.metadata_bytes)
    }

    pub(super) fn update_each(&self, updates: &[Update]) -> Result<Written> {
        let mut puts = Vec::new();
        for update in updates {
            let Some(mut record) = self.fetch_one(&update.id) else { continue };
            self.change(&mut record, update)?;
            puts.push(Op::Put(record));
        }
        self.write_ops(puts)
    }

    /// Does an update to a record, and checks what comes of it.
    fn change(&self, record: &mut Record, update: &Update) -> Result<()> {
        let (shape, remove) = (&self.context.shape, &update.remove);
        // What is there already may have come under a wider limit.
        let mut metadata_bytes_max = METADATA_BYTES_CEILING;
        if shape.documents && remove.sparse {
            record.sparse = None;
        }
        if let Some(values) = &update.values {
            record.values.clone_from(values);
        }
        if update.sparse.is_some() {
            record.sparse.clone_from(&update.sparse);
        }
        if let Some(metadata) = &mut record.metadata {
            metadata.0.retain(|field, _| !remove.fields.contains(field));
        }
        if let Some(fields) = &update.set_metadata {
            metadata_bytes_max = self.context.env.limits.metadata_bytes;
            let own = record.metadata.take().unwrap_or_default();
            record.metadata = Some(match shape.documents {
                true => own.overlaid(fields.clone()),
                false => own.merged(fields.clone(), metadata_bytes_max)?,
            });
        }
        self.context.accept(record, metadata_bytes_max)
    }

    pub(super) fn update_matching(&self, filter: &Filter, update: &Update) -> Result<Written> {
        let mut written = self.written_nothing();
        let Some((snapshot, ())) = self.snapshot(|_| ()) else { return Ok(written) };
        let matching = snapshot.matching(filter);
        let mut places = matching.places().peekable();
        while places.peek().is_some() {
            let mut puts = Vec::new();
            for place in places.by_ref().take(FILTER_CHUNK) {
                // Read anew: an import may have replaced it meanwhile.
                let Some(mut record) = self.fetch_one(snapshot.id(place)) else { continue };
                self.change(&mut record, update)?;
                puts.push(Op::Put(record));
            }
            written = self.write_ops(puts)?;
        }
        written.matched = matching.count();
        Ok(written)
    }
}
