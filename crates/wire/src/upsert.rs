//! Reads the body of an upsert in one pass. Nearly all of it is numbers, which
//! the JSON library reads four times slower than `plain` does, and a library
//! with SIMD no faster (docs/decisions/0008-json.md).
//!
//! May not refuse anything: a body in which it meets what it does not know (an
//! unknown field, an escape in a name, a long number, an error) is read by the
//! JSON library from its beginning, whose word counts.

use serde::de::DeserializeOwned;

use crate::plain::{list, skip_spaces};
use crate::{UpsertRequest, Vector};

impl UpsertRequest {
    /// Reads the body of a request.
    pub fn from_json(body: &[u8]) -> serde_json::Result<Self> {
        match Quick(body).request() {
            Some(request) => Ok(request),
            None => serde_json::from_slice(body),
        }
    }
}

/// What is left of a body. Each step is `None` where it does not know better
/// than the JSON library.
struct Quick<'a>(&'a [u8]);

impl<'a> Quick<'a> {
    fn request(mut self) -> Option<UpsertRequest> {
        let (mut vectors, mut namespace) = (None, None);
        self.object(|body, name| match name {
            b"vectors" => put(&mut vectors, body.vectors()?),
            b"namespace" => put(&mut namespace, body.value()?),
            _ => None,
        })?;
        self.0.is_empty().then_some(())?;
        Some(UpsertRequest { vectors: vectors?, namespace: namespace.flatten() })
    }

    fn vectors(&mut self) -> Option<Vec<Vector>> {
        let mut vectors = Vec::new();
        self.take(b'[')?;
        loop {
            vectors.push(self.vector()?);
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(vectors);
            }
        }
    }

    fn vector(&mut self) -> Option<Vector> {
        let (mut id, mut values, mut sparse, mut metadata) = (None, None, None, None);
        self.object(|body, name| match name {
            b"id" => put(&mut id, body.value()?),
            b"values" => put(&mut values, body.list()?),
            b"sparseValues" => put(&mut sparse, body.value()?),
            b"metadata" => put(&mut metadata, body.value()?),
            _ => None,
        })?;
        let (sparse_values, metadata) = (sparse.flatten(), metadata.flatten());
        Some(Vector { id: id?, values: values.unwrap_or_default(), sparse_values, metadata })
    }

    /// An object with one field at least; `field` reads the value of the one
    /// it is given the name of.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.name()?;
            self.take(b':')?;
            field(self, name)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// The name of a field, as it is written.
    fn name(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let end = self.0.iter().position(|&byte| matches!(byte, b'"' | b'\\'))?;
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        self.take(b'"').map(|()| name)
    }

    fn list(&mut self) -> Option<Vec<f32>> {
        let (values, rest) = list(self.0)?;
        self.0 = skip_spaces(rest);
        Some(values)
    }

    /// Any value, by the JSON library.
    fn value<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_slice(self.0).into_iter();
        let value = values.next()?.ok()?;
        self.0 = skip_spaces(&self.0[values.byte_offset()..]);
        Some(value)
    }

    /// Past `byte` and the spaces around it, where it is next.
    fn take(&mut self, byte: u8) -> Option<()> {
        let rest = skip_spaces(self.0).strip_prefix(&[byte])?;
        self.0 = skip_spaces(rest);
        Some(())
    }
}

/// Notes the value of a field; a second one is for the JSON library to refuse.
fn put<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(body: &str) -> (Option<String>, Result<String, String>) {
        let quick = Quick(body.as_bytes()).request().map(|request| format!("{request:?}"));
        let library = serde_json::from_str::<UpsertRequest>(body);
        (quick, library.map(|r| format!("{r:?}")).map_err(|error| error.to_string()))
    }

    #[test]
    fn the_usual_bodies_are_read_quickly() {
        for body in [
            r#"{"vectors":[{"id":"a","values":[1,2.5]}]}"#,
            r#" { "namespace" : "n", "vectors" : [ { "values" : [ -1e-05 ] , "id" : "\u00e4" } ] } "#,
            r#"{"vectors":[{"id":"a","values":[],"metadata":{"a":[1,"]"]}},{"id":"b"}],"namespace":null}"#,
            r#"{"vectors":[{"id":"a","sparseValues":{"indices":[1],"values":[2]},"metadata":null}]}"#,
        ] {
            let (quick, library) = texts(body);
            assert_eq!(quick.ok_or(body.to_owned()), library);
        }
    }

    #[test]
    fn the_unusual_is_left_to_the_library() {
        for body in [
            "",
            "[]",
            r#"{"vectors":[]}"#,
            r#"{"vectors":[{"id":"a","values":null}]}"#,
            r#"{"vectors":[{"id":"a","other":1}]}"#,
            r#"{"vectors":[{"id":"a","values":[1],"values":[1]}]}"#,
            r#"{"vectors":[{"id":"a","v\u0061lues":[1]}]}"#,
            r#"{"vectors":[{"id":"a","values":[1]}]} x"#,
            r#"{"vectors":[{"values":[1]}]}"#,
            r#"{"vectors":[{"id":1,"values":[1]}]}"#,
            r#"{"vectors":[{"id":"a","values":[1e99]}]}"#,
            r#"{"namespace":"n"}"#,
        ] {
            assert!(texts(body).0.is_none(), "{body}");
            let answer = UpsertRequest::from_json(body.as_bytes()).map(|r| format!("{r:?}"));
            assert_eq!(answer.map_err(|error| error.to_string()), texts(body).1);
        }
    }

    proptest! {
        /// Cut, doubled and changed bytes: never another answer than the library's.
        #[test]
        fn no_body_is_read_differently(
            at in 0_usize..120, byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let body = concat!(
                r#"{"vectors":[{"id":"a","values":[1.5,-2e-3],"#,
                r#""sparseValues":{"indices":[1],"values":[2]},"metadata":{"a":"b"}}],"#,
                r#""namespace":"n"}"#
            );
            let mut bytes = body.as_bytes().to_vec();
            if cut {
                bytes.remove(at);
            } else {
                bytes[at] = byte;
            }
            if let Some(quick) = Quick(&bytes).request() {
                let library: UpsertRequest = serde_json::from_slice(&bytes).unwrap();
                prop_assert_eq!(format!("{quick:?}"), format!("{library:?}"));
            }
        }
    }
}
