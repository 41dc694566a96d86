//! Goal: no bytes make a segment panic, ask for unbounded memory, or (where
//! the checksums hold) answer differently. Method: flip and cut bytes of
//! sound segments at random places. In a second round the checksums are set
//! right again after the damage, so that the checks behind them are met.

use proptest::prelude::*;

use super::*;
use crate::segment::layout::{Kind, footer, read_footer};
use crate::{Effort, FormatError};

/// A sound segment of each shape and, where it may be, one with a vector
/// index; with superseded rows, metadata, and sparse vectors where they may be.
fn sound_segments() -> &'static [Vec<u8>] {
    static SEGMENTS: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(make_segments);
    &SEGMENTS
}

fn make_segments() -> Vec<Vec<u8>> {
    let mut rng = Seed(11).rng();
    let indexed = shapes().map(|shape| (shape, 20));
    let scanned = shapes().map(|shape| (shape, u32::MAX));
    let [cosine, euclidean, ..] = shapes();
    let encoded = [
        (cosine.stored_as(VectorStorage::Int8), 20),
        (euclidean.stored_as(VectorStorage::F16), 20),
    ];
    let text = super::text::fields();
    let mut segments: Vec<Vec<u8>> = [&scanned[..], &indexed[..3], &encoded[..]]
        .concat()
        .into_iter()
        .map(|(shape, exact_rows_max)| {
            let records = random_records(&mut rng, &shape, 40);
            build(shape, exact_rows_max, &records, 9, 1)
        })
        .collect();
    let records = super::text::records(&mut rng, 40);
    segments.push(build_with(cosine, &text, u32::MAX, &records, 9, 1));
    segments
}

/// Asks everything there is to ask, and gives the answers as text.
fn answers(segment: &Segment) -> String {
    let mut rng = Seed(17).rng();
    let mut all = String::new();
    let dense = random_dense(&mut rng, segment.shape().dimension);
    let sparse = random_sparse(&mut rng);
    for row in 0..segment.rows() {
        all += &format!("{:?}", segment.record(row));
        all += &format!("{:?}", segment.find(segment.id(row)));
    }
    all += &format!("{:?}", segment.ids_after("p", Some("p3")).collect::<Vec<_>>());
    all += &format!("{:?}", segment.common_ids(segment));
    for _ in 0..30 {
        all += &format!("{:?}", segment.matching(&random_filter(&mut rng, 2)));
    }
    for (dense, sparse) in
        [(Some(&dense[..]), None), (None, Some(&sparse)), (Some(&dense[..]), Some(&sparse))]
    {
        let query = SegmentQuery { dense, sparse, top_k: 2, effort: Effort::Recall(0.9) };
        all += &format!("{:?}", segment.search(&query, &RoaringBitmap::new(), None));
    }
    all += &super::text::answers(segment);
    all
}

/// Sets the checksums of all sections and of the footer right.
fn reseal(bytes: &mut Vec<u8>, damaged: impl FnOnce(&mut [u8])) {
    let (mut entries, _) = read_footer(bytes).unwrap();
    let table_at = u64::from_le_bytes(bytes[bytes.len() - 32..][..8].try_into().unwrap());
    damaged(&mut bytes[64..table_at as usize]);
    for entry in &mut entries {
        let section = &bytes[entry.offset as usize..][..entry.length as usize];
        if entry.kind != Kind::Vectors as u32 {
            entry.crc = crc32c::crc32c(section);
        }
    }
    bytes.truncate(table_at as usize);
    bytes.extend(footer(&entries, table_at).0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes_are_refused_or_change_nothing(
        places in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 1..4),
        which in 0..sound_segments().len(),
    ) {
        let sound = sound_segments()[which].clone();
        let mut bytes = sound.clone();
        for (place, flip) in places {
            let at = place.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Ok(segment) = open(&bytes) {
            let same = answers(&segment) == answers(&open(&sound).unwrap());
            prop_assert!(same || segment.verify().is_err());
        }
    }

    #[test]
    fn cut_files_are_refused(place in any::<prop::sample::Index>(), which in 0_usize..7) {
        let mut bytes = sound_segments()[which].clone();
        bytes.truncate(place.index(bytes.len()));
        prop_assert!(open(&bytes).is_err());
    }

    #[test]
    fn damage_under_right_checksums_never_panics(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        which in 0..sound_segments().len(),
    ) {
        let mut bytes = sound_segments()[which].clone();
        reseal(&mut bytes, |body| {
            for (place, value) in places {
                let at = place.index(body.len());
                body[at] = value;
            }
        });
        if let Ok(segment) = open(&bytes) {
            let _ = answers(&segment);
            let _ = segment.verify();
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(open(&bytes).is_err());
    }
}

#[test]
fn every_section_is_guarded() {
    for sound in sound_segments() {
        let (entries, _) = read_footer(sound).unwrap();
        for entry in entries.iter().filter(|entry| entry.length > 0) {
            let mut bytes = sound.clone();
            bytes[entry.offset as usize] ^= 1;
            if entry.kind == Kind::Vectors as u32 {
                let segment = open(&bytes).unwrap();
                let message = segment.verify().unwrap_err().to_string();
                assert!(message.starts_with("a block of the vectors has checksum"), "{message}");
            } else {
                assert!(matches!(open(&bytes), Err(FormatError::Checksum { .. })));
            }
        }
    }
}

#[test]
fn a_later_format_is_refused_with_both_numbers() {
    let mut bytes = sound_segments()[0].clone();
    bytes[8] = 2;
    let message = open(&bytes).unwrap_err().to_string();
    assert_eq!(message, "segment has format version 2, expected 1");
}

#[test]
fn unaligned_bytes_are_refused() {
    struct Shifted(AlignedBytes);
    impl StoredBytes for Shifted {}
    impl AsRef<[u8]> for Shifted {
        fn as_ref(&self) -> &[u8] {
            &self.0.as_ref()[1..]
        }
    }
    let sound = sound_segments()[0].clone();
    let shifted = AlignedBytes::copy_of(&[&[0][..], &sound].concat());
    let message = Segment::open(Arc::new(Shifted(shifted))).unwrap_err().to_string();
    assert!(message.contains("aligned"), "{message}");
}
