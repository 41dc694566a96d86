//! Matrix products, by the `gemm` crate on the calling thread.

use gemm::Parallelism;

/// `out[i][j]` becomes the dot product of row `i` of `a` and row `j` of `b`;
/// both have rows of `dimension` values. The work stays on the calling
/// thread: callers split it by sizes of their own, so that the result does
/// not depend on how many threads there are.
pub(crate) fn products(a: &[f32], b: &[f32], dimension: usize, out: &mut [f32]) {
    assert!(dimension > 0 && a.len().is_multiple_of(dimension));
    assert!(b.len().is_multiple_of(dimension));
    let (rows, columns) = (a.len() / dimension, b.len() / dimension);
    assert_eq!(out.len(), rows * columns);
    if out.is_empty() {
        return;
    }
    let (across, along) = (columns as isize, dimension as isize);
    // SAFETY: the three slices are exactly as long as the shapes say (asserted
    // above), strides are in elements, and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            dimension,
            out.as_mut_ptr(),
            1,
            across,
            false,
            a.as_ptr(),
            1,
            along,
            b.as_ptr(),
            along,
            1,
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
