//! The one definition of a score. Whatever estimates a search makes on the
//! way, every score that leaves the engine was computed here.

use crossbill_core::Metric;

use crate::kernels::{self, StoredRow};
use crate::{RowScores, TopK};

/// A full vector, as it is or encoded. Calls panic where the query has not
/// its dimension.
pub trait FullVector: Copy {
    /// The dot product with `query`.
    fn dot(self, query: &[f32]) -> f32;
    /// The squared Euclidean distance to `query`.
    fn squared_l2(self, query: &[f32]) -> f32;
    /// The dot product with `query`, and of the vector with itself.
    fn dot_and_square(self, query: &[f32]) -> (f32, f32);
    /// Cosine in double precision; 0 where a vector is all zero.
    fn cosine_f64(self, query: &[f32]) -> f32;
    /// Brings the vector near; a hint only.
    fn prefetch(self);
}

impl FullVector for &[f32] {
    #[inline]
    fn dot(self, query: &[f32]) -> f32 {
        kernels::dot(query, self)
    }

    #[inline]
    fn squared_l2(self, query: &[f32]) -> f32 {
        kernels::squared_l2(query, self)
    }

    #[inline]
    fn dot_and_square(self, query: &[f32]) -> (f32, f32) {
        kernels::dot_and_square(query, self)
    }

    fn cosine_f64(self, query: &[f32]) -> f32 {
        cosine_f64(query, self)
    }

    #[inline]
    fn prefetch(self) {
        kernels::prefetch(self);
    }
}

impl FullVector for StoredRow<'_> {
    #[inline]
    fn dot(self, query: &[f32]) -> f32 {
        self.dot(query)
    }

    #[inline]
    fn squared_l2(self, query: &[f32]) -> f32 {
        self.squared_l2(query)
    }

    #[inline]
    fn dot_and_square(self, query: &[f32]) -> (f32, f32) {
        self.dot_and_square(query)
    }

    fn cosine_f64(self, query: &[f32]) -> f32 {
        cosine_f64(query, &self.decoded(query.len()))
    }

    #[inline]
    fn prefetch(self) {
        kernels::prefetch(self.bytes());
    }
}

/// The score of `vector` for `query` in the API's scale: cosine similarity
/// (clamped to [-1, 1]), dot product, or squared Euclidean distance.
/// `query_norm` is [`kernels::norm`] of the query; only cosine uses it.
#[inline]
pub fn score<V: FullVector>(metric: Metric, query: &[f32], query_norm: f32, vector: V) -> f32 {
    match metric {
        Metric::DotProduct => vector.dot(query),
        Metric::Euclidean => vector.squared_l2(query),
        Metric::Cosine => {
            let (dot, square) = vector.dot_and_square(query);
            let norms = query_norm * square.sqrt();
            // A product that left the range of f32 (or a zero query) is worth
            // the slower way.
            let cosine = if norms.is_normal() && dot.is_finite() {
                dot / norms
            } else {
                vector.cosine_f64(query)
            };
            cosine.clamp(-1.0, 1.0)
        }
    }
}

/// Cosine in double precision; 0 where a vector is all zero.
fn cosine_f64(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut square_a, mut square_b) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (f64::from(x), f64::from(y));
        dot += x * y;
        square_a += x * x;
        square_b += y * y;
    }
    let norms = (square_a * square_b).sqrt();
    if norms > 0.0 { (dot / norms) as f32 } else { 0.0 }
}

/// The scores of full vectors for one query.
pub struct VectorScores<'a, F> {
    metric: Metric,
    query: &'a [f32],
    query_norm: f32,
    vector: F,
}

impl<'a, V: FullVector, F: Fn(u32) -> V> VectorScores<'a, F> {
    /// Scores by `metric`; `vector` gives a row's full vector.
    pub fn new(metric: Metric, query: &'a [f32], vector: F) -> Self {
        Self { metric, query, query_norm: kernels::norm(query), vector }
    }
}

impl<V: FullVector, F: Fn(u32) -> V> RowScores for VectorScores<'_, F> {
    fn score(&self, row: u32) -> f32 {
        score(self.metric, self.query, self.query_norm, (self.vector)(row))
    }

    fn prefetch(&self, row: u32) {
        (self.vector)(row).prefetch();
    }
}

/// Scores every row and offers it to `top`.
pub fn scan<V: FullVector>(
    metric: Metric,
    query: &[f32],
    rows: impl Iterator<Item = (u32, V)>,
    top: &mut TopK,
) {
    let query_norm = kernels::norm(query);
    for (row, vector) in rows {
        top.push(row, score(metric, query, query_norm, vector));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_follow_their_definitions() {
        let (q, v) = ([3.0, 4.0], [4.0, 3.0]);
        assert_eq!(score(Metric::DotProduct, &q, 5.0, &v[..]), 24.0);
        assert_eq!(score(Metric::Euclidean, &q, 5.0, &v[..]), 2.0);
        assert_eq!(score(Metric::Cosine, &q, 5.0, &v[..]), 0.96);
    }

    #[test]
    fn cosine_survives_extreme_lengths() {
        for scale in [1e-30_f32, 1e-20, 1.0, 1e20, 1e30, f32::MAX / 8.0] {
            let q = [3.0 * scale, 4.0 * scale];
            let cosine =
                score(Metric::Cosine, &q, kernels::norm(&q), &[4.0 * scale, 3.0 * scale][..]);
            assert!((cosine - 0.96).abs() < 1e-6, "{scale}: {cosine}");
        }
        assert_eq!(score(Metric::Cosine, &[0.0], 0.0, &[1.0][..]), 0.0);
    }

    #[test]
    fn scanning_keeps_the_nearest() {
        let rows = [[1.0_f32, 0.0], [0.0, 1.0], [0.9, 0.1]];
        let mut top = TopK::new(Metric::Cosine, 2);
        let pairs = rows.iter().enumerate().map(|(row, v)| (row as u32, v.as_slice()));
        scan(Metric::Cosine, &[2.0, 0.0], pairs, &mut top);
        assert_eq!(top.into_sorted().iter().map(|s| s.row).collect::<Vec<_>>(), [0, 2]);
    }
}
