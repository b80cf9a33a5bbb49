//! The operators, by what they do.

mod arithmetic;
mod encode;
mod labels;
mod linear;
mod reduce;
mod shape;
mod svm;
mod trees;

use super::OnnxError;
use super::attributes::Attributes;
use super::value::Value;

pub type Made = Result<Vec<Value>, OnnxError>;
pub type Given<'a> = [Option<&'a Value>];

/// An operator with its settings.
pub trait Op: Send + Sync {
    fn run(&self, given: &Given) -> Made;

    /// The names of the classes that it decides between.
    fn classes(&self) -> Option<Vec<String>> {
        None
    }
}

/// Most operators are a function of their inputs.
impl<F: Fn(&Given) -> Made + Send + Sync> Op for F {
    fn run(&self, given: &Given) -> Made {
        self(given)
    }
}

pub type Prepared = Result<Option<Box<dyn Op>>, OnnxError>;

#[expect(clippy::unnecessary_wraps, reason = "what every family of operators answers")]
fn ready(op: impl Op + 'static) -> Prepared {
    Ok(Some(Box::new(op)))
}

/// A closure has to be told that it takes inputs of any lifetime.
fn function(op: impl Fn(&Given) -> Made + Send + Sync + 'static) -> Prepared {
    ready(op)
}

/// The input at that place.
fn input<'a>(given: &Given<'a>, at: usize) -> Result<&'a Value, OnnxError> {
    given.get(at).copied().flatten().ok_or_else(|| OnnxError::Model(format!("input {at} is missing")))
}

/// Nothing for an operator that is not known here.
pub fn prepare(domain: &str, kind: &str, attributes: &Attributes) -> Prepared {
    let families: &[fn(&str, &Attributes) -> Prepared] = match domain {
        "" => &[arithmetic::prepare, shape::prepare, reduce::prepare],
        "ai.onnx.ml" => &[encode::prepare, linear::prepare, trees::prepare, svm::prepare],
        _ => &[],
    };
    for family in families {
        if let Some(op) = family(kind, attributes)? {
            return Ok(Some(op));
        }
    }
    Ok(None)
}
