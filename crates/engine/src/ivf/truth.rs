//! Exact neighbours of the held-out queries, collected while the rows stream
//! by.

use std::sync::Mutex;

use crossbill_core::Metric;

use crate::rabitq::Form;
use crate::{Scored, TopK, kernels};

/// Neighbours kept of each query, at most.
const DEPTH_MAX: usize = 1000;

/// The nearest rows of each query so far. Rows may be offered in any order
/// and from any thread: what is kept in the end is the same.
pub(super) struct Truth {
    form: Form,
    padded: usize,
    rows: Vec<u32>,
    /// What rows are multiplied with: the queries, under dot product with the
    /// origin added back.
    factors: Vec<f32>,
    nearest: Vec<Mutex<TopK>>,
}

impl Truth {
    /// Begins for `queries` (placed), which are themselves the rows `rows`.
    pub(super) fn new(
        form: Form,
        queries: &[f32],
        rows: Vec<u32>,
        origin: &[f32],
        live: usize,
    ) -> Self {
        let mut factors = queries.to_vec();
        if form == Form::NegativeDot {
            for query in factors.chunks_exact_mut(origin.len()) {
                query.iter_mut().zip(origin).for_each(|(value, origin)| *value += origin);
            }
        }
        let depth = DEPTH_MAX.min(live.saturating_sub(1));
        let top = || Mutex::new(TopK::new(Metric::Euclidean, depth));
        let nearest = rows.iter().map(|_| top()).collect();
        Self { form, padded: origin.len(), rows, factors, nearest }
    }

    /// Offers placed rows. Distances of squared L2 leave out the query's own
    /// square.
    pub(super) fn offer(
        &self,
        rows: &[u32],
        placed: &[f32],
        squares: &[f32],
        products: &mut Vec<f32>,
    ) {
        if self.rows.is_empty() || rows.is_empty() {
            return;
        }
        products.clear();
        products.resize(self.rows.len() * rows.len(), 0.0);
        kernels::products(&self.factors, placed, self.padded, products);
        for (query, products) in products.chunks_exact_mut(rows.len()).enumerate() {
            match self.form {
                Form::NegativeDot => products.iter_mut().for_each(|product| *product = -*product),
                Form::SquaredL2 => products
                    .iter_mut()
                    .zip(squares)
                    .for_each(|(product, square)| *product = square - 2.0 * *product),
            }
            let mut top = self.nearest[query].lock().unwrap_or_else(|held| held.into_inner());
            let mut worst = top.worst().unwrap_or(f32::INFINITY);
            for (&row, &distance) in rows.iter().zip(products.iter()) {
                if distance <= worst && row != self.rows[query] {
                    top.push(row, distance);
                    worst = top.worst().unwrap_or(f32::INFINITY);
                }
            }
        }
    }

    /// The neighbours of each query, nearest first.
    pub(super) fn finish(self) -> Vec<Vec<Scored>> {
        let sorted = |top: Mutex<TopK>| {
            top.into_inner().unwrap_or_else(|held| held.into_inner()).into_sorted()
        };
        self.nearest.into_iter().map(sorted).collect()
    }
}
