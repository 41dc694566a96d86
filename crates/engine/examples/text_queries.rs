//! Times full-text search by itself: gathers random short texts, whose words are
//! as common as in prose, writes a segment, and asks it.
//!
//! `cargo run --release -p crossbill-engine --example text_queries -- [ROWS]`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a tool")]

use std::sync::Arc;
use std::time::Instant;

use crossbill_core::{
    IndexShape, MemoryScratch, Metadata, MetadataValue, Metric, Record, RecordBatch, Rng, Seed,
    TextClause, TextField, TextOptions, TextSchema,
};
use crossbill_engine::{
    AlignedBytes, Segment, SegmentBuilder, SegmentOptions, TextFields, TextPart, TextPlan,
    TextQuery,
};
use roaring::RoaringBitmap;

const WORDS: f32 = 50_000.0;
const QUERIES: u32 = 500;

/// A word; the n-th is about n times as rare as the first.
fn word(rng: &mut Rng) -> String {
    let rank = WORDS.powf(rng.unit_f32()) as u32;
    format!("w{}x{}", rank % 97, rank)
}

fn main() {
    let rows: u32 = std::env::args().nth(1).map_or(100_000, |rows| rows.parse().unwrap());
    let mut rng = Seed(1).rng();
    let field = TextField { name: "body".into(), options: TextOptions::default() };
    let fields = TextFields::new(&TextSchema::new([field]));
    let texts: Vec<String> = (0..rows)
        .map(|_| (0..20 + rng.below(20)).map(|_| word(&mut rng)).collect::<Vec<_>>().join(" "))
        .collect();
    let bytes: usize = texts.iter().map(String::len).sum();

    let begun = Instant::now();
    let options = SegmentOptions { seed: Seed(1), exact_rows_max: u32::MAX };
    let shape = IndexShape::dense(1, Metric::Euclidean);
    let builder = SegmentBuilder::new(shape, options, &MemoryScratch).unwrap();
    let mut builder = builder.with_text(&fields);
    for (number, texts) in texts.chunks(500).enumerate() {
        let mut batch = RecordBatch::default();
        for (at, text) in texts.iter().enumerate() {
            let id = format!("{number}-{at}");
            let body = [("body".to_owned(), MetadataValue::String(text.clone()))];
            let metadata = Some(Metadata(body.into()));
            batch.push(Record { id, values: vec![1.0], sparse: None, metadata });
        }
        builder.push(&batch).unwrap();
    }
    let memory = builder.memory_bytes();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let built = builder.finish(&pool, 0, &|| false).unwrap();
    println!("{rows} rows, {bytes} bytes of text: built in {:.2?}", begun.elapsed());
    println!("memory {memory}, segment {} bytes", built.bytes);

    let begun = Instant::now();
    let segment = Segment::open(Arc::new(AlignedBytes::copy_of(built.file.bytes()))).unwrap();
    println!("opened in {:.2?}", begun.elapsed());
    let text = segment.text().unwrap();
    let none = RoaringBitmap::new();
    let dead: RoaringBitmap = (0..rows).filter(|row| row % 5 == 0).collect();
    type Make = fn(&mut Rng) -> String;
    let kinds: [(&str, Make); 4] = [
        ("two words", |rng| format!("{} {}", word(rng), word(rng))),
        ("five words", |rng| (0..5).map(|_| word(rng)).collect::<Vec<_>>().join(" ")),
        ("both of two", |rng| format!("+{} +{}", word(rng), word(rng))),
        ("a typo", |rng| format!("{}~1", word(rng))),
    ];
    for (name, dead) in [("none dead", &none), ("a fifth dead", &dead)] {
        for (kind, make) in kinds {
            let begun = Instant::now();
            let mut found = 0;
            for _ in 0..QUERIES {
                let clause = TextClause::QueryString(make(&mut rng));
                let query = TextQuery::parse(&fields, &[clause]).unwrap();
                let live = u64::from(rows) - dead.len();
                let plan =
                    TextPlan::new(&query, &[TextPart { index: Some(text), live, dead }]).unwrap();
                found += text.search(&plan, 10, dead, None).unwrap().0.len();
            }
            let rate = f64::from(QUERIES) / begun.elapsed().as_secs_f64();
            println!("{name}, {kind}: {rate:.0} queries/s ({found} found)");
        }
    }
}
