//! Scores against BM25 computed straight over all rows that count: they do not
//! depend on which part a row stands in, nor on rows that are gone.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::query::Occur;

use super::super::query::Node;
use super::*;
use crate::Matching;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// The words of a row's fields at their places.
type Row = Vec<Vec<(usize, String)>>;

struct Model<'a> {
    rows: Vec<&'a Row>,
}

impl Model<'_> {
    /// A text's length as it is kept, in one byte.
    fn length(row: &Row, field: usize) -> f64 {
        let id = FieldNormReader::fieldnorm_to_id(row[field].len() as u32);
        f64::from(FieldNormReader::id_to_fieldnorm(id))
    }

    fn idf(&self, field: usize, word: &str) -> f64 {
        let with = self.rows.iter().filter(|row| row[field].iter().any(|(_, own)| own == word));
        let (all, with) = (self.rows.len() as f64, with.count() as f64);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    fn bm25(&self, row: &Row, field: usize, idf: f64, count: usize) -> f64 {
        let total: f64 = self.rows.iter().map(|row| Self::length(row, field)).sum();
        let average = total / self.rows.len() as f64;
        let (count, length) = (count as f64, Self::length(row, field));
        idf * (K1 + 1.0) * count / (count + K1 * (1.0 - B + B * length / average))
    }

    /// The row's score, where it is found.
    fn score(&self, node: &Node, row: &Row) -> Option<f64> {
        match node {
            Node::Term { field, word } => {
                let count = row[*field].iter().filter(|(_, own)| own == word).count();
                let idf = self.idf(*field, word);
                (count > 0).then(|| self.bm25(row, *field, idf, count))
            }
            Node::Phrase { field, words, .. } => {
                let has = |at: usize, word: &String| {
                    row[*field].iter().any(|(own, text)| *own == at && text == word)
                };
                let first = words[0].0;
                let begins = row[*field].iter().filter(|(begin, _)| {
                    words.iter().all(|(at, word)| has(begin + at - first, word))
                });
                let count = begins.count();
                let idf = words.iter().map(|(_, word)| self.idf(*field, word)).sum();
                (count > 0).then(|| self.bm25(row, *field, idf, count))
            }
            Node::Bool(parts) => {
                let of = |wanted: Occur| parts.iter().filter(move |(occur, _)| *occur == wanted);
                if of(Occur::MustNot).any(|(_, part)| self.score(part, row).is_some()) {
                    return None;
                }
                let required: Option<Vec<f64>> =
                    of(Occur::Must).map(|(_, part)| self.score(part, row)).collect();
                let required = required?;
                let optional: Vec<f64> =
                    of(Occur::Should).filter_map(|(_, part)| self.score(part, row)).collect();
                if required.is_empty() && optional.is_empty() {
                    return None;
                }
                Some(required.iter().chain(&optional).sum())
            }
            Node::Boost(inner, factor) => Some(self.score(inner, row)? * f64::from(*factor)),
            other => panic!("{other:?} is not in these queries"),
        }
    }
}

/// Texts of a few words, so that words meet.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "e"]), 0..12)
        .prop_map(|words| words.join(" "))
}

fn query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "z",
        "\"a b\"",
        "\"a a c\"",
        "x:a",
        "y:\"b c\"",
        "a^2",
        "x:(a b)^0.5",
    ]);
    let joined = prop::collection::vec(
        (prop::sample::select(vec![" ", " +", " -", " AND ", " OR ", " NOT "]), leaf),
        1..5,
    );
    joined.prop_map(|parts| {
        let mut query = "(a d)".to_owned();
        parts.iter().for_each(|(join, leaf)| query += &format!("{join}{leaf}"));
        query
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn scores_are_those_of_all_rows_together(
        texts in prop::collection::vec((text(), text()), 1..40),
        cuts in prop::collection::vec(0_usize..40, 0..4),
        dead in prop::collection::btree_set(0_u32..40, 0..20),
        filtered in prop::option::of(prop::collection::btree_set(0_u32..40, 0..20)),
        query in query(),
        top_k in 1_usize..50,
    ) {
        let fields = fields(&[("x", plain()), ("y", plain())]);
        let metadata: Vec<Metadata> =
            texts.iter().map(|(x, y)| row(&[("x", x), ("y", y)])).collect();
        let rows: Vec<Row> = texts
            .iter()
            .map(|(x, y)| vec![fields.words(0, x, 100), fields.words(1, y, 100)])
            .collect();
        let count = rows.len() as u32;
        let parsed = TextQuery::parse(&fields, &[TextClause::QueryString(query)]).unwrap();

        let live: Vec<u32> = (0..count).filter(|row| !dead.contains(row)).collect();
        let model = Model { rows: live.iter().map(|&row| &rows[row as usize]).collect() };
        let allowed = |row: &u32| filtered.as_ref().is_none_or(|only| only.contains(row));
        let expected: BTreeMap<u32, f64> = live
            .iter()
            .filter(|row| allowed(row))
            .filter_map(|&row| Some((row, model.score(&parsed.node, &rows[row as usize])?)))
            .collect();

        // The same rows in several parts.
        let mut bounds: Vec<usize> = cuts.into_iter().filter(|cut| *cut < rows.len()).collect();
        bounds.extend([0, rows.len()]);
        bounds.sort_unstable();
        bounds.dedup();
        let parts: Vec<(u32, u32, Option<TextIndex>, RoaringBitmap)> = bounds
            .windows(2)
            .map(|pair| {
                let (first, end) = (pair[0] as u32, pair[1] as u32);
                let own = metadata[pair[0]..pair[1]].iter().map(Some);
                let index = TextIndex::of_rows(&fields, own).unwrap();
                let dead = dead.range(first..end).map(|row| row - first).collect();
                (first, end, index, dead)
            })
            .collect();
        let as_parts: Vec<TextPart<'_>> = parts
            .iter()
            .map(|(first, end, index, dead)| TextPart {
                index: index.as_ref(),
                live: u64::from(end - first) - dead.len(),
                dead,
            })
            .collect();
        let plan = TextPlan::new(&parsed, &as_parts).unwrap();
        let mut found = BTreeMap::new();
        for (first, end, index, dead) in &parts {
            let Some(index) = index else { continue };
            let only = filtered.as_ref().map(|only| {
                let own = only.range(*first..*end).map(|row| row - first).collect();
                Matching::of_rows(end - first, &own)
            });
            let (hits, _) = index.search(&plan, top_k, dead, only.as_ref()).unwrap();
            prop_assert!(hits.len() <= top_k);
            prop_assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
            if hits.len() == top_k {
                let all = index.search(&plan, 100, dead, only.as_ref()).unwrap().0;
                prop_assert_eq!(&all[..top_k], &hits[..]);
                found.extend(all.iter().map(|hit| (first + hit.row, hit.score)));
            } else {
                found.extend(hits.iter().map(|hit| (first + hit.row, hit.score)));
            }
        }
        prop_assert_eq!(
            found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{:?}", parsed
        );
        for (row, score) in expected {
            let own = f64::from(found[&row]);
            prop_assert!((own - score).abs() <= 1e-4 * (1.0 + score.abs()), "{row}: {own} {score}");
        }
    }
}

/// Two readers of one index may leave out equally many rows, and not the same.
#[test]
fn words_are_those_of_the_rows_that_count_for_each_reader() {
    let fields = fields(&[("body", plain())]);
    let rows = [row(&[("body", "a")]), row(&[("body", "a b c d e f")]), row(&[("body", "a b")])];
    let index = index(&fields, &rows);
    for (dead, words) in [(0, 8), (1, 3), (2, 7), (1, 3)] {
        let dead = RoaringBitmap::from([dead]);
        assert_eq!(index.live_tokens(0, &dead).unwrap(), words, "without {dead:?}");
    }
}

/// Which words a prefix stands for does not depend on where rows stand, nor on
/// rows that are gone.
#[test]
fn prefixes_stand_for_the_first_words_of_all_parts() {
    let fields = fields(&[("a", plain())]);
    let rows: Vec<Metadata> =
        (0..120).map(|number| row(&[("a", &format!("new w{number:03}"))])).collect();
    let query = TextQuery::parse(&fields, &[TextClause::QueryString("\"new w\"*".into())]).unwrap();
    let search = |cut: usize, dead: &[u32]| {
        let halves = [&rows[..cut], &rows[cut..]].map(|rows| index(&fields, rows));
        let dead: RoaringBitmap = dead.iter().copied().collect();
        let none = RoaringBitmap::new();
        let live = cut as u64 - dead.len();
        let parts = [
            TextPart { index: Some(&halves[0]), live, dead: &dead },
            TextPart { index: Some(&halves[1]), live: (120 - cut) as u64, dead: &none },
        ];
        let plan = TextPlan::new(&query, &parts).unwrap();
        let mut found = Vec::new();
        for (half, (first, dead)) in halves.iter().zip([(0, &dead), (cut as u32, &none)]) {
            let (hits, _) = half.search(&plan, 1000, dead, None).unwrap();
            found.extend(hits.iter().map(|hit| first + hit.row));
        }
        found.sort_unstable();
        found
    };
    assert_eq!(search(60, &[]), (0..50).collect::<Vec<_>>());
    assert_eq!(search(20, &[]), (0..50).collect::<Vec<_>>());
    assert_eq!(search(20, &[0, 3]), (1..52).filter(|row| *row != 3).collect::<Vec<_>>());
}

/// Blocks of rows are passed over by bounds that were made with another average
/// length. Method: two parts of many blocks, one of short texts and one of long
/// ones with few short ones among them; the best of few are the first of the best
/// of all, in each part, whatever was passed over.
#[test]
fn the_best_are_found_though_rows_are_passed_over() {
    let fields = fields(&[("a", plain()), ("b", plain())]);
    let mut rng = crossbill_core::Seed(11).rng();
    let mut rows_of = |count: usize, longest: u64| -> Vec<Metadata> {
        let mut text = |most: u64| -> String {
            let words = (0..1 + rng.below(most)).map(|_| {
                // The first words are everywhere, the last ones seldom.
                let (one, other) = (rng.below(40), rng.below(40));
                format!("w{} ", one * other / 40)
            });
            words.collect()
        };
        let mut row_of = |number: usize| {
            let most = if number.is_multiple_of(97) { 3 } else { longest };
            row(&[("a", &text(most)), ("b", &text(6))])
        };
        (0..count).map(&mut row_of).collect()
    };
    let parts = [index(&fields, &rows_of(4000, 4)), index(&fields, &rows_of(3000, 90))];
    let dead: RoaringBitmap = (0..3000).filter(|row| row % 5 == 2).collect();
    let mut passed_over = 0;
    for query in
        ["w0 w1 w30", "a:w3", "w2 w2 b:w7", "a:(w1 AND w12)", "(w5 w6) w7^1", "w9 -w0", "w1^2 w20"]
    {
        let parsed = TextQuery::parse(&fields, &[TextClause::QueryString(query.into())]).unwrap();
        for dead in [RoaringBitmap::new(), dead.clone()] {
            let as_parts = parts.each_ref().map(|index| {
                let live = u64::from(index.rows) - dead.len();
                TextPart { index: Some(index), live, dead: &dead }
            });
            let plan = TextPlan::new(&parsed, &as_parts).unwrap();
            for index in &parts {
                let (all, scored_all) = index.search(&plan, 10_000, &dead, None).unwrap();
                for top_k in [1, 10, 100] {
                    let (best, scored) = index.search(&plan, top_k, &dead, None).unwrap();
                    assert_eq!(best[..], all[..top_k.min(all.len())], "{query} {top_k}");
                    passed_over += scored_all - scored.min(scored_all);
                }
            }
        }
    }
    assert!(passed_over > 0, "nothing was passed over: the test says nothing");
}
