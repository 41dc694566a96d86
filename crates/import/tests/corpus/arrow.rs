//! Arrow files and streams, damaged or lying.

use arrow_array::{ArrayRef, Int32Array};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use crossbill_import::codes;
use std::sync::Arc;

use crate::make::{Columns, batch, good, good_vector, ids, strings, vectors};
use crate::{Case, file, row};

fn options(packing: Option<CompressionType>) -> IpcWriteOptions {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).unwrap();
    options.try_with_compression(packing).unwrap()
}

fn packed_file(columns: &Columns<'_>, packing: Option<CompressionType>) -> Vec<u8> {
    let batch = batch(columns);
    let mut writer =
        FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options(packing)).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// A file of one batch.
pub(crate) fn arrow_file(columns: &Columns<'_>) -> Vec<u8> {
    packed_file(columns, None)
}

fn stream(columns: &Columns<'_>) -> Vec<u8> {
    let batch = batch(columns);
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options(None)).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// `bytes` with the last occurrence of `from` changed.
fn changed(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).rposition(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

/// A file whose footer lists its large batch twice instead of it and a small
/// one.
fn on_top() -> Vec<u8> {
    let (large, small) = (batch(&good(1000)), batch(&good(3)));
    let mut writer =
        FileWriter::try_new_with_options(Vec::new(), &large.schema(), options(None)).unwrap();
    writer.write(&large).unwrap();
    writer.write(&small).unwrap();
    writer.finish().unwrap();
    let bytes = writer.into_inner().unwrap();
    let end = bytes.len() - 10;
    let length = i32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    let footer = arrow_ipc::root_as_footer(&bytes[end - length..end]).unwrap();
    let listed: Vec<Vec<u8>> = footer
        .recordBatches()
        .unwrap()
        .iter()
        .map(|block| {
            let head = i64::from(block.metaDataLength());
            [block.offset(), head, block.bodyLength()].map(i64::to_le_bytes).concat()
        })
        .collect();
    changed(bytes, &listed[1], &listed[0])
}

pub(crate) fn cases() -> Vec<Case> {
    let whole = arrow_file(&good(300));
    let end = whole.len();
    let footer = |length: i32| {
        let mut bytes = whole.clone();
        bytes[end - 10..end - 6].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    let mut noise = whole.clone();
    noise[end - 100..end - 20].fill(0xff);
    let mut astray = whole.clone();
    // Somewhere in the head of the record batch's message, behind its length;
    // the schema's message, the first, is there once more in the footer.
    let heads = whole.windows(4).enumerate().filter(|(_, window)| *window == [0xff; 4]);
    let head = heads.map(|(at, _)| at).nth(1).unwrap();
    astray[head + 8..head + 40].fill(0xee);
    let streamed = stream(&good(300));
    // The first eight bytes of a packed buffer say what it unpacks to.
    let bomb = |packing, size: i64| {
        let values = vectors(&vec![good_vector(); 4000]);
        let columns = vec![("id", ids(4000)), ("values", values)];
        let bytes = packed_file(&columns, Some(packing));
        changed(bytes, &64_000_i64.to_le_bytes(), &size.to_le_bytes())
    };
    let (zstd, lz4) = (CompressionType::ZSTD, CompressionType::LZ4_FRAME);
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let middle = vec![("id", strings(&[Some("a"), None, Some("c")])), good(3).remove(1)];
    vec![
        file("empty.arrow", vec![], codes::FILE_FORMAT, "not an Arrow file"),
        file(
            "text.arrow",
            b"id,values\n1,2\n".to_vec(),
            codes::FILE_FORMAT,
            "begins with \"id,val\"",
        ),
        file("feather-1.arrow", b"FEA1....FEA1".to_vec(), codes::FILE_FORMAT, "version 1"),
        file("only-magic.arrow", b"ARROW1\0\0".to_vec(), codes::FILE_TRUNCATED, "it has 8 bytes"),
        file("cut.arrow", whole[..end / 2].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file("cut-magic.arrow", whole[..end - 1].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file(
            "footer-huge.arrow",
            footer(i32::MAX),
            codes::FILE_TRUNCATED,
            "claims 2147483647 bytes",
        ),
        file("footer-negative.arrow", footer(-1), codes::FILE_DECODE, "claims -1 bytes"),
        file("footer-on-top.arrow", on_top(), codes::FILE_DECODE, "on top of each other"),
        file("footer-noise.arrow", noise, codes::FILE_DECODE, "damaged"),
        file("head-noise.arrow", astray, codes::FILE_DECODE, "damaged"),
        file(
            "stream-cut.arrow",
            streamed[..streamed.len() - 800].to_vec(),
            codes::FILE_TRUNCATED,
            "the file ends at",
        ),
        file(
            "stream-head.arrow",
            [&[0xff; 4], &i32::MAX.to_le_bytes()[..]].concat(),
            codes::FILE_TRUNCATED,
            "cut off",
        ),
        file("zstd-claims-much.arrow", bomb(zstd, 1 << 40), codes::FILE_LIMIT, "takes 10995"),
        file("lz4-claims-much.arrow", bomb(lz4, 1 << 40), codes::FILE_LIMIT, "takes 10995"),
        file("zstd-claims-little.arrow", bomb(zstd, 16), codes::FILE_DECODE, "damaged"),
        file("lz4-claims-little.arrow", bomb(lz4, 16), codes::FILE_DECODE, "damaged"),
        file("claims-less-than-none.arrow", bomb(zstd, -7), codes::FILE_DECODE, "claims -7 bytes"),
        file(
            "no-values.arrow",
            arrow_file(&vec![("id", ids(3))]),
            codes::FILE_SCHEMA,
            "lacks the column \"values\"",
        ),
        file(
            "values-type.arrow",
            arrow_file(&vec![("id", ids(3)), ("values", integers)]),
            codes::FILE_SCHEMA,
            "column \"values\" is int32",
        ),
        row(
            "id-null.arrow",
            arrow_file(&middle),
            codes::ID_NULL,
            "row group 0, row 1: column \"id\": id is null",
        ),
    ]
}
