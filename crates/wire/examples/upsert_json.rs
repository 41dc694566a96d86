//! How fast the body of an upsert is read: 1,000 records of 1,536 components,
//! as clients spell numbers, beside the JSON library alone and a bare copy.
//!
//! ```text
//! cargo run --release -p crossbill-wire --example upsert_json
//! ```
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use crossbill_wire::UpsertRequest;
use serde::Deserialize;

const RECORDS: usize = 1_000;
const DIMENSION: usize = 1_536;
const ROUNDS: usize = 7;

/// How a client writes a number.
type Spell = fn(f64) -> String;

/// What the JSON library reads by itself.
#[derive(Deserialize)]
struct Plain {
    vectors: Vec<PlainVector>,
}

#[derive(Deserialize)]
struct PlainVector {
    id: String,
    values: Vec<f32>,
}

fn body(spell: impl Fn(f64) -> String) -> String {
    let mut state = 1_u64;
    let mut next = || {
        // Xorshift: any numbers will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        spell((state >> 11) as f64 / (1_u64 << 53) as f64 * 0.1 - 0.05)
    };
    let vectors: Vec<String> = (0..RECORDS)
        .map(|record| {
            let values: Vec<String> = (0..DIMENSION).map(|_| next()).collect();
            let values = values.join(", ");
            format!(r#"{{"id": "r{record}", "values": [{values}], "metadata": {{"n": {record}}}}}"#)
        })
        .collect();
    format!(r#"{{"vectors": [{}]}}"#, vectors.join(", "))
}

fn best<T>(what: &str, bytes: usize, mut run: impl FnMut() -> T) {
    let seconds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        black_box(run());
        began.elapsed().as_secs_f64()
    });
    let seconds = seconds.fold(f64::MAX, f64::min);
    println!("  {what:24}{:7.1} ms {:7.0} MB/s", seconds * 1e3, bytes as f64 / seconds / 1e6);
}

fn main() {
    let spellings: [(&str, Spell); 3] = [
        ("double precision", |value| value.to_string()),
        ("single precision", |value| (value as f32).to_string()),
        ("six places", |value| format!("{value:.6}")),
    ];
    for (name, spell) in spellings {
        let body = body(spell);
        println!("{name}: {:.1} MB", body.len() as f64 / 1e6);
        best("this server", body.len(), || {
            UpsertRequest::from_json(body.as_bytes()).map(|request| request.vectors.len())
        });
        best("serde_json alone", body.len(), || {
            let read = serde_json::from_str::<Plain>(&body);
            read.map(|plain| {
                plain.vectors.iter().map(|v| v.id.len() + v.values.len()).sum::<usize>()
            })
        });
        best("a copy of the bytes", body.len(), || body.clone());
    }
}
