//! The settings of a node.

use super::OnnxError;
use super::proto::{Attribute, Node};
use super::value::Value;

pub struct Attributes<'a> {
    node: &'a Node,
    /// The version of the node's operator set.
    pub opset: i64,
}

impl<'a> Attributes<'a> {
    pub fn new(node: &'a Node, opset: i64) -> Self {
        Self { node, opset }
    }

    fn get(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, |a| a.i)
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, i64::from(default)) != 0
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.get(name).map_or(default, |a| a.f)
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        self.get(name).map_or_else(|| default.to_owned(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }

    pub fn ints(&self, name: &str) -> Vec<i64> {
        self.get(name).map(|a| a.ints.clone()).unwrap_or_default()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let all = self.get(name).map(|a| a.strings.as_slice()).unwrap_or_default();
        all.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    }

    /// Also where they are a tensor, whose name ends in `_as_tensor`.
    pub fn floats(&self, name: &str) -> Result<Vec<f64>, OnnxError> {
        if let Some(tensor) = self.get(&format!("{name}_as_tensor")).and_then(|a| a.t.as_ref()) {
            return Value::read(tensor)?.doubles();
        }
        Ok(self.get(name).map(|a| a.floats.iter().map(|f| f64::from(*f)).collect()).unwrap_or_default())
    }

    pub fn tensor(&self, name: &str) -> Option<Result<Value, OnnxError>> {
        self.get(name).and_then(|a| a.t.as_ref()).map(Value::read)
    }

    /// Numbers from 0 on.
    pub fn places(&self, name: &str) -> Result<Vec<usize>, OnnxError> {
        self.ints(name).into_iter().map(|i| usize::try_from(i).map_err(|_| self.wrong(&format!("`{name}` holds {i}")))).collect()
    }

    pub fn wrong(&self, why: &str) -> OnnxError {
        OnnxError::Model(format!("{}: {why}", self.node.op_type))
    }
}
