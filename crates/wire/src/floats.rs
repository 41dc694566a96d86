//! Reading `[1.5, …]` straight into `Vec<f32>`, without a tree of values on
//! the way, with the position of what is wrong.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// Reserved at most before an element was seen: what a body claims is not
/// trusted.
const RESERVED_MAX: usize = 4096;

struct Floats;

impl<'de> Visitor<'de> for Floats {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<f32>, A::Error> {
        let mut values = Vec::with_capacity(items.size_hint().unwrap_or(0).min(RESERVED_MAX));
        loop {
            let position = values.len();
            match items.next_element::<f32>() {
                Ok(Some(value)) if value.is_finite() => values.push(value),
                Ok(Some(value)) => {
                    return Err(A::Error::custom(format_args!(
                        "component {position} is {value}, expected a finite number"
                    )));
                }
                Ok(None) => return Ok(values),
                Err(error) => {
                    return Err(A::Error::custom(format_args!("component {position}: {error}")));
                }
            }
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<f32>, E> {
        Ok(Vec::new())
    }
}

/// Reads a list of finite numbers. `null` reads as the empty list, which is
/// how an absent vector is written by some clients.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f32>, D::Error> {
    input.deserialize_any(Floats)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "super::deserialize")]
        values: Vec<f32>,
    }

    fn read(json: &str) -> Result<Vec<f32>, String> {
        serde_json::from_str::<Holder>(json)
            .map(|holder| holder.values)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_of_all_spellings_are_read() {
        assert_eq!(
            read(r#"{"values":[1,-2.5,3e-2,0,1e-400]}"#),
            Ok(vec![1.0, -2.5, 0.03, 0.0, 0.0])
        );
        assert_eq!(read(r#"{"values":[0.1]}"#), Ok(vec![0.1]));
        assert_eq!(read(r#"{"values":null}"#), Ok(vec![]));
        assert_eq!(read("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_named_by_position() {
        for (json, expected) in [
            (r#"{"values":[1,1e39]}"#, "component 1"),
            (r#"{"values":[1,2,-1e400]}"#, "component 2"),
            (r#"{"values":[1,"x"]}"#, "component 1: invalid type: string \"x\""),
            (r#"{"values":[null]}"#, "component 0: invalid type: null"),
            (r#"{"values":"x"}"#, "expected a list of numbers"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
            assert!(error.contains("at line 1"), "{json}: {error}");
        }
        assert!(read(r#"{"values":[NaN]}"#).is_err());
        assert!(read(r#"{"values":[Infinity]}"#).is_err());
    }
}
