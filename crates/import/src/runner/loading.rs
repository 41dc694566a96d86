//! A task's storing side: checks batches, fills segments, keeps rejects, and
//! counts so that read = imported + superseded + rejected.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crossbill_core::limits::EXACT_ROWS_MAX;
use crossbill_engine::{BuiltSegment, SegmentBuilder, SegmentOptions, TextFields};
use crossbill_store::{LocalScratch, LocalScratchFile, TaskCounts, killpoint};

use super::decoding::Decoded;
use super::{RunnerParts, part_key, source_error};
use crate::decode::{PieceFailure, RowBatch};
use crate::dry::{SeenIds, id_hash, ids_within};
use crate::failure::file_reject;
use crate::rejects::{RejectWriter, rejects_key};
use crate::validate::record::KeptText;
use crate::validate::{Rules, ValidBatch, validate};
use crate::{
    ErrorMode, Reject, TaskError, TaskOutcome, TaskPiece, TaskSegment, TaskSpec, TaskWatch,
};

/// How often a waiting task looks whether it is to stop.
const CANCEL_CHECK: Duration = Duration::from_millis(100);

pub(super) struct Loading<'a> {
    parts: &'a RunnerParts,
    task: &'a TaskSpec,
    watch: &'a TaskWatch<'a>,
    text: TextFields,
    builder: Option<SegmentBuilder<LocalScratch>>,
    segments: Vec<TaskSegment>,
    rejects: RejectWriter<'a>,
    kept_text: KeptText,
    counts: TaskCounts,
    /// Of a dry run: the ids so far, in place of segments, and for how many
    /// more there is room.
    dry: Option<(SeenIds, u64)>,
    /// Whether it has had one error more than it may.
    is_overrun: bool,
    /// When the time now counted began.
    lap_from: Duration,
}

impl<'a> Loading<'a> {
    pub(super) fn new(
        parts: &'a RunnerParts,
        task: &'a TaskSpec,
        watch: &'a TaskWatch<'a>,
    ) -> Result<Self, TaskError> {
        let rejects = RejectWriter::new(&parts.root);
        Ok(Self {
            parts,
            task,
            watch,
            text: TextFields::new(&task.text),
            builder: None,
            segments: Vec::new(),
            rejects,
            kept_text: KeptText::default(),
            counts: TaskCounts::default(),
            dry: task
                .dry_run
                .then(|| (SeenIds::new(), ids_within(parts.settings.builder_bytes() as u64))),
            is_overrun: false,
            lap_from: parts.root.clock().monotonic(),
        })
    }

    /// Stores what the decoder says until it has said all, or until there are
    /// more errors than there may be.
    pub(super) fn load(&mut self, decoded: &Receiver<Decoded>) -> Result<(), TaskError> {
        let mut pieces_ended = 0;
        while pieces_ended < self.task.pieces.len() && !self.is_overrun {
            self.check_cancelled()?;
            match decoded.recv_timeout(CANCEL_CHECK) {
                Ok(Decoded::Batch(batch)) => self.store(*batch)?,
                Ok(Decoded::End(number)) => {
                    pieces_ended += 1;
                    self.end(&self.task.pieces[number]);
                }
                Ok(Decoded::Failed(number, failure)) => {
                    pieces_ended += 1;
                    self.fail(&self.task.pieces[number], *failure)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let error = crossbill_core::Error::internal("the decoding thread ended early");
                    return Err(TaskError::Failed(error));
                }
            }
        }
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), TaskError> {
        if self.watch.is_cancelled() { Err(TaskError::Cancelled) } else { Ok(()) }
    }

    /// The time since this was asked last, or the task began.
    fn lap(&mut self) -> Duration {
        let now = self.parts.root.clock().monotonic();
        now.saturating_sub(std::mem::replace(&mut self.lap_from, now))
    }

    fn store(&mut self, batch: RowBatch) -> Result<(), TaskError> {
        let (rows, bytes) = (batch.rows as u64, batch.packed_bytes);
        let rules = Rules::of(self.task, &self.parts.settings.limits);
        let (valid, rejects) = validate(batch, rules, &self.parts.pool, &mut self.kept_text);
        assert_eq!(
            valid.records().len() as u64 + rejects.len() as u64,
            rows,
            "every row is either valid or rejected"
        );
        self.counts.read += rows;
        self.counts.bytes += bytes;
        self.watch.add_read(rows, bytes);
        self.reject(rejects)?;
        self.push(&valid)?;
        let time = self.lap();
        self.watch.add_reading_time(rows, time);
        Ok(())
    }

    fn reject(&mut self, rejects: Vec<Reject>) -> Result<(), TaskError> {
        if self.task.error_mode == ErrorMode::Abort
            && let Some(first) = rejects.first()
        {
            return Err(TaskError::Rejected(Box::new(first.clone())));
        }
        let rows = rejects.len() as u64;
        self.counts.rejected += rows;
        self.watch.add_rejected(rows);
        self.keep(rejects)
    }

    /// Keeps rejects, up to the one that is too many.
    fn keep(&mut self, mut rejects: Vec<Reject>) -> Result<(), TaskError> {
        if let Some(errors_max) = self.task.errors_max {
            let room = errors_max.saturating_sub(self.rejects.count()).saturating_add(1);
            self.is_overrun = rejects.len() as u64 >= room;
            rejects.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        self.rejects.add(rejects)?;
        Ok(())
    }

    fn push(&mut self, valid: &ValidBatch) -> Result<(), TaskError> {
        let records = valid.records();
        if records.is_empty() {
            return Ok(());
        }
        if let Some((seen, room)) = &mut self.dry {
            let new = records.ids.iter().filter(|id| seen.note(id_hash(id), room)).count() as u64;
            self.counts.imported += new;
            self.counts.superseded += records.len() as u64 - new;
            self.watch.building(records.len() as u64).finish(Duration::ZERO);
            return Ok(());
        }
        let rows_max = self.parts.settings.segment_rows as usize;
        let held = self.builder.as_ref().map_or(0, |builder| builder.rows() as usize);
        if held > 0 && held + records.len() > rows_max {
            self.seal()?;
        }
        let builder = match &mut self.builder {
            Some(builder) => builder,
            none => {
                let seed = self.task.seed.derive(&format!("segment {}", self.segments.len()));
                let options = SegmentOptions { seed, exact_rows_max: EXACT_ROWS_MAX };
                let space = self.parts.root.scratch();
                let made = SegmentBuilder::new(self.task.shape, options, space);
                let made = made.map_err(crossbill_core::Error::from)?;
                none.insert(made.with_text(&self.text))
            }
        };
        builder.push(records).map_err(crossbill_core::Error::from)?;
        if builder.memory_bytes() > self.parts.settings.builder_bytes() {
            self.seal()?;
        }
        Ok(())
    }

    /// Finishes the segment at hand and stores it.
    fn seal(&mut self) -> Result<(), TaskError> {
        let Some(builder) = self.builder.take() else { return Ok(()) };
        self.check_cancelled()?;
        // What is left of the memory may hold the vectors.
        let left = self.parts.settings.builder_bytes().saturating_sub(builder.memory_bytes());
        let time = self.lap();
        self.watch.add_reading_time(0, time);
        killpoint::reach("import.build_started");
        let building = self.watch.building(u64::from(builder.rows()));
        let built = builder.finish(&self.parts.pool, left as u64, &building);
        killpoint::reach("import.segment_built");
        // Before what came of it: a build that was stopped is no failure.
        self.check_cancelled()?;
        let built = built.map_err(crossbill_core::Error::from)?;
        let BuiltSegment { file, rows, live_rows, bytes, checksum } = built;
        let part = self.part_name();
        self.publish(file, &part)?;
        self.counts.imported += u64::from(live_rows);
        self.counts.superseded += u64::from(rows - live_rows);
        building.finish(self.lap());
        self.segments.push(TaskSegment { part, rows, live_rows, bytes, checksum });
        Ok(())
    }

    fn publish(&self, file: LocalScratchFile, part: &str) -> Result<(), TaskError> {
        let key = part_key(&self.task.index_dir, part)?;
        self.parts.root.publish(file, &key).map_err(crossbill_core::Error::from)?;
        killpoint::reach("import.part_published");
        Ok(())
    }

    /// A name no other attempt at this task has.
    fn part_name(&self) -> String {
        let TaskSpec { import, ordinal, .. } = self.task;
        let unique = self.parts.ids.next_id().0 as u32;
        format!("imp-{import}-{ordinal}-{}-{unique:08x}", self.segments.len())
    }

    fn end(&self, piece: &TaskPiece) {
        if piece.last {
            self.watch.add_file();
        }
    }

    /// Counts the rest of a piece that cannot be read: one error for the
    /// file, and each row that it would have had as rejected.
    fn fail(&mut self, piece: &TaskPiece, failure: PieceFailure) -> Result<(), TaskError> {
        let PieceFailure { failure, row_group, rows_done } = failure;
        self.check_cancelled()?;
        let (code, mut reason) = failure.of_the_file().map_err(source_error)?;
        let rest = piece.rows - rows_done.min(piece.rows);
        if rest > 0 {
            let first = piece.first_row + rows_done;
            reason.push_str(&format!("; rows {first} to {} were not read", first + rest - 1));
        }
        let reject = file_reject(&piece.file.path, row_group, code, &reason);
        if self.task.error_mode == ErrorMode::Abort {
            return Err(TaskError::Rejected(Box::new(reject)));
        }
        let bytes = u128::from(piece.bytes) * u128::from(rest) / u128::from(piece.rows.max(1));
        self.counts.read += rest;
        self.counts.rejected += rest;
        self.counts.broken += 1;
        self.watch.add_read(rest, bytes as u64);
        self.watch.add_rejected(rest);
        self.keep(vec![reject])?;
        self.end(piece);
        Ok(())
    }

    /// Seals the last segment and stores the rejects: what the task made.
    pub(super) fn finish(mut self) -> Result<TaskOutcome, TaskError> {
        if self.is_overrun {
            // Nothing of it will be committed; what is stored is swept.
            (self.builder, self.counts) = (None, TaskCounts::default());
            self.segments.clear();
        }
        self.seal()?;
        let key = rejects_key(&self.task.index_dir, &self.task.import, self.task.ordinal)?;
        let rejects = self.rejects.count();
        let (stored, first_reject) = self.rejects.finish(&key)?;
        killpoint::reach("import.rejects_written");
        let TaskCounts { read, imported, superseded, rejected, .. } = self.counts;
        assert_eq!(read, imported + superseded + rejected, "no row may be lost or counted twice");
        Ok(TaskOutcome {
            ordinal: self.task.ordinal,
            namespace: self.task.namespace.clone(),
            segments: self.segments,
            counts: self.counts,
            rejects,
            first_reject,
            rejects_key: stored.then(|| key.as_str().to_owned()),
            is_overrun: self.is_overrun,
            dry: self.dry.map(|(seen, _)| seen.finish()),
        })
    }
}
