//! Cuts surveyed files into tasks.

use crossbill_core::Seed;

use super::{PlanRequest, PlannedFile};
use crate::decode::Group;
use crate::{ImportSettings, SourceFile, TaskPiece, TaskSpec};

/// Cuts tasks of about the sizes that the settings aim at. A row group is
/// never divided: one that is larger is a task of its own, streamed page by
/// page and stored as several segments where needed.
pub(crate) struct Cutter<'a> {
    request: &'a PlanRequest,
    /// Rows and packed bytes that tasks aim at.
    aims: (u64, u64),
    /// Errors that one task may have.
    errors_max: Option<u64>,
    tasks: Vec<TaskSpec>,
    namespace: String,
    pieces: Vec<TaskPiece>,
    rows: u64,
    bytes: u64,
}

impl<'a> Cutter<'a> {
    /// For an import of `rows` rows that may have `errors_max` errors more.
    pub(crate) fn new(
        request: &'a PlanRequest,
        settings: &ImportSettings,
        rows: u64,
        errors_max: Option<u64>,
    ) -> Self {
        let (tasks, pieces, namespace) = (Vec::new(), Vec::new(), String::new());
        let aims = (settings.task_rows_for(rows), settings.task_bytes);
        Self { request, aims, errors_max, tasks, namespace, pieces, rows: 0, bytes: 0 }
    }

    /// Adds the next file in source order.
    pub(crate) fn add(&mut self, file: &PlannedFile, groups: &[Group]) {
        if self.namespace != file.namespace {
            self.close();
            self.namespace.clone_from(&file.namespace);
        }
        let last = groups.iter().rposition(|group| group.rows > 0);
        let mut first_row = 0;
        for (number, group) in groups.iter().enumerate() {
            if group.rows > 0 {
                self.add_group(&file.file, number as u32, first_row, group);
            }
            if Some(number) == last
                && let Some(piece) = self.pieces.last_mut()
            {
                piece.last = true;
            }
            first_row += group.rows;
        }
    }

    fn add_group(&mut self, file: &SourceFile, number: u32, first_row: u64, group: &Group) {
        let Group { rows, bytes, lines } = *group;
        let full = self.rows + rows > self.aims.0 || self.bytes + bytes > self.aims.1;
        if full {
            self.close();
        }
        self.rows += rows;
        self.bytes += bytes;
        if let Some(piece) = self.pieces.last_mut()
            && piece.file == *file
            && piece.first_row_group + piece.row_groups == number
        {
            piece.row_groups += 1;
            piece.rows += rows;
            piece.bytes += bytes;
            if let (Some(span), Some(lines)) = (&mut piece.lines, lines) {
                span.end = lines.end;
            }
            return;
        }
        self.pieces.push(TaskPiece {
            file: file.clone(),
            first_row_group: number,
            row_groups: 1,
            first_row,
            rows,
            bytes,
            last: false,
            lines,
        });
    }

    fn close(&mut self) {
        (self.rows, self.bytes) = (0, 0);
        if self.pieces.is_empty() {
            return;
        }
        let ordinal = self.tasks.len() as u32;
        let PlanRequest { import, uri, integration, index_dir, shape, seed, error_mode, .. } =
            self.request;
        let seed: Seed = seed.derive(&format!("task {ordinal}"));
        self.tasks.push(TaskSpec {
            import: import.clone(),
            uri: uri.clone(),
            integration: integration.clone(),
            index_dir: index_dir.clone(),
            ordinal,
            namespace: self.namespace.clone(),
            shape: *shape,
            text: self.request.text.clone(),
            documents: self.request.documents.clone(),
            seed,
            error_mode: *error_mode,
            errors_max: self.errors_max,
            dry_run: self.request.dry_run,
            mapping: self.request.mapping.clone(),
            pieces: std::mem::take(&mut self.pieces),
        });
    }

    /// The tasks.
    pub(crate) fn finish(mut self) -> Vec<TaskSpec> {
        self.close();
        self.tasks
    }
}
