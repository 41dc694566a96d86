//! Goal: the index finds what an exact scan finds, gives the same bytes
//! whatever the threads, and refuses damaged bytes. Method: clustered sets
//! with a decaying spectrum, queries that are not in the index, recall
//! against `exact::scan`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crossbill_core::{IndexShape, Metric, Seed, VectorStorage};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::*;
use crate::exact::VectorScores;
use crate::{FormatError, TopK, exact};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Euclidean, Metric::DotProduct];

/// Rows in memory.
struct Rows {
    dimension: usize,
    values: Vec<f32>,
}

impl Rows {
    /// `count` rows around 200 centres, away from zero, the later components
    /// smaller. Other draws of the same dimension are of the same mixture.
    fn clustered(count: usize, dimension: usize, draw: u64) -> Self {
        let spread = |place: usize| (1.0 + (place % dimension) as f32).powf(-0.4);
        let mut rng = Seed(11).rng();
        let mut normal = |place| rng.normal_f32() * spread(place);
        let mean: Vec<f32> = (0..dimension).map(&mut normal).collect();
        let centres: Vec<f32> = (0..200 * dimension).map(&mut normal).collect();
        let mut rng = Seed(draw).rng();
        let mut values = Vec::with_capacity(count * dimension);
        for _ in 0..count {
            let centre = rng.below(200) as usize * dimension;
            let wide = 0.4 + 0.6 * rng.unit_f32();
            for place in 0..dimension {
                let noise = wide * spread(place) * rng.normal_f32();
                values.push(mean[place] + centres[centre + place] + noise);
            }
        }
        Self { dimension, values }
    }

    fn row(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.dimension..][..self.dimension]
    }

    fn shape(&self, metric: Metric) -> IndexShape {
        IndexShape::dense(self.dimension as u32, metric)
    }

    fn build(&self, metric: Metric, skip: &RoaringBitmap, threads: usize) -> IvfSections {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        build_ivf(&self.shape(metric), Seed(42), self, skip, &pool).unwrap()
    }

    fn open(&self, metric: Metric, sections: &IvfSections) -> Result<Ivf, FormatError> {
        let IvfSections { centroids, postings, tuning } = sections;
        Ivf::open(&self.shape(metric), self.rows(), centroids, postings, tuning)
    }

    fn exact(
        &self,
        metric: Metric,
        query: &[f32],
        k: usize,
        accept: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut top = TopK::new(metric, k);
        let rows = (0..self.rows()).filter(|&row| accept(row)).map(|row| (row, self.row(row)));
        exact::scan(metric, query, rows, &mut top);
        top.into_sorted().iter().map(|scored| scored.row).collect()
    }
}

impl RowSource for Rows {
    fn rows(&self) -> u32 {
        (self.values.len() / self.dimension) as u32
    }

    fn read(&self, first: u32, out: &mut [f32]) -> std::io::Result<()> {
        out.copy_from_slice(&self.values[first as usize * self.dimension..][..out.len()]);
        Ok(())
    }
}

/// An index over rows in memory.
struct Index<'a> {
    rows: &'a Rows,
    metric: Metric,
    sections: IvfSections,
    ivf: Ivf,
}

impl<'a> Index<'a> {
    fn new(rows: &'a Rows, metric: Metric, skip: &RoaringBitmap) -> Self {
        let sections = rows.build(metric, skip, 2);
        let ivf = rows.open(metric, &sections).unwrap();
        Self { rows, metric, sections, ivf }
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        effort: Effort,
        accept: Option<Accept<'_>>,
    ) -> (Vec<u32>, SearchStats) {
        let mut top = TopK::new(self.metric, k);
        let scores = VectorScores::new(self.metric, query, |row| self.rows.row(row));
        let postings = &self.sections.postings;
        let stats = self.ivf.search(postings, query, effort, accept, &scores, &mut top);
        (top.into_sorted().iter().map(|scored| scored.row).collect(), stats)
    }

    /// Accepts the rows for which `contains` holds.
    fn accept<'b>(&self, contains: &'b dyn Fn(u32) -> bool) -> Accept<'b> {
        let count = (0..self.rows.rows()).filter(|&row| contains(row)).count();
        let part = count as f32 / self.rows.rows() as f32;
        Accept { contains, part, lists: None }
    }

    /// The mean recall over the queries.
    fn recall(
        &self,
        queries: &Rows,
        k: usize,
        effort: Effort,
        accept: impl Fn(u32) -> bool + Copy,
    ) -> f64 {
        let mut found = 0;
        let mut wanted = 0;
        for query in queries.values.chunks_exact(queries.dimension) {
            let expected = self.rows.exact(self.metric, query, k, accept);
            let (got, _) = self.search(query, k, effort, Some(self.accept(&accept)));
            let got: BTreeSet<u32> = got.into_iter().collect();
            found += expected.iter().filter(|row| got.contains(row)).count();
            wanted += expected.len();
        }
        found as f64 / wanted as f64
    }
}

static LARGE: LazyLock<Rows> = LazyLock::new(|| Rows::clustered(30_000, 96, 1));
static QUERIES: LazyLock<Rows> = LazyLock::new(|| Rows::clustered(200, 96, 2));

static INDEXES: LazyLock<Vec<Index<'static>>> = LazyLock::new(|| {
    METRICS.iter().map(|&metric| Index::new(&LARGE, metric, &RoaringBitmap::new())).collect()
});

#[test]
fn recall_is_reached_under_every_metric() {
    for index in &*INDEXES {
        let metric = index.metric;
        for target in [0.90, 0.95, 0.99] {
            let recall = index.recall(&QUERIES, 10, Effort::Recall(target), |_| true);
            assert!(recall >= f64::from(target), "{metric:?} at {target}: {recall}");
        }
        let scaled = |factor| index.recall(&QUERIES, 10, Effort::Scaled(factor), |_| true);
        let (half, once, four) = (scaled(0.5), scaled(1.0), scaled(4.0));
        assert!(half <= once && once >= 0.95 && four >= 0.98, "{metric:?}: {half} {once} {four}");
        let every_list = index.recall(&QUERIES, 10, Effort::Recall(1.0), |_| true);
        assert!(every_list >= 0.999, "{metric:?}: {every_list}");
        // What a distance begins with belongs to the bounds that are measured:
        // left out once, it made every bound under dot product the widest.
        let certainty = index.ivf.tuning.reach(10.0, 0.95).certainty;
        assert!(certainty < 3.0, "{metric:?}: {certainty}");
        // It is an index: few codes are read, very few rows scored.
        let (_, stats) = index.search(QUERIES.row(0), 10, Effort::Recall(0.95), None);
        assert!(stats.codes_scanned < 10_000 && stats.reranked < 500, "{stats:?}");
    }
}

#[test]
fn recall_holds_for_many_results_and_under_filters() {
    for index in &*INDEXES {
        let metric = index.metric;
        let few = Rows { dimension: 96, values: QUERIES.values[..96 * 20].to_vec() };
        for k in [100, 1000, 5000] {
            let recall = index.recall(&few, k, Effort::Recall(0.95), |_| true);
            assert!(recall >= 0.95, "{metric:?} k {k}: {recall}");
        }
        let some = Rows { dimension: 96, values: QUERIES.values[..96 * 80].to_vec() };
        for every in [3, 50, 1000] {
            let accept = move |row: u32| row.is_multiple_of(every);
            let recall = index.recall(&some, 10, Effort::Recall(0.95), accept);
            assert!(recall >= 0.95, "{metric:?} one of {every}: {recall}");
        }
        // Fewer accepted rows than wanted: all of them are found.
        let rare = |row: u32| row % 10_000 == 7;
        for effort in [Effort::Recall(0.9), Effort::Probes(1)] {
            let (found, _) = index.search(QUERIES.row(3), 10, effort, Some(index.accept(&rare)));
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), [7, 10_007, 20_007].into());
        }
    }
}

/// Rows by the one of a few rows that is nearest, and for each query which.
fn regions(metric: Metric, count: u32) -> (Vec<u32>, Vec<u32>) {
    let nearest = |vector: &[f32]| {
        let mut top = TopK::new(metric, 1);
        exact::scan(metric, vector, (0..count).map(|row| (row, LARGE.row(row))), &mut top);
        top.into_sorted()[0].row
    };
    let of = |rows: &Rows| rows.values.chunks_exact(rows.dimension).map(nearest).collect();
    (of(&LARGE), of(&QUERIES))
}

/// Filters that depend on where a row lies: the query's own neighbourhood
/// matches, or everything but it, or other neighbourhoods, with and without
/// the rows by cell.
#[test]
fn recall_holds_under_filters_that_depend_on_the_place() {
    let chance: Vec<u64> = {
        let mut rng = Seed(77).rng();
        (0..LARGE.rows()).map(|_| rng.below(100)).collect()
    };
    for index in &*INDEXES {
        let metric = index.metric;
        let (of_rows, of_queries) = regions(metric, 25);
        let step = |row: u32, own: u32| (of_rows[row as usize] + 25 - own) % 25;
        type Holds<'a> = Box<dyn Fn(u32, u32) -> bool + 'a>;
        let cases: [(&str, Holds<'_>); 6] = [
            ("own region", Box::new(|row, own| step(row, own) == 0)),
            ("all but the own", Box::new(|row, own| step(row, own) != 0)),
            ("three others", Box::new(|row, own| (3..6).contains(&step(row, own)))),
            ("one other", Box::new(|row, own| step(row, own) == 7)),
            (
                "some, not in the own",
                Box::new(|row, own| step(row, own) != 0 && chance[row as usize] < 5),
            ),
            (
                "few in the own, all of another",
                Box::new(|row, own| {
                    step(row, own) == 9 || step(row, own) == 0 && chance[row as usize] < 2
                }),
            ),
        ];
        for (label, holds) in cases {
            for listed in [false, true] {
                let (mut right, mut wanted) = (0, 0);
                for (query, &own) in QUERIES.values.chunks_exact(96).zip(&of_queries).take(80) {
                    let contains = |row| holds(row, own);
                    let rows: Vec<u32> = (0..LARGE.rows()).filter(|&row| contains(row)).collect();
                    let postings = &index.sections.postings;
                    let lists = listed.then(|| index.ivf.lists_of(postings, &rows));
                    let accept = Accept { lists: lists.as_ref(), ..index.accept(&contains) };
                    let expected = LARGE.exact(metric, query, 10, contains);
                    let (found, _) = index.search(query, 10, Effort::Recall(0.95), Some(accept));
                    assert!(found.iter().all(|&row| contains(row)));
                    right += found.iter().filter(|row| expected.contains(row)).count();
                    wanted += expected.len();
                }
                let recall = right as f64 / wanted as f64;
                assert!(recall >= 0.95, "{metric:?}, {label}, listed {listed}: {recall}");
            }
        }
    }
}

#[test]
fn probes_are_kept_and_skipped_rows_are_not_found() {
    let skip: RoaringBitmap = (0..30_000).filter(|row| row % 3 == 0).collect();
    let index = Index::new(&LARGE, Metric::Euclidean, &skip);
    let (found, stats) = index.search(QUERIES.row(0), 20, Effort::Probes(7), None);
    assert_eq!(stats.cells_probed, 7);
    assert!(found.iter().all(|row| row % 3 != 0));
    let recall = index.recall(&QUERIES, 10, Effort::Recall(0.95), |row| row % 3 != 0);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let rows = Rows::clustered(6000, 70, 3);
    let skip: RoaringBitmap = (100..200).collect();
    for metric in METRICS {
        assert_eq!(rows.build(metric, &skip, 1), rows.build(metric, &skip, 4), "{metric:?}");
    }
}

#[test]
fn few_rows_equal_rows_and_no_rows() {
    for metric in METRICS {
        for count in [0, 1, 2, 9, 33, 150] {
            let rows = Rows::clustered(count, 5, 4);
            let index = Index::new(&rows, metric, &RoaringBitmap::new());
            let query = [0.3, 1.0, -0.2, 0.0, 0.5];
            let (found, _) = index.search(&query, 200, Effort::Recall(0.9), None);
            assert_eq!(found, rows.exact(metric, &query, 200, |_| true));
            let (none, _) = index.search(&query, 0, Effort::Recall(0.9), None);
            assert!(none.is_empty());
        }
        let equal = Rows { dimension: 3, values: [1.0, 2.0, 3.0].repeat(5000) };
        let index = Index::new(&equal, metric, &RoaringBitmap::new());
        let (found, _) = index.search(&[1.0, 0.0, 0.0], 10, Effort::Recall(0.95), None);
        assert_eq!(found.len(), 10);
        let all_skipped: RoaringBitmap = (0..5000).collect();
        let index = Index::new(&equal, metric, &all_skipped);
        assert!(index.search(&[1.0; 3], 10, Effort::Recall(0.95), None).0.is_empty());
    }
}

/// Finite numbers may still have squares that are not. Such rows are found by
/// exact scoring, and disturb nothing else.
#[test]
fn numbers_whose_squares_are_not_finite() {
    for metric in METRICS {
        let mut rows = Rows::clustered(3000, 32, 5);
        for row in [5, 700, 2999] {
            rows.values[row * 32..][..32].iter_mut().for_each(|value| *value *= 1e30);
        }
        rows.values[..32].fill(f32::MAX);
        rows.values[32..64].fill(f32::MIN_POSITIVE);
        let index = Index::new(&rows, metric, &RoaringBitmap::new());
        let queries = Rows::clustered(50, 32, 6);
        let recall = index.recall(&queries, 10, Effort::Recall(0.95), |_| true);
        assert!(recall >= 0.94, "{metric:?}: {recall}");
        let huge = vec![f32::MAX; 32];
        let (found, _) = index.search(&huge, 10, Effort::Recall(0.95), None);
        assert_eq!(found.len(), 10);
        if metric == Metric::Cosine {
            let (found, _) = index.search(&huge, 10, Effort::Recall(1.0), None);
            assert_eq!(found, rows.exact(metric, &huge, 10, |_| true));
        }
    }
    let all = Rows { dimension: 4, values: vec![1e30; 4 * 100] };
    for metric in METRICS {
        let index = Index::new(&all, metric, &RoaringBitmap::new());
        assert_eq!(index.search(&[1.0; 4], 9, Effort::Recall(0.9), None).0.len(), 9);
    }
}

#[test]
fn a_failing_source_fails_the_build() {
    struct Broken;
    impl RowSource for Broken {
        fn rows(&self) -> u32 {
            1000
        }
        fn read(&self, first: u32, out: &mut [f32]) -> std::io::Result<()> {
            out.fill(1.0);
            if first > 900 { Err(std::io::Error::other("gone")) } else { Ok(()) }
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let shape = IndexShape::dense(8, Metric::Cosine);
    let built = build_ivf(&shape, Seed(1), &Broken, &RoaringBitmap::new(), &pool);
    assert_eq!(built.unwrap_err().to_string(), "gone");
}

static SMALL: LazyLock<(Rows, IvfSections)> = LazyLock::new(|| {
    let rows = Rows::clustered(700, 20, 8);
    let sections = rows.build(Metric::DotProduct, &RoaringBitmap::new(), 2);
    (rows, sections)
});

fn section(sections: &mut IvfSections, which: usize) -> &mut Vec<u8> {
    match which {
        0 => &mut sections.centroids,
        1 => &mut sections.postings,
        _ => &mut sections.tuning,
    }
}

#[test]
fn sections_that_are_cut_or_too_long_are_refused() {
    let (rows, sections) = &*SMALL;
    assert!(rows.open(Metric::DotProduct, sections).is_ok());
    for which in 0..3 {
        let length = section(&mut sections.clone(), which).len();
        for cut in (0..length).step_by(13).chain([length - 1]) {
            let mut damaged = sections.clone();
            section(&mut damaged, which).truncate(cut);
            let error = rows.open(Metric::DotProduct, &damaged).unwrap_err();
            assert!(matches!(error, FormatError::Damaged { .. }), "{which} {cut}: {error}");
        }
        let mut damaged = sections.clone();
        section(&mut damaged, which).push(0);
        assert!(rows.open(Metric::DotProduct, &damaged).is_err());
    }
    // Right bytes for another shape or another number of rows.
    let other = IndexShape::dense(21, Metric::DotProduct);
    let IvfSections { centroids, postings, tuning } = sections;
    assert!(Ivf::open(&other, 700, centroids, postings, tuning).is_err());
    assert!(Ivf::open(&rows.shape(Metric::DotProduct), 699, centroids, postings, tuning).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever bytes are overwritten: an error, or an index that searches
    /// without a panic and answers only rows there are.
    #[test]
    fn overwritten_sections_never_panic(
        which in 0_usize..3,
        at in any::<prop::sample::Index>(),
        head in any::<bool>(),
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(255), any::<u8>()], 1..9),
    ) {
        let (rows, sections) = &*SMALL;
        let mut damaged = sections.clone();
        let target = section(&mut damaged, which);
        let at = at.index(if head { target.len().min(256) } else { target.len() });
        for (target, byte) in target[at..].iter_mut().zip(bytes) {
            *target = byte;
        }
        if let Ok(ivf) = rows.open(Metric::DotProduct, &damaged) {
            for effort in [Effort::Recall(0.95), Effort::Probes(u32::MAX)] {
                let mut top = TopK::new(Metric::DotProduct, 10);
                let query = rows.row(3);
                let scores = VectorScores::new(Metric::DotProduct, query, |row| rows.row(row));
                ivf.search(&damaged.postings, query, effort, None, &scores, &mut top);
            }
        }
    }
}

#[test]
fn smaller_rows_are_scored_where_larger_ones_are_found_by_the_index() {
    let (rows, index) = (LARGE.rows(), &INDEXES[1]);
    let IvfSections { centroids, postings, tuning } = &index.sections;
    let shape = LARGE.shape(index.metric).stored_as(VectorStorage::Int8);
    let small = Ivf::open(&shape, rows, centroids, postings, tuning).unwrap();
    let least = |ivf: &Ivf| {
        (1..u64::from(rows))
            .find(|&matching| ivf.is_worth_reading(Effort::Recall(0.95), 10, matching, rows))
            .unwrap()
    };
    // A megabyte of vectors is always scored: 512 bytes a row, waiting included,
    // and 228.
    assert!(least(&index.ivf) > 1_000_000 / 512);
    assert!(least(&small) > 1_000_000 / 228);
    assert!(least(&small) > least(&index.ivf));
}
