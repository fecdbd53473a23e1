//! Bodies, read strictly: a member that is not known, said twice or of another type is refused by its name.
//!
//! What is read is bounded in bytes, depth and time. Nothing here knows what the members mean.

use super::error::{Kind, Problem};
use crate::domain::Moment;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// The deepest nesting of arrays and objects in a body.
const BODY_DEPTH_MAX: usize = 32;

/// Reads a body into an object.
///
/// # Errors
/// [`Kind::InvalidJson`] for anything but one JSON object without repeated members.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Fields, Problem> {
    if bytes.is_empty() {
        return Err(Problem::new(Kind::InvalidJson, "the body is empty; this request needs a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value.map_err(|error| Problem::new(Kind::InvalidJson, format!("the body cannot be read: {error}")))? {
        Value::Object(members) => Ok(Fields { path: String::new(), members }),
        other => Err(Problem::new(Kind::InvalidJson, format!("the body must be a JSON object, not {}", kind_of(&other)))),
    }
}

/// The members of one object, taken out one by one; what is left over at the end is not known.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Where the object stands in the body, with the dot that its members need.
    path: String,
    members: Map<String, Value>,
}

impl Fields {
    /// No members: the body was not sent, and need not be.
    pub(crate) fn none() -> Self {
        Self { path: String::new(), members: Map::new() }
    }

    /// The name of a member as the caller would write it.
    pub(crate) fn name(&self, member: &str) -> String {
        format!("{}{member}", self.path)
    }

    /// A text, if there.
    pub(crate) fn text(&mut self, member: &str) -> Result<Option<String>, Problem> {
        self.take(member, "a string", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A whole number from 0 on, if there.
    pub(crate) fn number(&mut self, member: &str) -> Result<Option<u64>, Problem> {
        self.take(member, "a whole number, 0 or more", |value| value.as_u64().ok_or(value))
    }

    /// `true` or `false`, if there.
    pub(crate) fn flag(&mut self, member: &str) -> Result<Option<bool>, Problem> {
        self.take(member, "true or false", |value| value.as_bool().ok_or(value))
    }

    /// An RFC 3339 moment, if there.
    pub(crate) fn moment(&mut self, member: &str) -> Result<Option<Moment>, Problem> {
        let what = "an RFC 3339 moment such as 2026-01-01T10:00:00.000Z";
        self.take(member, what, |value| value.as_str().and_then(Moment::from_rfc3339).ok_or(value))
    }

    /// An object, if there.
    pub(crate) fn object(&mut self, member: &str) -> Result<Option<Map<String, Value>>, Problem> {
        self.take(member, "an object", |value| match value {
            Value::Object(members) => Ok(members),
            other => Err(other),
        })
    }

    /// An object whose members are read strictly too, if there.
    pub(crate) fn fields(&mut self, member: &str) -> Result<Option<Fields>, Problem> {
        let path = format!("{}.", self.name(member));
        Ok(self.object(member)?.map(|members| Fields { path, members }))
    }

    /// An array, if there.
    pub(crate) fn list(&mut self, member: &str) -> Result<Option<Vec<Value>>, Problem> {
        self.take(member, "an array", |value| match value {
            Value::Array(items) => Ok(items),
            other => Err(other),
        })
    }

    /// An array of objects whose members are read strictly, if there; `max` items at most.
    pub(crate) fn list_of_fields(&mut self, member: &str, max: usize) -> Result<Option<Vec<Fields>>, Problem> {
        let name = self.name(member);
        let Some(items) = self.list(member)? else { return Ok(None) };
        check_count(&name, items.len(), max)?;
        let item = |(at, value)| match value {
            Value::Object(members) => Ok(Fields { path: format!("{name}[{at}]."), members }),
            other => Err(wrong_type(&format!("{name}[{at}]"), "an object", &other)),
        };
        items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// An array of strings, if there; `max` items at most.
    pub(crate) fn list_of_texts(&mut self, member: &str, max: usize) -> Result<Option<Vec<String>>, Problem> {
        let name = self.name(member);
        let Some(items) = self.list(member)? else { return Ok(None) };
        check_count(&name, items.len(), max)?;
        let item = |(at, value)| match value {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(&format!("{name}[{at}]"), "a string", &other)),
        };
        items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// Whether the member stands there as `null`; takes it away if so.
    pub(crate) fn is_null(&mut self, member: &str) -> bool {
        let null = self.members.get(member).is_some_and(Value::is_null);
        if null {
            self.members.remove(member);
        }
        null
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Kind::UnknownField`] with the name of a member that nobody has asked for.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(Problem::new(Kind::UnknownField, format!("the member {} is not known", self.name(&printable(unknown))))),
        }
    }

    fn take<T>(&mut self, member: &str, what: &str, read: impl FnOnce(Value) -> Result<T, Value>) -> Result<Option<T>, Problem> {
        match self.members.remove(member) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|value| wrong_type(&self.name(member), what, &value)),
        }
    }
}

/// What must be there.
///
/// # Errors
/// [`Kind::InvalidField`] that says so.
pub(crate) fn required<T>(name: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::field(format!("{name} is required")))
}

/// The text of a JSON object in its one canonical form: members in byte order, no spaces.
pub(crate) fn canonical(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(members, &mut text);
    text
}

/// How deep arrays and objects nest in an object; 1 when it holds none.
pub(crate) fn depth_of(members: &Map<String, Value>) -> usize {
    1 + members.values().map(depth).max().unwrap_or(0)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => depth_of(members),
        _ => 0,
    }
}

/// Sorts by itself, because whether `serde_json` does depends on a feature that any dependency may switch.
fn write_object(members: &Map<String, Value>, text: &mut String) {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    text.push('{');
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        write_value(value, text);
    }
    text.push('}');
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => write_object(members, text),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_value(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

fn check_count(name: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count > max { Err(Problem::field(format!("{name} may have at most {max} entries"))) } else { Ok(()) }
}

fn wrong_type(name: &str, what: &str, value: &Value) -> Problem {
    Problem::field(format!("{name} must be {what}, not {}", kind_of(value)))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "that number",
        Value::String(_) => "that string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A name from outside, cut and cleaned so that it can be said in a sentence.
pub(crate) fn printable(name: &str) -> String {
    const NAME_MAX_CHARS: usize = 64;
    name.chars().take(NAME_MAX_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Builds a value, refusing repeated members and too deep a nesting.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.depth >= BODY_DEPTH_MAX { Err(E::custom(format_args!("nested deeper than {BODY_DEPTH_MAX}"))) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict { depth })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {} stands there twice", printable(&name))));
            }
            let value = map.next_value_seed(Strict { depth })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(text: &str) -> Fields {
        parse_object(text.as_bytes()).expect("a well-formed object")
    }

    fn refused(text: &str) -> String {
        let problem = parse_object(text.as_bytes()).expect_err("a malformed object");
        assert_eq!(problem.kind(), Kind::InvalidJson);
        problem.detail().to_owned()
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for wrong in ["", " ", "[]", "7", "null", "{", "{}x", "{\"a\":1}{}", "{\"a\":}", "{\"a\":1e400}", "{\"a\":\"\\ud800\"}", "\u{feff}{}"] {
            refused(wrong);
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_member_said_twice_is_refused_also_under_another_spelling_and_deep_inside() {
        assert!(refused(r#"{"user_id":"a","user_id":"b"}"#).contains("user_id"));
        assert!(refused(r#"{"user_id":"a","\u0075ser_id":"b"}"#).contains("user_id"));
        assert!(refused(r#"{"claims":{"a":[{"b":1,"b":2}]}}"#).contains('b'));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_object(nested(BODY_DEPTH_MAX - 1).as_bytes()).is_ok());
        refused(&nested(BODY_DEPTH_MAX));
        refused(&nested(100_000));
    }

    #[test]
    fn errors_name_the_member_and_what_it_should_be() {
        let mut body = fields(r#"{"a":7,"factors":[{"method":"pwd"},{"method":1}],"n":1.5,"at":"yesterday"}"#);
        assert_eq!(body.text("a").expect_err("a number").detail(), "a must be a string, not that number");
        assert!(body.number("n").is_err() && body.moment("at").is_err());
        let mut factors = body.list_of_fields("factors", 16).expect("objects").expect("there");
        assert_eq!(factors[1].text("method").expect_err("a number").detail(), "factors[1].method must be a string, not that number");
        let unknown = factors.remove(0).finish().expect_err("method is left over");
        assert_eq!((unknown.kind(), unknown.detail()), (Kind::UnknownField, "the member factors[0].method is not known"));
        assert!(body.finish().is_ok());
    }

    #[test]
    fn null_is_absent_and_lists_are_bounded() {
        let mut body = fields(r#"{"a":null,"b":[1,2,3],"c":null}"#);
        assert_eq!(body.text("a").expect("absent"), None);
        assert!(body.list_of_texts("b", 2).expect_err("three").detail().contains("at most 2"));
        assert!(body.is_null("c") && !body.is_null("c"));
        assert!(body.finish().is_ok());
    }

    #[test]
    fn one_object_has_one_text() {
        let mut body = fields(r#"{ "o": {"b":1,"a":{"z":[{"y":1,"x":"\u00e9"}],"k":null}} }"#);
        let object = body.object("o").expect("an object").expect("there");
        assert_eq!(canonical(&object), r#"{"a":{"k":null,"z":[{"x":"é","y":1}]},"b":1}"#);
        assert_eq!(depth_of(&object), 4);
    }

    proptest! {
        #[test]
        fn no_body_makes_reading_panic(bytes: Vec<u8>, text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,64}") {
            let _ = parse_object(&bytes);
            let _ = parse_object(text.as_bytes());
        }

        #[test]
        fn canonical_text_reads_back_as_itself(names in proptest::collection::btree_map(".{0,6}", ".{0,6}", 0..6)) {
            let object: Map<String, Value> = names.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            let text = canonical(&object);
            prop_assert_eq!(canonical(&fields(&text).members), text);
        }
    }
}
