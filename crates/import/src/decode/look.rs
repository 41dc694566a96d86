//! A first look at a file: its columns, and where its first rows are. Unlike a
//! survey it never reads a file of lines to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbill_core::IndexShape;

use super::{Group, arrow, format_of, lines, npy, parquet};
use crate::columns::FoundColumn;
use crate::failure::FileFailure;
use crate::mapping::ColumnMapping;
use crate::reject::codes;
use crate::source::{Format, RangeRead, panic_text};
use crate::{SourceFile, TaskPiece};

/// What a look found.
pub(crate) struct Look {
    /// Names and types, in words.
    pub(crate) columns: Vec<(String, String)>,
    /// Where the first rows are, if there are any; why they cannot be imported.
    pub(crate) first: Result<Option<First>, FileFailure>,
}

/// The first part of a file that has rows.
pub(crate) struct First {
    /// Its place among the file's row groups.
    number: u32,
    group: Group,
}

impl First {
    /// As a task would read it.
    pub(crate) fn piece(&self, file: SourceFile) -> TaskPiece {
        TaskPiece {
            file,
            first_row_group: self.number,
            row_groups: 1,
            first_row: 0,
            rows: self.group.rows,
            bytes: self.group.bytes,
            last: false,
            lines: self.group.lines,
        }
    }
}

/// Looks at `file` at `path`.
pub(crate) fn look(
    file: Box<dyn RangeRead>,
    path: &str,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Look, FileFailure> {
    let looked = catch_unwind(AssertUnwindSafe(|| look_by_format(file, path, shape, mapping)));
    looked.unwrap_or_else(|panic| {
        let reason = format!("it cannot be read: {}", panic_text(&*panic));
        Err(FileFailure::bad(codes::FILE_DECODE, reason))
    })
}

fn look_by_format(
    file: Box<dyn RangeRead>,
    path: &str,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Look, FileFailure> {
    let (columns, surveyed) = match format_of(path)? {
        Format::Parquet => (parquet::columns(&*file)?, parquet::survey(&*file, shape, mapping)),
        Format::Arrow => (arrow::columns(&*file)?, arrow::survey(&*file, shape, mapping)),
        // Its rows are vectors and nothing else.
        Format::Numpy => (Vec::new(), npy::survey(&*file, shape, mapping)),
        Format::Lines(packing) => {
            let (columns, group) = lines::look(file, packing, shape, mapping)?;
            let first = group.map(|group| group.map(|group| First { number: 0, group }));
            return Ok(Look { columns: named(&columns), first });
        }
    };
    let first = surveyed.map(|survey| {
        let groups = (0_u32..).zip(survey.groups);
        let mut with_rows = groups.filter(|(_, group)| group.rows > 0);
        with_rows.next().map(|(number, group)| First { number, group })
    });
    Ok(Look { columns: named(&columns), first })
}

fn named(columns: &[FoundColumn]) -> Vec<(String, String)> {
    columns.iter().map(|column| (column.name.clone(), column.type_name())).collect()
}
