//! Goal: what a filter leaves is found again without being made again, takes
//! bounded memory, and says the same whatever was asked before. Method: the
//! same filters one after another and from several threads, against each
//! record's own answer.

use std::sync::Arc;

use super::*;

fn segment_of(records: &[Record]) -> Segment {
    open(&build(IndexShape::dense(1, Metric::Euclidean), u32::MAX, records, 500, 2)).unwrap()
}

fn expected(records: &[Record], filter: &Filter) -> RoaringBitmap {
    let matches = |record: &Record| filter.matches(&record.metadata.clone().unwrap_or_default());
    let rows = records.iter().zip(0..).filter(|(record, _)| matches(record));
    rows.map(|(_, row)| row).collect()
}

fn below(number: f64) -> Filter {
    Filter::Compare("f".to_owned(), Comparison::Less, number)
}

#[test]
fn a_set_is_made_once_and_parts_that_many_match_as_well() {
    let mut rng = Seed(51).rng();
    let records = random_records(&mut rng, &IndexShape::dense(1, Metric::Euclidean), 3000);
    let segment = segment_of(&records);
    let set = segment.matching(&below(1.0));
    assert!(Arc::ptr_eq(&set, &segment.matching(&below(1.0))));
    assert!(!Arc::ptr_eq(&set, &segment.matching(&below(2.0))));
    let part = Filter::Exists("g".to_owned());
    let both = Filter::And(vec![part.clone(), below(1.0)]);
    assert_eq!(segment.matching(&both).to_bitmap(), expected(&records, &both));
    let kept = segment.matching.kept_filters();
    assert!(kept.contains(&both) && kept.contains(&part), "{kept:?}");
}

#[test]
fn kept_sets_are_bounded_and_those_asked_for_lately_stay() {
    let mut rng = Seed(52).rng();
    let records = random_records(&mut rng, &IndexShape::dense(1, Metric::Euclidean), 3000);
    let segment = segment_of(&records);
    for step in 0..500 {
        let usual = segment.matching(&below(1.0));
        assert!(Arc::ptr_eq(&usual, &segment.matching(&below(1.0))), "{step}");
        segment.matching(&below(f64::from(step) / 100.0));
        let texts = (0..step).map(|text| FilterValue::String(text.to_string())).collect();
        segment.matching(&Filter::In("f".to_owned(), texts));
        let (sets, bytes) = segment.matching.size();
        assert!(sets <= 64 && bytes <= 4 * 3000, "{sets} sets of {bytes} bytes");
    }
}

#[test]
fn a_number_that_is_none_matches_nothing_each_time() {
    let mut rng = Seed(53).rng();
    let records = random_records(&mut rng, &IndexShape::dense(1, Metric::Euclidean), 300);
    let segment = segment_of(&records);
    for _ in 0..100 {
        assert!(segment.matching(&below(f64::NAN)).is_empty());
        let equal = Filter::In("f".to_owned(), vec![FilterValue::Number(f64::NAN)]);
        assert!(segment.matching(&equal).is_empty());
    }
    assert!(segment.matching.size().0 <= 64);
}

#[test]
fn threads_share_the_sets() {
    let mut rng = Seed(54).rng();
    let records = random_records(&mut rng, &IndexShape::dense(1, Metric::Euclidean), 2000);
    let segment = segment_of(&records);
    let filters: Vec<Filter> = (0..90).map(|_| random_filter(&mut rng, 3)).collect();
    let answers: Vec<RoaringBitmap> =
        filters.iter().map(|filter| expected(&records, filter)).collect();
    std::thread::scope(|scope| {
        for first in 0..4 {
            let (segment, filters, answers) = (&segment, &filters, &answers);
            scope.spawn(move || {
                for step in 0..400 {
                    let at = (first * 23 + step * 7) % filters.len();
                    let found = segment.matching(&filters[at]);
                    assert_eq!(found.to_bitmap(), answers[at], "{:?}", filters[at]);
                    assert_eq!(found.len(), answers[at].len());
                }
            });
        }
    });
}
