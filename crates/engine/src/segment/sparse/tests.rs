//! Goal: bounds lose no row and change no score, whatever signs, sizes and
//! ranges; and no bytes make reading panic. Method: random vectors over few
//! and over many terms, in ranges of few blocks, against scoring every row;
//! then the same on damaged bytes.

use crossbill_core::{MemoryScratch, Metric, Rng, ScratchSpace, Seed};
use proptest::prelude::*;

use super::super::AlignedBytes;
use super::super::layout::{Kind, read_footer};
use super::super::writer::FileWriter;
use super::*;
use crate::{Scored, TopK};

/// The four sections, each where numbers may be read in place.
#[derive(Clone)]
struct Sections([AlignedBytes; 4]);

impl Sections {
    fn bytes(&self) -> SparseBytes<'_> {
        let [offsets, entries, terms, bounds] = self.0.each_ref().map(AsRef::as_ref);
        SparseBytes { offsets, entries, terms, bounds }
    }

    /// With one byte replaced, or cut there.
    fn damaged(&self, section: usize, place: prop::sample::Index, value: Option<u8>) -> Self {
        let mut sections = self.clone();
        let mut bytes = self.0[section].as_ref().to_vec();
        if !bytes.is_empty() {
            let at = place.index(bytes.len());
            match value {
                Some(value) => bytes[at] = value,
                None => bytes.truncate(at),
            }
        }
        sections.0[section] = AlignedBytes::copy_of(&bytes);
        sections
    }
}

fn build(
    vectors: &[Option<SparseVector>],
    superseded: &RoaringBitmap,
    range_rows: u32,
    threads: usize,
) -> Sections {
    let mut builder = SparseBuilder::with_ranges(range_rows);
    vectors.iter().for_each(|vector| builder.push(vector.as_ref()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut file = MemoryScratch.create("test").unwrap();
    FileWriter::write_header(&mut file).unwrap();
    let mut out = FileWriter::after(file, None);
    builder.write(&mut out, superseded, &pool).unwrap();
    let (file, ..) = out.finish().unwrap();
    let (entries, _) = read_footer(file.bytes()).unwrap();
    let kinds = [Kind::SparseOffsets, Kind::SparseEntries, Kind::SparseTerms, Kind::SparseBounds];
    Sections(kinds.map(|kind| {
        let entry = entries.iter().find(|entry| entry.kind == kind as u32).unwrap();
        let bytes = &file.bytes()[entry.offset as usize..][..entry.length as usize];
        AlignedBytes::copy_of(bytes)
    }))
}

/// What the weights of a test look like.
#[derive(Debug, Clone, Copy)]
struct Taste {
    terms: u64,
    entries: u64,
    /// One weight in this many is negative; none where 0.
    negative: u64,
    /// Weights are multiples of this, so that scores tie.
    grain: f32,
}

fn vector(rng: &mut Rng, taste: Taste) -> SparseVector {
    let mut entries = std::collections::BTreeMap::new();
    for _ in 0..1 + rng.below(taste.entries) {
        // Low terms are in many rows, high ones in few.
        let most = 1 + rng.below(taste.terms);
        let term = rng.below(most) as u32 * 7;
        let sign = if taste.negative > 0 && rng.below(taste.negative) == 0 { -1.0 } else { 1.0 };
        let weight = sign * taste.grain * (1.0 + (rng.unit_f32() * 9.0).floor());
        entries.insert(term, weight);
    }
    SparseVector::new(entries.keys().copied().collect(), entries.values().copied().collect())
        .unwrap()
}

fn vectors(rng: &mut Rng, taste: Taste, rows: usize) -> Vec<Option<SparseVector>> {
    (0..rows).map(|_| (rng.below(9) > 0).then(|| vector(rng, taste))).collect()
}

struct Best(TopK);

impl Collect for Best {
    fn threshold(&self) -> Option<f32> {
        self.0.worst()
    }

    fn offer(&mut self, row: u32, score: f32) {
        self.0.push(row, score);
    }
}

/// The `k` nearest by way of the bounds, and the rows that were scored.
fn search(sections: &Sections, rows: u32, query: &SparseVector, k: usize) -> (Vec<Scored>, u32) {
    let mut best = Best(TopK::new(Metric::DotProduct, k));
    let sparse = Sparse::new(rows, sections.bytes());
    let scored = sparse.bounded(query).search(&Lookup::new(query), k, &mut best);
    (best.0.into_sorted(), scored)
}

/// The same by scoring every row.
fn oracle(
    vectors: &[Option<SparseVector>],
    superseded: &RoaringBitmap,
    query: &SparseVector,
    k: usize,
) -> Vec<Scored> {
    let mut top = TopK::new(Metric::DotProduct, k);
    for (vector, row) in vectors.iter().zip(0_u32..) {
        let Some(vector) = vector else { continue };
        let shares = vector.indices().iter().any(|term| query.indices().contains(term));
        if shares && !superseded.contains(row) {
            top.push(row, query.dot(vector));
        }
    }
    top.into_sorted()
}

/// Scores by their bits, as equal NaN are.
fn bits(found: &[Scored]) -> Vec<(u32, u32)> {
    found.iter().map(|scored| (scored.row, scored.score.to_bits())).collect()
}

fn tastes() -> impl Strategy<Value = Taste> {
    let grain = prop_oneof![
        4 => Just(0.37_f32),
        1 => Just(1e-42_f32), 1 => Just(1e-30_f32), 1 => Just(1e30_f32), 1 => Just(3e37_f32),
    ];
    let terms = prop_oneof![Just(5_u64), Just(60), Just(3000)];
    let negative = prop_oneof![3 => Just(0_u64), 1 => Just(1), 2 => Just(4)];
    (terms, 1_u64..20, negative, grain).prop_map(|(terms, entries, negative, grain)| Taste {
        terms,
        entries,
        negative,
        grain,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bounds_lose_nothing_and_change_no_score(
        seed in any::<u64>(),
        taste in tastes(),
        query_negative in prop_oneof![3 => Just(0_u64), 1 => Just(1), 2 => Just(3)],
        rows in 0_usize..1500,
        blocks in prop_oneof![Just(1_u32), Just(9), Just(40), Just(1 << 16)],
        k in prop_oneof![Just(1_usize), Just(10), Just(400)],
    ) {
        let mut rng = Seed(seed).rng();
        let vectors = vectors(&mut rng, taste, rows);
        // Rows that are superseded have no bounds; a caller accepts none.
        let sections = build(&vectors, &RoaringBitmap::new(), blocks * BLOCK_ROWS, 2);
        Sparse::check(rows as u32, sections.bytes()).unwrap();
        Sparse::new(rows as u32, sections.bytes()).verify(&RoaringBitmap::new()).unwrap();
        for _ in 0..4 {
            let query = vector(&mut rng, Taste { negative: query_negative, ..taste });
            let (found, _) = search(&sections, rows as u32, &query, k);
            let expected = oracle(&vectors, &RoaringBitmap::new(), &query, k);
            prop_assert_eq!(bits(&found), bits(&expected));
        }
    }

    #[test]
    fn damage_is_refused_or_read_without_panic(
        seed in any::<u64>(),
        section in 0_usize..4,
        place in any::<prop::sample::Index>(),
        value in any::<Option<u8>>(),
    ) {
        let mut rng = Seed(seed).rng();
        let taste = Taste { terms: 60, entries: 6, negative: 4, grain: 0.5 };
        let vectors = vectors(&mut rng, taste, 300);
        let sound = build(&vectors, &RoaringBitmap::new(), 9 * BLOCK_ROWS, 1);
        let sections = sound.damaged(section, place, value);
        if Sparse::check(300, sections.bytes()).is_ok() {
            let query = vector(&mut rng, taste);
            let (found, _) = search(&sections, 300, &query, 10);
            let sparse = Sparse::new(300, sections.bytes());
            (0..300).for_each(|row| drop(sparse.vector(row)));
            let expected = search(&sound, 300, &query, 10).0;
            // A changed weight below its bound is for checksums to find.
            if sparse.verify(&RoaringBitmap::new()).is_ok() && section > 1 {
                prop_assert_eq!(bits(&found), bits(&expected));
            }
        }
    }
}

#[test]
fn superseded_rows_have_no_bounds() {
    let mut rng = Seed(3).rng();
    let taste = Taste { terms: 60, entries: 6, negative: 0, grain: 0.5 };
    let vectors = vectors(&mut rng, taste, 200);
    let superseded: RoaringBitmap = (0..200).filter(|row| row % 16 < 15).collect();
    let sections = build(&vectors, &superseded, RANGE_ROWS_MAX, 1);
    let sparse = Sparse::new(200, sections.bytes());
    sparse.verify(&superseded).unwrap();
    let message = sparse.verify(&RoaringBitmap::new()).unwrap_err().to_string();
    assert!(message.contains("a bound below"), "{message}");
}

#[test]
fn most_rows_are_passed_over() {
    let mut rng = Seed(9).rng();
    let taste = Taste { terms: 3000, entries: 12, negative: 0, grain: 0.1 };
    let vectors = vectors(&mut rng, taste, 20_000);
    let sections = build(&vectors, &RoaringBitmap::new(), RANGE_ROWS_MAX, 2);
    let mut scored_in_all = 0;
    for _ in 0..20 {
        let query = vector(&mut rng, taste);
        let (found, scored) = search(&sections, 20_000, &query, 10);
        assert_eq!(found, oracle(&vectors, &RoaringBitmap::new(), &query, 10));
        scored_in_all += scored;
    }
    assert!(scored_in_all < 20 * 2000, "{scored_in_all} rows scored");
}

#[test]
fn a_part_has_as_many_ranges_as_it_needs() {
    // Terms that are in the first range, in the second, and in both.
    let rows = RANGE_ROWS_MAX + 40;
    let vectors: Vec<Option<SparseVector>> = (0..rows)
        .map(|row| {
            let (term, near_end) = (row / RANGE_ROWS_MAX, row % RANGE_ROWS_MAX < 40);
            let vector = || SparseVector::new(vec![term, 9], vec![1.0, row as f32 + 1.0]).unwrap();
            near_end.then(vector)
        })
        .collect();
    let sections = build(&vectors, &RoaringBitmap::new(), RANGE_ROWS_MAX, 2);
    Sparse::check(rows, sections.bytes()).unwrap();
    for term in [0, 1, 9] {
        let query = SparseVector::new(vec![term], vec![2.0]).unwrap();
        let (found, _) = search(&sections, rows, &query, 50);
        assert_eq!(found, oracle(&vectors, &RoaringBitmap::new(), &query, 50), "term {term}");
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    let mut rng = Seed(4).rng();
    let taste = Taste { terms: 300, entries: 12, negative: 3, grain: 0.1 };
    let vectors = vectors(&mut rng, taste, 3000);
    let [one, four] =
        [1, 4].map(|threads| build(&vectors, &RoaringBitmap::new(), 64 * BLOCK_ROWS, threads));
    for (one, four) in one.0.iter().zip(&four.0) {
        assert!(one.as_ref() == four.as_ref());
    }
}
