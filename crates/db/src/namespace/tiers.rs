//! Which segments become one: a pure function of their sizes.
//!
//! Segments of about one size are merged, a few at a time, so each merge
//! makes much larger ones and a record is rewritten a few times in all
//! (size-tiered merging). What is large is left alone, unless much of it is
//! dead.

/// What the choice looks at of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Rows, dead ones included.
    pub(super) rows: u64,
    pub(super) live: u64,
    /// Bytes of memory that merging it takes.
    pub(super) memory: u64,
    /// Only segments of one group are merged with each other.
    pub(super) group: usize,
}

/// How segments are chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiers {
    /// Segments of about one size that are merged.
    pub(super) fan_in: usize,
    /// Segments below this many rows count as of this size.
    pub(super) smallest_rows: u64,
    /// Segments of up to this many rows have no vector index: a query reads
    /// all of them.
    pub(super) exact_rows: u64,
    /// Rows of a merged segment at most.
    pub(super) rows_max: u64,
    /// Bytes of memory of a merge at most.
    pub(super) memory_max: u64,
}

/// A segment is rewritten alone where more than one row in this many is dead:
/// for each row that goes, at most this many less one are copied.
const DEAD_SHARE: u64 = 3;

impl Tiers {
    /// The numbers of the segments to merge next; none where all is well.
    pub(super) fn pick(&self, sizes: &[Size]) -> Option<Vec<usize>> {
        let mergeable =
            |size: &Size| size.live <= self.rows_max / 2 && size.memory <= self.memory_max / 2;
        let mut numbers: Vec<usize> =
            (0..sizes.len()).filter(|&number| mergeable(&sizes[number])).collect();
        numbers.sort_by_key(|&number| (sizes[number].group, sizes[number].live));
        self.pick_exact(sizes, &numbers)
            .or_else(|| self.pick_alike(sizes, &numbers))
            .or_else(|| pick_dead(sizes))
    }

    /// All segments of a group without an index, where they are enough for one.
    fn pick_exact(&self, sizes: &[Size], sorted: &[usize]) -> Option<Vec<usize>> {
        let live = |number: &usize| sizes[*number].live;
        let by_group = sorted.chunk_by(|a, b| sizes[*a].group == sizes[*b].group);
        let exact = by_group
            .map(|group| &group[..group.partition_point(|number| live(number) <= self.exact_rows)]);
        let enough = |group: &&[usize]| group.iter().map(live).sum::<u64>() > self.exact_rows;
        let enough = exact.filter(|group| group.len() > 1).find(enough)?;
        Some(self.fitting(sizes, enough))
    }

    /// The smallest `fan_in` segments that are of about one size: the largest
    /// is less than `fan_in` times the smallest.
    fn pick_alike(&self, sizes: &[Size], sorted: &[usize]) -> Option<Vec<usize>> {
        let counted = |number: usize| sizes[number].live.max(self.smallest_rows);
        let alike = |window: &&[usize]| {
            let (first, last) = (window[0], window[self.fan_in - 1]);
            sizes[first].group == sizes[last].group
                && counted(last) < counted(first) * self.fan_in as u64
        };
        let window = sorted.windows(self.fan_in).filter(alike).min_by_key(|w| counted(w[0]))?;
        Some(self.fitting(sizes, window))
    }

    /// As many of `numbers`, from the first, as one merge may take.
    fn fitting(&self, sizes: &[Size], numbers: &[usize]) -> Vec<usize> {
        let (mut rows, mut memory) = (0, 0);
        let fits = numbers.iter().take_while(|&&number| {
            (rows, memory) = (rows + sizes[number].live, memory + sizes[number].memory);
            rows <= self.rows_max && memory <= self.memory_max
        });
        fits.copied().collect()
    }
}

/// The segment with the most dead rows, where that is a large share of it.
fn pick_dead(sizes: &[Size]) -> Option<Vec<usize>> {
    let found = (0..sizes.len())
        .filter(|&number| is_wasteful(sizes[number].rows, sizes[number].live))
        .max_by_key(|&number| sizes[number].rows - sizes[number].live)?;
    Some(vec![found])
}

/// Whether so large a share of a segment is dead that it is rewritten.
pub(super) fn is_wasteful(rows: u64, live: u64) -> bool {
    (rows - live) * DEAD_SHARE > rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIERS: Tiers = Tiers {
        fan_in: 4,
        smallest_rows: 1000,
        exact_rows: 20_000,
        rows_max: 4_000_000,
        memory_max: u64::MAX,
    };

    fn whole(rows: u64) -> Size {
        Size { rows, live: rows, memory: 0, group: 0 }
    }

    #[test]
    fn four_of_about_one_size_are_merged() {
        let rows = |rows: &[u64]| -> Vec<Size> { rows.iter().map(|rows| whole(*rows)).collect() };
        let pick = |sizes: &[u64]| TIERS.pick(&rows(sizes));
        assert_eq!(pick(&[30_000; 3]), None);
        assert_eq!(pick(&[1_000_000, 31_000, 29_000, 10, 32_000, 120_000]), None);
        assert_eq!(pick(&[1_000_000, 31_000, 29_000, 10, 32_000, 110_000]), Some(vec![2, 1, 4, 5]));
        assert_eq!(pick(&[262_144, 213_568, 262_144, 262_144]), Some(vec![1, 0, 2, 3]));
        assert_eq!(pick(&[1_000_000, 10, 10, 10]), None, "a large one is not rewritten for a few");
        assert_eq!(pick(&[2_500_000; 9]), None, "these are large enough");
        assert_eq!(pick(&[1_900_000; 4]), Some(vec![0, 1]), "no more than fit");
        assert_eq!(pick(&[1; 4]), Some(vec![0, 1, 2, 3]));
    }

    #[test]
    fn what_has_no_index_is_merged_once_it_is_enough_for_one() {
        let pick = |rows: &[u64]| -> Option<Vec<usize>> {
            TIERS.pick(&rows.iter().map(|rows| whole(*rows)).collect::<Vec<_>>())
        };
        assert_eq!(pick(&[10_000, 10_000, 30_000]), None);
        assert_eq!(pick(&[10_000, 10_000, 30_000, 1]), Some(vec![3, 0, 1]));
        assert_eq!(pick(&[20_000]), None);
    }

    #[test]
    fn groups_and_memory_are_kept_to() {
        let size = Size { memory: 40, ..whole(30_000) };
        let tiers = Tiers { memory_max: 100, ..TIERS };
        assert_eq!(tiers.pick(&[size; 4]), Some(vec![0, 1]));
        assert_eq!(tiers.pick(&[Size { memory: 51, ..size }; 4]), None);
        let other = Size { group: 1, ..size };
        assert_eq!(tiers.pick(&[size, other, size, other, size, other]), None);
        assert_eq!(tiers.pick(&[size, other, other, other, other]), Some(vec![1, 2]));
    }

    #[test]
    fn what_is_mostly_dead_is_rewritten() {
        let dead = |rows, live| Size { live, ..whole(rows) };
        assert_eq!(TIERS.pick(&[dead(4_000_000, 2_700_000), whole(10)]), None);
        assert_eq!(TIERS.pick(&[whole(10), dead(4_000_000, 2_600_000)]), Some(vec![1]));
        assert_eq!(TIERS.pick(&[dead(900, 0), dead(1000, 0)]), Some(vec![1]));
    }

    /// Segments arrive one by one, and all merges are done at once; each row's
    /// rewrites are counted.
    #[derive(Default)]
    struct Store {
        segments: Vec<Size>,
        arrived: u64,
        rewritten: u64,
        merges: u64,
    }

    impl Store {
        fn add(&mut self, rows: u64, tiers: &Tiers) {
            self.segments.push(whole(rows));
            self.arrived += rows;
            self.settle(tiers);
        }

        fn settle(&mut self, tiers: &Tiers) {
            while let Some(mut picked) = tiers.pick(&self.segments) {
                picked.sort_unstable_by(|a, b| b.cmp(a));
                let taken = picked.into_iter().map(|number| self.segments.swap_remove(number));
                let live: u64 = taken.map(|size| size.live).sum();
                assert!(live <= tiers.rows_max);
                self.rewritten += live;
                self.merges += 1;
                if live > 0 {
                    self.segments.push(whole(live));
                }
            }
        }
    }

    /// Sizes from the smallest to the largest of which none is about another.
    fn tiers_of(rows: u64, tiers: &Tiers) -> u64 {
        let sizes = |size: &u64| Some(size * tiers.fan_in as u64);
        let size = rows.min(tiers.rows_max);
        std::iter::successors(Some(tiers.smallest_rows), sizes).take_while(|s| *s <= size).count()
            as u64
            + 1
    }

    #[test]
    fn equal_flushes_are_rewritten_once_a_tier() {
        let mut store = Store::default();
        for _ in 0..2000 {
            store.add(10_000, &TIERS);
        }
        assert!(store.segments.len() <= 18, "{} segments", store.segments.len());
        assert!(store.rewritten <= 5 * store.arrived, "{} rewritten", store.rewritten);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn segments_and_rewrites_are_bounded_whatever_arrives(
            arrivals in prop::collection::vec((0_u32..20, 1_u64..4), 1..800),
            fan_in in 3_usize..9,
        ) {
            let tiers = Tiers { fan_in, rows_max: 1 << 20, ..TIERS };
            let mut store = Store::default();
            for (power, factor) in &arrivals {
                store.add((factor << power).min(tiers.rows_max), &tiers);
            }
            let depth = tiers_of(store.arrived, &tiers);
            let full = store.segments.iter().filter(|size| size.live > tiers.rows_max / 2).count();
            let small = (store.segments.len() - full) as u64;
            prop_assert!(full as u64 <= 2 * store.arrived / tiers.rows_max);
            prop_assert!(small <= (fan_in as u64 - 1) * depth, "{small} small segments");
            // Beside the tiers, segments below the smallest size are copied
            // again and again: a little at each arrival.
            let tiny = arrivals.len() as u64 * tiers.smallest_rows;
            prop_assert!(
                store.rewritten <= 2 * store.arrived * (depth + 1) + tiny,
                "{} rewritten of {}", store.rewritten, store.arrived
            );
        }

        /// Rows that die make no more work than they are worth.
        #[test]
        fn deletions_cost_no_more_than_they_free(
            deaths in prop::collection::vec((any::<prop::sample::Index>(), 1_u64..30), 1..200),
        ) {
            let mut store = Store::default();
            for rows in [2_500_000, 3_000_000, 700_000, 60_000, 5000] {
                store.add(rows, &TIERS);
            }
            let mut died = 0;
            for (index, percent) in deaths {
                if store.segments.is_empty() {
                    break;
                }
                let number = index.index(store.segments.len());
                let size = &mut store.segments[number];
                let dying = (size.rows * percent / 100).min(size.live);
                size.live -= dying;
                died += dying;
                store.settle(&TIERS);
            }
            prop_assert!(store.rewritten <= 4 * died + 4 * 60_000);
            let dead: u64 = store.segments.iter().map(|size| size.rows - size.live).sum();
            let rows: u64 = store.segments.iter().map(|size| size.rows).sum();
            prop_assert!(dead * DEAD_SHARE <= rows);
        }
    }
}
