//! k-means on a sample: Lloyd's iterations over matrix products.
//!
//! Above a few dozen cells it works on two levels: about √k coarse cells
//! first, then each coarse cell's own points are split into a share of the k
//! cells, so that training costs about √k distances a point and iteration
//! instead of k. Cells of one coarse cell follow one another. Everything is
//! split by constant sizes and summed in a fixed order: the result does not
//! depend on the number of threads.

use crossbill_core::{Rng, Seed};
use rayon::prelude::*;

use crate::build_watch::Share;
use crate::{BuildWatch, kernels};

/// Points one task takes at a time.
const CHUNK_POINTS: usize = 512;
/// Lloyd iterations of each level; later ones hardly move the centroids.
const ITERATIONS_MAX: usize = 6;
/// Up to this many cells one level is as cheap as two.
const FLAT_CELLS_MAX: usize = 48;
/// Points a coarse cell's centroid is trained on.
const COARSE_POINTS_PER_CELL: usize = 192;

/// What training yields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clusters {
    /// Row after row.
    pub(crate) centroids: Vec<f32>,
    /// How many of them, one after another, lie in each coarse cell.
    pub(crate) groups: Vec<usize>,
}

/// What the two steps before the last take of the time of two levels: the
/// coarse cells see few points, and then each point is assigned but once.
const COARSE_SHARE: f64 = 0.1;
const MEMBERS_SHARE: f64 = 0.15;

/// Trains `cells` centroids on `points`, rows of `dimension` finite values;
/// fewer where there are fewer points. Runs on the current rayon pool. Once
/// `watch` says stop it hurries to an end, and the centroids are of no use.
pub(crate) fn train(
    points: &[f32],
    dimension: usize,
    cells: usize,
    seed: Seed,
    watch: &dyn BuildWatch,
) -> Clusters {
    let count = points.len() / dimension;
    let cells = cells.min(count);
    if cells <= FLAT_CELLS_MAX {
        let centroids = lloyd(points, dimension, cells, seed.derive("flat").rng(), watch);
        return Clusters { groups: vec![centroids.len() / dimension], centroids };
    }
    let coarse_cells = (cells as f64).sqrt().round() as usize;
    let sample = every_nth(points, dimension, coarse_cells * COARSE_POINTS_PER_CELL);
    let share = Share::of(watch, COARSE_SHARE);
    let coarse = lloyd(&sample, dimension, coarse_cells, seed.derive("coarse").rng(), &share);
    let members = members(points, dimension, &coarse);
    watch.done(MEMBERS_SHARE);
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let groups = shares(&counts, cells);
    let fine: Vec<Vec<f32>> = members
        .par_iter()
        .zip(&groups)
        .enumerate()
        .map(|(cell, (members, &share))| {
            let own: Vec<f32> =
                members.iter().flat_map(|&point| row(points, dimension, point)).copied().collect();
            let part = (1.0 - COARSE_SHARE - MEMBERS_SHARE) * members.len() as f64 / count as f64;
            let work = Share::of(watch, part);
            lloyd(&own, dimension, share, seed.derive(&format!("fine {cell}")).rng(), &work)
        })
        .collect();
    Clusters { centroids: fine.concat(), groups }
}

/// Moves each centroid to the mean of the points that `cell_of` puts there;
/// cells without points keep theirs.
pub(crate) fn move_to_means(
    points: &[f32],
    dimension: usize,
    cell_of: &[u32],
    centroids: &mut [f32],
) {
    let mut members = vec![Vec::new(); centroids.len() / dimension];
    for (point, &cell) in cell_of.iter().enumerate() {
        members[cell as usize].push(point);
    }
    centroids.par_chunks_exact_mut(dimension).zip(members).for_each(|(centroid, members)| {
        if members.is_empty() {
            return;
        }
        centroid.fill(0.0);
        for &point in &members {
            kernels::add(centroid, row(points, dimension, point));
        }
        let scale = 1.0 / members.len() as f32;
        centroid.iter_mut().for_each(|value| *value *= scale);
    });
}

fn row(points: &[f32], dimension: usize, point: usize) -> &[f32] {
    &points[point * dimension..][..dimension]
}

/// At most `count` of the points, evenly spread.
fn every_nth(points: &[f32], dimension: usize, count: usize) -> Vec<f32> {
    let step = (points.len() / dimension).div_ceil(count).max(1);
    points.chunks_exact(dimension).step_by(step).flatten().copied().collect()
}

/// The points of each centroid.
fn members(points: &[f32], dimension: usize, centroids: &[f32]) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); centroids.len() / dimension];
    for (point, nearest) in assign(points, dimension, centroids).into_iter().enumerate() {
        members[nearest.cell as usize].push(point);
    }
    members
}

/// Splits `cells` by the counts, largest remainders first; a part gets no
/// more cells than it has points, and at least one if it has any.
fn shares(counts: &[usize], cells: usize) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    let mut shares: Vec<usize> = counts
        .iter()
        .map(|&count| (count * cells / total.max(1)).clamp(usize::from(count > 0), count.max(1)))
        .map(|share| share.min(cells))
        .collect();
    for (share, &count) in shares.iter_mut().zip(counts) {
        *share = (*share).min(count);
    }
    // The part with most points a cell takes what rounding left over, and the
    // one with fewest gives what it took too much.
    let load = |share: usize, count: usize| count as f64 / share.max(1) as f64;
    while shares.iter().sum::<usize>() < cells.min(total) {
        let part = (0..counts.len())
            .filter(|&part| shares[part] < counts[part])
            .max_by(|&a, &b| load(shares[a], counts[a]).total_cmp(&load(shares[b], counts[b])));
        match part {
            Some(part) => shares[part] += 1,
            None => break,
        }
    }
    while shares.iter().sum::<usize>() > cells {
        let part = (0..counts.len())
            .filter(|&part| shares[part] > 1)
            .min_by(|&a, &b| load(shares[a], counts[a]).total_cmp(&load(shares[b], counts[b])));
        match part {
            Some(part) => shares[part] -= 1,
            None => break,
        }
    }
    shares
}

/// Where a point went.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Nearest {
    cell: u32,
    square_distance: f32,
}

/// The nearest centroid of each point.
fn assign(points: &[f32], dimension: usize, centroids: &[f32]) -> Vec<Nearest> {
    let cells = centroids.len() / dimension;
    let squares: Vec<f32> = centroids.chunks_exact(dimension).map(|c| kernels::dot(c, c)).collect();
    let chunk_of = |chunk: &[f32]| {
        let mut products = vec![0.0; chunk.len() / dimension * cells];
        kernels::products(chunk, centroids, dimension, &mut products);
        let points = chunk.chunks_exact(dimension).zip(products.chunks_exact(cells));
        points.map(|(point, products)| nearest(point, products, &squares)).collect::<Vec<_>>()
    };
    points.par_chunks(CHUNK_POINTS * dimension).flat_map_iter(chunk_of).collect()
}

fn nearest(point: &[f32], products: &[f32], squares: &[f32]) -> Nearest {
    let mut best = (f32::INFINITY, 0);
    for (cell, (product, square)) in products.iter().zip(squares).enumerate() {
        let distance = square - 2.0 * product;
        if distance < best.0 {
            best = (distance, cell as u32);
        }
    }
    let square_distance = (best.0 + kernels::dot(point, point)).max(0.0);
    Nearest { cell: best.1, square_distance }
}

/// One level of k-means.
fn lloyd(
    points: &[f32],
    dimension: usize,
    cells: usize,
    mut rng: Rng,
    watch: &dyn BuildWatch,
) -> Vec<f32> {
    let count = points.len() / dimension;
    let cells = cells.min(count);
    let mut centroids: Vec<f32> = distinct(count, cells, &mut rng)
        .into_iter()
        .flat_map(|point| row(points, dimension, point))
        .copied()
        .collect();
    if cells == 0 {
        return centroids;
    }
    let mut before: Vec<u32> = Vec::new();
    for iteration in 0..ITERATIONS_MAX {
        if watch.is_stopped() {
            break;
        }
        let mut nearest = assign(points, dimension, &centroids);
        fill_empty_cells(&mut nearest, cells);
        let cell_of: Vec<u32> = nearest.iter().map(|nearest| nearest.cell).collect();
        if cell_of == before {
            watch.done((ITERATIONS_MAX - iteration) as f64 / ITERATIONS_MAX as f64);
            break;
        }
        move_to_means(points, dimension, &cell_of, &mut centroids);
        before = cell_of;
        watch.done(1.0 / ITERATIONS_MAX as f64);
    }
    centroids
}

/// `chosen` different numbers below `count`.
fn distinct(count: usize, chosen: usize, rng: &mut Rng) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    for place in 0..chosen {
        let other = place + rng.below((count - place) as u64) as usize;
        numbers.swap(place, other);
    }
    numbers.truncate(chosen);
    numbers
}

/// Gives each cell without points the point that is farthest from its own
/// centroid, among cells that have points to spare.
fn fill_empty_cells(nearest: &mut [Nearest], cells: usize) {
    let mut counts = vec![0_usize; cells];
    nearest.iter().for_each(|nearest| counts[nearest.cell as usize] += 1);
    let empty: Vec<usize> = (0..cells).filter(|&cell| counts[cell] == 0).collect();
    if empty.is_empty() {
        return;
    }
    let mut order: Vec<usize> = (0..nearest.len()).collect();
    order.sort_by(|&a, &b| nearest[b].square_distance.total_cmp(&nearest[a].square_distance));
    let mut order = order.into_iter();
    for cell in empty {
        let spare = order.find(|&point| counts[nearest[point].cell as usize] > 1);
        let Some(point) = spare else { return };
        counts[nearest[point].cell as usize] -= 1;
        counts[cell] = 1;
        nearest[point] = Nearest { cell: cell as u32, square_distance: 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Points around `groups` far-apart places.
    fn grouped(groups: usize, each: usize, dimension: usize) -> Vec<f32> {
        let mut rng = Seed(5).rng();
        let places: Vec<f32> = (0..groups * dimension).map(|_| rng.normal_f32() * 20.0).collect();
        (0..groups * each)
            .flat_map(|point| {
                let place = point % groups * dimension;
                (0..dimension).map(|d| places[place + d]).collect::<Vec<_>>()
            })
            .map(|value| value + rng.normal_f32() * 0.1)
            .collect()
    }

    fn distortion(points: &[f32], dimension: usize, centroids: &[f32]) -> f32 {
        let nearest = assign(points, dimension, centroids);
        nearest.iter().map(|n| n.square_distance).sum::<f32>() / nearest.len() as f32
    }

    #[test]
    fn more_cells_than_groups_find_every_group() {
        for groups in [3, 20, 100] {
            let points = grouped(groups, 64, 8);
            let Clusters { centroids, groups: sizes } =
                train(&points, 8, groups * 4, Seed(1), &|| false);
            assert_eq!(sizes.iter().sum::<usize>(), groups * 4);
            assert_eq!(centroids.len(), groups * 4 * 8);
            let left = distortion(&points, 8, &centroids);
            assert!(left < 1.0, "{groups}: {left}"); // 400 × 8 where groups share cells
        }
    }

    #[test]
    fn equal_points_and_few_points_are_fine() {
        assert_eq!(train(&[], 4, 10, Seed(1), &|| false).centroids, Vec::<f32>::new());
        assert_eq!(train(&[1.0; 12], 4, 10, Seed(1), &|| false).centroids, vec![1.0; 12]);
        let many = train(&[2.0; 4 * 4000], 4, 100, Seed(1), &|| false).centroids;
        assert_eq!(many, vec![2.0; 400]);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let points = grouped(30, 100, 16);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(&points, 16, 90, Seed(3), &|| false))
        };
        assert_eq!(with(1), with(4));
    }

    proptest! {
        #[test]
        fn shares_add_up(
            counts in prop::collection::vec(0_usize..50, 1..20),
            cells in 1_usize..200,
        ) {
            let total: usize = counts.iter().sum();
            let parts = counts.iter().filter(|&&count| count > 0).count();
            let shares = shares(&counts, cells);
            prop_assert!(shares.iter().zip(&counts).all(|(share, count)| share <= count));
            prop_assert!(shares.iter().zip(&counts).all(|(s, c)| (*s > 0) == (*c > 0)));
            let expected = cells.min(total).max(parts);
            prop_assert_eq!(shares.iter().sum::<usize>(), expected);
        }
    }
}
