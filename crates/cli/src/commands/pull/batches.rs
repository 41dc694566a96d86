//! Cuts a page of ids into fetches: by the length of the URL and by how large
//! the answer may become.

use crossbill_core::limits::{IDS_PER_REQUEST_MAX, PULL_FETCH_BYTES};

/// Bytes that one component takes in JSON, at most and about.
const COMPONENT_BYTES: usize = 25;

/// `name=value` as it stands in a query, everything encoded that might be
/// read otherwise. A space is `%20`: not every server reads `+` as one.
pub(super) fn parameter(name: &str, value: &str) -> String {
    let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    format!("{name}={}", value.replace('+', "%20"))
}

/// How many records of `dimension` components one fetch asks for at most.
pub(super) fn ids_max(dimension: u32) -> usize {
    let record_bytes = dimension as usize * COMPONENT_BYTES;
    (PULL_FETCH_BYTES / record_bytes.max(1)).clamp(1, IDS_PER_REQUEST_MAX)
}

/// The ids in their order, in batches of at most `ids_max` whose parameters
/// take at most `bytes_max`; an id that is longer goes alone.
pub(super) fn cut(ids: Vec<String>, ids_max: usize, bytes_max: usize) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for id in ids {
        let own = parameter("&ids", &id).len();
        match batches.last_mut() {
            Some(batch) if batch.len() < ids_max && bytes + own <= bytes_max => {
                bytes += own;
                batch.push(id);
            }
            _ => {
                bytes = own;
                batches.push(vec![id]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use crossbill_core::Seed;

    use super::*;

    #[test]
    fn whatever_an_id_holds_is_encoded() {
        let id = "a b+c&d=e%f\"g'/é#?";
        let text = parameter("ids", id);
        assert!(!text["ids=".len()..].contains([' ', '+', '&', '=', '"', '/', '#', '?']), "{text}");
        assert!(text.contains("a%20b%2Bc"), "{text}");
        let url = reqwest::Url::parse(&format!("http://h/p?{text}")).unwrap();
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("ids".to_owned(), id.to_owned())]);
    }

    #[test]
    fn batches_keep_order_and_bounds() {
        let mut rng = Seed(7).rng();
        for _ in 0..200 {
            let long = |rng: &mut crossbill_core::Rng| "é ".repeat(1 + rng.below(40) as usize);
            let ids: Vec<String> = (0..rng.below(120)).map(|_| long(&mut rng)).collect();
            let (most, bytes_max) = (1 + rng.below(50) as usize, 200 + rng.below(800) as usize);
            let batches = cut(ids.clone(), most, bytes_max);
            assert_eq!(batches.concat(), ids);
            for batch in &batches {
                let bytes: usize = batch.iter().map(|id| parameter("&ids", id).len()).sum();
                assert!(!batch.is_empty() && batch.len() <= most);
                assert!(bytes <= bytes_max || batch.len() == 1);
            }
        }
    }

    #[test]
    fn long_vectors_are_asked_for_in_small_numbers() {
        assert_eq!(ids_max(0), 1000);
        assert_eq!(ids_max(1536), 436);
        assert_eq!(ids_max(20_000), 33);
        assert_eq!(ids_max(u32::MAX), 1);
    }
}
