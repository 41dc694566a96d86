//! A Parquet file's footer, read and checked before any of its data: magic,
//! lengths, and that every column chunk lies inside the file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use crossbill_core::limits::PARQUET_FOOTER_BYTES_MAX;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};

use super::RangeRead;
use super::thrift::{self, ThriftError};
use crate::failure::FileFailure;
use crate::reject::codes;

const MAGIC: &[u8] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8] = b"PARE";
/// Magic, footer length, magic.
const FILE_BYTES_MIN: u64 = 12;
/// What is read at first; most footers fit.
const TAIL_BYTES: u64 = 64 << 10;

/// Reads the footer of `file`.
pub(crate) fn read_footer(file: &dyn RangeRead) -> Result<ParquetMetaData, FileFailure> {
    let size = file.size();
    if size < FILE_BYTES_MIN {
        let reason =
            format!("not a Parquet file: it has {size} bytes, expected at least {FILE_BYTES_MIN}");
        return Err(FileFailure::bad(codes::FILE_NOT_PARQUET, reason));
    }
    let tail = file.read(size - size.min(TAIL_BYTES)..size)?;
    let (length, magic) = trailer(&tail);
    check_magic(file, magic)?;
    if length as u64 > size - FILE_BYTES_MIN {
        let reason = format!(
            "its footer claims {length} bytes, expected a file of at least {}, but it has {size} \
             bytes in all",
            length as u64 + FILE_BYTES_MIN
        );
        return Err(FileFailure::bad(codes::FILE_TRUNCATED, reason));
    }
    if length > PARQUET_FOOTER_BYTES_MAX {
        let reason =
            format!("its footer has {length} bytes, expected at most {PARQUET_FOOTER_BYTES_MAX}");
        return Err(FileFailure::bad(codes::FILE_LIMIT, reason));
    }
    let data_end = size - 8 - length as u64;
    let bytes = if length + 8 <= tail.len() {
        tail.slice(tail.len() - 8 - length..tail.len() - 8)
    } else {
        file.read(data_end..size - 8)?
    };
    let metadata = decode(&bytes)?;
    let checked = catch_unwind(AssertUnwindSafe(|| check_chunks(&metadata, data_end)));
    checked.unwrap_or_else(|panic| Err(damaged(&panic_text(&*panic))))?;
    Ok(metadata)
}

fn trailer(tail: &Bytes) -> (usize, [u8; 4]) {
    let at = tail.len() - 8;
    let word = |at: usize| [tail[at], tail[at + 1], tail[at + 2], tail[at + 3]];
    (u32::from_le_bytes(word(at)) as usize, word(at + 4))
}

fn check_magic(file: &dyn RangeRead, magic: [u8; 4]) -> Result<(), FileFailure> {
    if magic == MAGIC {
        return Ok(());
    }
    if magic == MAGIC_ENCRYPTED {
        let reason = "it is encrypted, expected a Parquet file without encryption";
        return Err(FileFailure::bad(codes::FILE_ENCRYPTED, reason));
    }
    let found = magic.escape_ascii();
    if file.read(0..4)?.as_ref() == MAGIC {
        let reason = format!(
            "it begins as Parquet but ends with \"{found}\", expected \"PAR1\": it was cut off or \
             is still being written"
        );
        return Err(FileFailure::bad(codes::FILE_TRUNCATED, reason));
    }
    let reason = format!("not a Parquet file: it ends with \"{found}\", expected \"PAR1\"");
    Err(FileFailure::bad(codes::FILE_NOT_PARQUET, reason))
}

fn decode(bytes: &Bytes) -> Result<ParquetMetaData, FileFailure> {
    thrift::check_footer(bytes).map_err(|error| match error {
        ThriftError::TooLong { .. } => {
            FileFailure::bad(codes::FILE_LIMIT, format!("its footer is too large: {error}"))
        }
        error => damaged(&error.to_string()),
    })?;
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        ParquetMetaDataReader::decode_metadata_with_options(bytes, Some(&options))
    }));
    match decoded {
        Ok(Ok(metadata)) => Ok(metadata),
        Ok(Err(error)) => {
            let text = error.to_string();
            if text.contains("ncrypt") {
                return Err(FileFailure::bad(codes::FILE_ENCRYPTED, text));
            }
            Err(damaged(&text))
        }
        Err(panic) => Err(damaged(&panic_text(&*panic))),
    }
}

fn damaged(what: &str) -> FileFailure {
    FileFailure::bad(codes::FILE_DECODE, format!("its footer is damaged: {what}"))
}

/// What a caught panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the decoder panicked").to_owned()
}

fn check_chunks(metadata: &ParquetMetaData, data_end: u64) -> Result<(), FileFailure> {
    let (mut rows_total, mut bytes_total) = (0_i64, 0_u64);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows();
        if rows < 0 {
            return Err(damaged(&format!("row group {number} claims {rows} rows")));
        }
        rows_total = rows_total
            .checked_add(rows)
            .ok_or_else(|| damaged("its row groups claim more rows than can be counted"))?;
        for (column, chunk) in group.columns().iter().enumerate() {
            let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            let length = chunk.compressed_size();
            let range = u64::try_from(start).ok().zip(u64::try_from(length).ok());
            let inside = range.filter(|(start, length)| {
                start.checked_add(*length).is_some_and(|end| end <= data_end)
            });
            let Some((_, length)) =
                inside.filter(|_| chunk.num_values() >= 0 && chunk.uncompressed_size() >= 0)
            else {
                return Err(damaged(&format!(
                    "row group {number}, column {:?} claims {} values in {length} bytes from byte \
                     {start} on, but the data ends at {data_end}",
                    group.schema_descr().column(column).path().string(),
                    chunk.num_values(),
                )));
            };
            bytes_total = bytes_total.saturating_add(length);
        }
        // Row groups on top of each other would make a small file a large one.
        if bytes_total > data_end {
            return Err(damaged(&format!(
                "its columns claim {bytes_total} bytes up to row group {number}, but the data ends \
                 at {data_end}: some lie on top of each other"
            )));
        }
    }
    Ok(())
}
