//! What the measuring programs share: how they are told a metric and an array.
//! Measures nothing itself.

use std::io::Read;

use crossbill_core::Metric;

/// The metric that a program was told; Euclidean where it is no name of one.
pub(crate) fn metric(name: &str) -> Metric {
    Metric::parse(name).unwrap_or(Metric::Euclidean)
}

/// Rows and columns of a NumPy file (version 1 of the format: a magic, a
/// dictionary as text, values), read up to its values.
pub(crate) fn npy_shape(file: &mut impl Read) -> (usize, usize) {
    let mut head = [0; 10];
    file.read_exact(&mut head).unwrap();
    let mut text = vec![0; usize::from(u16::from_le_bytes([head[8], head[9]]))];
    file.read_exact(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let shape = text.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let mut sizes = shape.split(',').map(|size| size.trim().parse().unwrap());
    (sizes.next().unwrap(), sizes.next().unwrap())
}

/// Values of four bytes.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}
