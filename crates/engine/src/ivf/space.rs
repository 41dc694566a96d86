//! From a vector as it was given to the space the cells live in: normalised
//! under cosine, relative to the mean, rotated.

use crossbill_core::{IndexShape, Metric, Seed};

use crate::kernels;
use crate::rotation::Rotation;

/// The map from given vectors to placed ones.
#[derive(Debug)]
pub(super) struct Space {
    normalise: bool,
    seed: Seed,
    rotation: Rotation,
    mean: Vec<f32>,
    /// The mean, rotated.
    origin: Vec<f32>,
}

impl Space {
    /// The space of an index around `mean`, rotated as `seed` says.
    pub(super) fn new(shape: &IndexShape, seed: Seed, mean: Vec<f32>) -> Self {
        let rotation = Rotation::new(mean.len(), seed);
        let mut origin = mean.clone();
        origin.resize(rotation.padded(), 0.0);
        rotation.apply(&mut origin);
        Self { normalise: shape.metric == Metric::Cosine, seed, rotation, mean, origin }
    }

    /// Components of a placed vector.
    pub(super) fn padded(&self) -> usize {
        self.rotation.padded()
    }

    /// Where the rotation starts.
    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    /// The mean of the (normalised) vectors.
    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The mean, rotated.
    pub(super) fn origin(&self) -> &[f32] {
        &self.origin
    }

    /// Places a vector.
    pub(super) fn place(&self, vector: &[f32], out: &mut [f32]) {
        let (head, padding) = out.split_at_mut(self.mean.len());
        padding.fill(0.0);
        if self.normalise {
            normalise(vector, head);
            for (value, mean) in head.iter_mut().zip(&self.mean) {
                *value -= mean;
            }
        } else {
            kernels::subtract(vector, &self.mean, head);
        }
        self.rotation.apply(out);
    }

    /// Places a padded vector that is normalised already, where it lies.
    pub(super) fn place_normalised(&self, vector: &mut [f32]) {
        for (value, mean) in vector.iter_mut().zip(&self.mean) {
            *value -= mean;
        }
        self.rotation.apply(vector);
    }
}

/// The vector of length 1 in the same direction; zero stays zero.
pub(super) fn normalise(vector: &[f32], out: &mut [f32]) {
    let square = kernels::dot(vector, vector);
    if square.is_normal() {
        let scale = 1.0 / square.sqrt();
        for (out, value) in out.iter_mut().zip(vector) {
            *out = value * scale;
        }
        return;
    }
    // The square left the range of f32.
    let square: f64 = vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    let scale = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
    for (out, &value) in out.iter_mut().zip(vector) {
        *out = (f64::from(value) * scale) as f32;
    }
}
