//! The one registry: a NAME, the settings' JSON schema and documentation, and how settings become a working value.
//!
//! Checks, metrics, stages and sinks are all registered here and nowhere else; `explain`, the JSON schema of
//! `mlops.yml` and the tables of the README follow from it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use crate::mistakes::Mistakes;
use crate::node::{Key, Node, Value};

/// What every registered type says of itself. Its doc comment is its documentation.
pub trait Named: JsonSchema {
    /// The configuration key, the file, the `JUnit` name and the heading in the documentation.
    const NAME: &'static str;
    /// The setting that a bare value stands for: `fresh: 7d` is `fresh: {max: 7d}`.
    const SHORT: Option<&'static str> = None;
}

/// One registered type, seen as `dyn B`.
pub struct Entry<B: ?Sized> {
    pub name: &'static str,
    pub short: Option<&'static str>,
    schema: fn(&mut SchemaGenerator) -> Schema,
    build: fn(&Node, &mut Mistakes) -> Option<Box<B>>,
}

impl<B: ?Sized> Entry<B> {
    /// `boxed` is always `|t| Box::new(t)`: Rust cannot yet turn `T` into `dyn B` by itself in generic code.
    pub fn new<T: Named + DeserializeOwned>(build: fn(&Node, &mut Mistakes) -> Option<Box<B>>) -> Self {
        Self { name: T::NAME, short: T::SHORT, schema: T::json_schema, build }
    }

    pub fn build(&self, settings: &Node, mistakes: &mut Mistakes) -> Option<Box<B>> {
        (self.build)(&self.long_form(settings), mistakes)
    }

    /// The short form is sugar for the long one.
    pub fn long_form(&self, settings: &Node) -> Node {
        match self.short {
            Some(short) if !settings.is_map() => {
                Node::map(vec![(Key { name: short.to_owned(), place: settings.place }, settings.clone())], settings.place)
            }
            _ => settings.clone(),
        }
    }

    /// The long form's schema.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    /// Its settings, each with its description. Inlined: a type that is another one has that one's settings.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut generator = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
        let schema = self.schema(&mut generator);
        let properties = schema.get("properties").and_then(|p| p.as_object()).cloned().unwrap_or_default();
        let doc = |schema: &serde_json::Value| schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        properties.iter().map(|(key, schema)| (key.clone(), doc(schema))).collect()
    }

    /// The type's doc comment.
    pub fn doc(&self) -> String {
        let schema = self.schema(&mut SchemaGenerator::default());
        schema.get("description").and_then(|d| d.as_str()).unwrap_or_default().to_owned()
    }

    /// The first sentence of the doc comment.
    pub fn summary(&self) -> String {
        let doc = self.doc();
        doc.split("\n\n").next().unwrap_or_default().replace('\n', " ")
    }
}

/// A family of registered types, in the order in which a reader should meet them.
pub struct Catalogue<B: ?Sized> {
    pub family: &'static str,
    pub entries: Vec<Entry<B>>,
}

impl<B: ?Sized> Catalogue<B> {
    pub fn get(&self, name: &str) -> Option<&Entry<B>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().map(|entry| entry.name).collect()
    }
}

/// A bare `true` means "with the defaults", `false` "not at all".
pub fn switched_off(settings: &Node) -> bool {
    settings.value == Value::Bool(false)
}
