//! Strict JSON: one object, no name twice however it is spelled, depth bounded.
//!
//! Two parsers that disagree about a document are an attack waiting to happen; what could be read in two ways is refused (RFC 7515
//! section 4, RFC 8725 section 2.4).

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// Why bytes are not the JSON object they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON in UTF-8, or with more behind it.
    #[error("it is not JSON")]
    Malformed,
    /// JSON, but no object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A name occurs twice in one object.
    #[error("a member occurs twice")]
    Duplicate,
    /// Objects and arrays are nested too deep.
    #[error("it is nested too deep")]
    TooDeep,
}

/// Reads one JSON object whose objects and arrays, itself included, are nested at most `depth_max` deep.
pub(super) fn object(bytes: &[u8], depth_max: usize) -> Result<Map<String, Value>, JsonError> {
    let fault = Cell::new(JsonError::Malformed);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth_left: depth_max, fault: &fault }.deserialize(&mut reader).map_err(|_| fault.get())?;
    reader.end().map_err(|_| JsonError::Malformed)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Reads any value; a rule of ours that is broken is noted in `fault`, because serde's errors carry only text.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: usize,
    fault: &'a Cell<JsonError>,
}

impl Strict<'_> {
    fn refuse<E: Error>(self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.refuse(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(inner)? {
            elements.push(element);
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.refuse(JsonError::Duplicate));
            }
            members.insert(name, map.next_value_seed(inner)?);
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let table: &[(&[u8], JsonError)] = &[
            (b"", JsonError::Malformed),
            (b"{", JsonError::Malformed),
            (b"{} {}", JsonError::Malformed),
            (b"{}x", JsonError::Malformed),
            (b"\xef\xbb\xbf{}", JsonError::Malformed),
            (b"{\"a\":\"\xff\"}", JsonError::Malformed),
            (br#"{"a":"\ud800"}"#, JsonError::Malformed),
            (br#"{"a":1e400}"#, JsonError::Malformed),
            (br#"{"a":01}"#, JsonError::Malformed),
            (br#"{"a":1,}"#, JsonError::Malformed),
            (b"[]", JsonError::NotAnObject),
            (b"7", JsonError::NotAnObject),
            (br#"{"a":1,"a":1}"#, JsonError::Duplicate),
            (br#"{"a":1,"\u0061":2}"#, JsonError::Duplicate),
            (br#"{"x":[{"a":1,"a":2}]}"#, JsonError::Duplicate),
            (br#"{"a":[[[]]]}"#, JsonError::TooDeep),
            (br#"{"a":{"b":{"c":{}}}}"#, JsonError::TooDeep),
        ];
        for (bytes, expected) in table {
            assert_eq!(object(bytes, 3), Err(*expected), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(object(br#" {"a":[[]],"b":{"a":{}}} "#, 3).is_ok());
    }

    #[test]
    fn ten_thousand_levels_do_not_exhaust_the_stack() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{{\"a\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
            assert_eq!(object(deep.as_bytes(), 16), Err(JsonError::TooDeep));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = object(&bytes, 4);
        }

        #[test]
        fn what_serde_json_reads_without_doubt_is_read_alike(text in r#"\{"a":(-?[0-9]{1,20}|[0-9]\.[0-9]{1,3}|"[a-z\\/]{0,5}"|null|true|\[1,\{"b":2\}\])\}"#) {
            let theirs = serde_json::from_str::<Value>(&text).ok();
            prop_assert_eq!(object(text.as_bytes(), 4).ok().map(Value::Object), theirs);
        }
    }
}
