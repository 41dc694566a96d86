//! A task's decoding thread: piece after piece, batches in source order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use crossbill_store::{Source, killpoint};

use crate::decode::{DecodeBudget, Flow, PieceFailure, Reading, RowBatch, decode_piece};
use crate::failure::FileFailure;
use crate::reject::codes;
use crate::source::blocks::ReadAhead;
use crate::source::{SourceRead, panic_text};
use crate::{TaskPiece, TaskSpec};

/// What the decoder says, in source order.
pub(super) enum Decoded {
    /// Rows.
    Batch(Box<RowBatch>),
    /// The piece of this number (within the task) is read to its end.
    End(usize),
    /// The rest of the piece of this number cannot be read.
    Failed(usize, Box<PieceFailure>),
}

pub(super) struct Decoding<'a> {
    pub(super) task: &'a TaskSpec,
    pub(super) source: Source,
    pub(super) budget: DecodeBudget,
    pub(super) ahead: Arc<ReadAhead>,
    pub(super) stop: &'a AtomicBool,
}

impl Decoding<'_> {
    /// Decodes all pieces, or until nobody listens.
    pub(super) fn run(&self, sender: &SyncSender<Decoded>) {
        for (number, piece) in self.task.pieces.iter().enumerate() {
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let said = match self.piece(piece, sender) {
                Ok(()) => Decoded::End(number),
                Err(failure) => Decoded::Failed(number, Box::new(failure)),
            };
            if sender.send(said).is_err() {
                return;
            }
        }
    }

    fn piece(&self, piece: &TaskPiece, sender: &SyncSender<Decoded>) -> Result<(), PieceFailure> {
        let mut rows_done = 0;
        let mut take = |batch: RowBatch| {
            killpoint::reach("import.batch_decoded");
            let rows = batch.rows as u64;
            if self.stop.load(Ordering::Acquire)
                || sender.send(Decoded::Batch(Box::new(batch))).is_err()
            {
                return Flow::Stop;
            }
            rows_done += rows;
            Flow::Go
        };
        let file = SourceRead { source: self.source.clone(), object: piece.file.object() };
        let reading = Reading {
            shape: &self.task.shape,
            mapping: &self.task.mapping,
            budget: self.budget,
            ahead: &self.ahead,
        };
        // Decoding guards itself; this guards against a fault around it, so
        // that the listener always learns how the piece ended.
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            decode_piece(Box::new(file), piece, &reading, &mut take)
        }));
        decoded.unwrap_or_else(|panic| {
            let reason = format!("it cannot be decoded: {}", panic_text(&*panic));
            let failure = FileFailure::bad(codes::FILE_DECODE, reason);
            Err(PieceFailure { failure, row_group: None, rows_done })
        })
    }
}
