//! From scores to probabilities and the name of a class.

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Data, Value};
use super::reduce::softened;

/// What becomes of the scores of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostTransform {
    None,
    Logistic,
    Softmax,
    /// Softmax over what is not 0.
    SoftmaxZero,
}

pub fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

impl PostTransform {
    pub fn of(attributes: &Attributes) -> Result<Self, OnnxError> {
        Ok(match attributes.text("post_transform", "NONE").as_str() {
            "NONE" => Self::None,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            other => return Err(attributes.wrong(&format!("the post_transform {other} is not known here"))),
        })
    }

    pub fn apply(self, scores: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|s| *s = logistic(*s)),
            Self::Softmax => scores.copy_from_slice(&softened(scores)),
            Self::SoftmaxZero => {
                let there: Vec<usize> = (0..scores.len()).filter(|i| scores[*i] != 0.0).collect();
                let soft = softened(&there.iter().map(|i| scores[*i]).collect::<Vec<_>>());
                there.into_iter().zip(soft).for_each(|(i, s)| scores[i] = s);
            }
        }
    }
}

/// The classes of a classifier, as it names them.
#[derive(Debug, Clone)]
pub enum Classes {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Classes {
    /// `keys` are the two attributes' names.
    pub fn of(attributes: &Attributes, keys: [&str; 2]) -> Result<Self, OnnxError> {
        let (ints, texts) = (attributes.ints(keys[0]), attributes.texts(keys[1]));
        match (ints.is_empty(), texts.is_empty()) {
            (false, _) => Ok(Self::Ints(ints)),
            (_, false) => Ok(Self::Texts(texts)),
            _ => Err(attributes.wrong("it names no classes")),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Ints(v) => v.len(),
            Self::Texts(v) => v.len(),
        }
    }

    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Ints(v) => v.iter().map(ToString::to_string).collect(),
            Self::Texts(v) => v.clone(),
        }
    }

    /// The label of each row, by the number of its class.
    pub fn labels(&self, decided: &[usize]) -> Value {
        let data = match self {
            Self::Ints(v) => Data::Int(decided.iter().map(|i| v[*i]).collect()),
            Self::Texts(v) => Data::Text(decided.iter().map(|i| v[*i].clone()).collect()),
        };
        Value::new(vec![decided.len()], data)
    }
}

/// The first of the largest.
pub fn largest(scores: &[f64]) -> usize {
    scores.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (i, s)| if *s > best.1 { (i, *s) } else { best }).0
}
