//! Settings as they stand in the file: untyped, but every value knows its place.
//!
//! The catalogues turn a node into a typed value with [`Node::decode`], which reports every mistake it can find
//! instead of stopping at the first.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_path_to_error::{Path, Segment};
use serde_saphyr::Spanned;

use crate::mistakes::{Mistakes, Place, suggestion};

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// Text remembers whether it came from `${…}`: then `"8080"` may stand where a number is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    pub interpolated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub place: Place,
}

impl Node {
    pub fn new(value: Value, place: Place) -> Self {
        Self { value, place }
    }

    pub fn text(text: impl Into<String>, place: Place) -> Self {
        Self::new(Value::Text(Text { text: text.into(), interpolated: false }), place)
    }

    pub fn map(entries: Vec<(Key, Node)>, place: Place) -> Self {
        Self::new(Value::Map(entries), place)
    }

    /// A mapping's entries; nothing for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    pub fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The values of a list, or the single value itself.
    pub fn items(&self) -> Vec<&Node> {
        if let Value::List(items) = &self.value { items.iter().collect() } else { vec![self] }
    }

    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Float(f) => Json::from(*f),
            Value::Text(t) => Json::String(t.text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(entries.iter().map(|(k, v)| (k.name.clone(), v.to_json())).collect()),
        }
    }

    /// Calls `visit` with every text, and the key that it stands under.
    pub fn each_text(&mut self, key: &str, visit: &mut impl FnMut(&str, Place, &mut Text)) {
        match &mut self.value {
            Value::Text(text) => visit(key, self.place, text),
            Value::List(items) => items.iter_mut().for_each(|item| item.each_text(key, visit)),
            Value::Map(entries) => entries.iter_mut().for_each(|(k, v)| v.each_text(&k.name, visit)),
            _ => {}
        }
    }

    /// The typed value, or nothing when there were mistakes: each is added to `mistakes`, then the offending part is
    /// taken out and the rest is read again, so that one run finds them all.
    pub fn decode<T: DeserializeOwned>(&self, mistakes: &mut Mistakes) -> Option<T> {
        let mut rest = self.clone();
        let mut clean = true;
        for _ in 0..100 {
            let error = match serde_path_to_error::deserialize::<_, T>(rest.to_json()) {
                Ok(value) => return clean.then_some(value),
                Err(error) => error,
            };
            let path = error.path().clone();
            let message = error.into_inner().to_string();
            if let Some(number) = rest.number_at(&path, &message) {
                *rest.node_at_mut(&path)? = number;
                continue;
            }
            let follows_from_another = !clean && message.starts_with("missing field");
            if !follows_from_another {
                report(&rest, &path, &message, mistakes);
            }
            clean = false;
            if !rest.remove(&path) {
                return None;
            }
        }
        None
    }

    /// `${PORT}` is text until something asks for a number or a flag.
    fn number_at(&self, path: &Path, message: &str) -> Option<Node> {
        let node = self.node_at(path)?;
        let Value::Text(Text { text, interpolated: true }) = &node.value else { return None };
        if !message.starts_with("invalid type: string") {
            return None;
        }
        let value = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float));
        let value = value.or_else(|_| text.parse().map(Value::Bool)).ok()?;
        Some(Node::new(value, node.place))
    }

    fn node_at(&self, path: &Path) -> Option<&Node> {
        path.iter().try_fold(self, |node, segment| match (segment, &node.value) {
            (Segment::Map { key }, _) => node.get(key),
            (Segment::Seq { index }, Value::List(items)) => items.get(*index),
            (Segment::Enum { .. }, _) => Some(node),
            _ => None,
        })
    }

    fn node_at_mut(&mut self, path: &Path) -> Option<&mut Node> {
        path.iter().try_fold(self, |node, segment| match (segment, &mut node.value) {
            (Segment::Map { key }, Value::Map(entries)) => entries.iter_mut().find(|(k, _)| k.name == *key).map(|(_, n)| n),
            (Segment::Seq { index }, Value::List(items)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// The key's own place where the path ends in a key, else the value's.
    fn place_of(&self, path: &Path, at_key: bool) -> Place {
        let mut place = self.place;
        let mut node = self;
        for segment in path {
            let found = match (segment, &node.value) {
                (Segment::Map { key }, Value::Map(entries)) => entries.iter().find(|(k, _)| k.name == *key).map(|(k, n)| (k.place, n)),
                (Segment::Seq { index }, Value::List(items)) => items.get(*index).map(|n| (n.place, n)),
                _ => None,
            };
            let Some((key_place, next)) = found else { break };
            place = if at_key { key_place } else { next.place };
            node = next;
        }
        place
    }

    fn remove(&mut self, path: &Path) -> bool {
        let segments: Vec<_> = path.iter().collect();
        let Some((last, parents)) = segments.split_last() else { return false };
        let parent = parents.iter().try_fold(self, |node, segment| match (segment, &mut node.value) {
            (Segment::Map { key }, Value::Map(entries)) => entries.iter_mut().find(|(k, _)| k.name == *key).map(|(_, n)| n),
            (Segment::Seq { index }, Value::List(items)) => items.get_mut(*index),
            _ => None,
        });
        match (last, parent.map(|node| &mut node.value)) {
            (Segment::Map { key }, Some(Value::Map(entries))) => {
                let before = entries.len();
                entries.retain(|(k, _)| k.name != *key);
                entries.len() < before
            }
            (Segment::Seq { index }, Some(Value::List(items))) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        }
    }
}

/// serde's words in the user's: a "field" is a key.
fn report(node: &Node, path: &Path, message: &str, mistakes: &mut Mistakes) {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown_key = message.starts_with("unknown field");
    let place = node.place_of(path, unknown_key || message.starts_with("missing field"));
    if unknown_key {
        let written = words.first().copied().unwrap_or_default();
        let help = suggestion(written, words.iter().skip(1).copied(), "keys");
        mistakes.add_with_help(place, format!("unknown key `{written}`{}", inside(path)), help);
    } else if message.starts_with("unknown variant") {
        let written = words.first().copied().unwrap_or_default();
        let help = suggestion(written, words.iter().skip(1).copied(), "values");
        mistakes.add_with_help(place, format!("unknown value `{written}`{}", of(path)), help);
    } else if let Some(rest) = message.strip_prefix("missing field") {
        mistakes.add(place, format!("missing key{rest}{}", of(path)));
    } else {
        mistakes.add(place, format!("{message}{}", of(path)));
    }
}

fn inside(path: &Path) -> String {
    let text = path.to_string();
    text.rsplit_once('.').map_or_else(String::new, |(parent, _)| format!(" in `{parent}`"))
}

fn of(path: &Path) -> String {
    let text = path.to_string();
    if text == "." { String::new() } else { format!(" in `{text}`") }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node::new(spanned.value, place(spanned.referenced)))
    }
}

fn place(location: serde_saphyr::Location) -> Place {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Place { line: number(location.line()), column: number(location.column()) }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(Value::Int(i))
    }

    fn visit_u64<E: de::Error>(self, u: u64) -> Result<Value, E> {
        i64::try_from(u).map(Value::Int).map_err(|_| E::custom(format!("{u} is larger than any number used here")))
    }

    fn visit_f64<E: de::Error>(self, f: f64) -> Result<Value, E> {
        if f.is_finite() { Ok(Value::Float(f)) } else { Err(E::custom("not a finite number")) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Text { text: text.to_owned(), interpolated: false }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push((Key { name: key.value, place: place(key.referenced) }, value));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Port {
        port: u16,
        #[serde(default)]
        host: String,
        #[serde(default)]
        also: Vec<u8>,
    }

    fn node(yaml: &str) -> Node {
        serde_saphyr::from_str(yaml).expect("yaml")
    }

    #[test]
    fn every_mistake_is_found_in_one_reading_each_with_its_place() {
        let mut mistakes = Mistakes::default();
        let value = node("port: many\nhots: x\nalso: [1, two, 300]\n").decode::<Port>(&mut mistakes);
        assert_eq!(value, None);
        let found: Vec<_> = mistakes.sorted().into_iter().map(|m| (m.place.line, m.place.column, m.message)).collect();
        assert_eq!(
            found,
            [
                (1, 7, "invalid type: string \"many\", expected u16 in `port`".to_owned()),
                (2, 1, "unknown key `hots`".to_owned()),
                (3, 11, "invalid type: string \"two\", expected u8 in `also[1]`".to_owned()),
                (3, 16, "invalid value: integer `300`, expected u8 in `also[1]`".to_owned()),
            ]
        );
    }

    #[test]
    fn an_interpolated_number_is_a_number_where_one_is_asked_for() {
        let mut node = node("port: p\nhost: h\n");
        node.each_text("", &mut |key, _, text| {
            if key == "port" {
                *text = Text { text: "8080".into(), interpolated: true };
            }
        });
        let value = node.decode::<Port>(&mut Mistakes::default());
        assert_eq!(value, Some(Port { port: 8080, host: "h".into(), also: vec![] }));
    }
}
