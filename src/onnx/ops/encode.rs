//! What stands before a model: scaling, filling in, encoding.

use std::collections::BTreeMap;

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Data, Type, Value};
use super::labels::Classes;
use super::shape::place;
use super::{Given, Made, Op, Prepared, function, input, ready};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    match kind {
        "Scaler" => {
            let (offset, scale) = (attributes.floats("offset")?, attributes.floats("scale")?);
            if offset.len() != scale.len() {
                return Err(attributes.wrong("its offsets do not fit its scales"));
            }
            each(move |column, v| {
                let at = |of: &[f64], default: f64| of.get(if of.len() == 1 { 0 } else { column }).copied().unwrap_or(default);
                (v - at(&offset, 0.0)) * at(&scale, 1.0)
            })
        }
        "Imputer" => {
            let filling = attributes.floats("imputed_value_floats")?;
            let missing = f64::from(attributes.float("replaced_value_float", 0.0));
            let (ints, missing_int) = (attributes.ints("imputed_value_int64s"), attributes.int("replaced_value_int64", 0));
            if filling.is_empty() && !ints.is_empty() {
                let numbers = Value::ints(vec![ints.len()], ints).doubles()?;
                let missing = Value::ints(vec![1], vec![missing_int]).doubles()?[0];
                return each(move |column, v| if v == missing { numbers[if numbers.len() == 1 { 0 } else { column }] } else { v });
            }
            each(move |column, v| {
                let replaced = v == missing || (missing.is_nan() && v.is_nan());
                if replaced { filling.get(if filling.len() == 1 { 0 } else { column }).copied().unwrap_or(v) } else { v }
            })
        }
        "Binarizer" => {
            let threshold = f64::from(attributes.float("threshold", 0.0));
            each(move |_, v| f64::from(u8::from(v > threshold)))
        }
        "Normalizer" => normalizer(&attributes.text("norm", "MAX"), attributes),
        "OneHotEncoder" => one_hot(attributes),
        "LabelEncoder" => label_encoder(attributes),
        "ArrayFeatureExtractor" => function(|given: &Given| extract(input(given, 0)?, input(given, 1)?)),
        "FeatureVectorizer" => function(|given: &Given| {
            let values: Vec<&Value> = given.iter().copied().flatten().collect();
            let rows = values.first().map_or(0, |v| v.rows().0);
            let all = values.iter().map(|v| v.singles()).collect::<Result<Vec<_>, _>>()?;
            let mut out = Vec::new();
            for row in 0..rows {
                all.iter().for_each(|v| out.extend_from_slice(&v[row * (v.len() / rows)..(row + 1) * (v.len() / rows)]));
            }
            Ok(vec![Value::floats(vec![rows, out.len() / rows.max(1)], out)])
        }),
        // The same probabilities, without the names of their classes: those are known beside it.
        "ZipMap" => ready(ZipMap(Classes::of(attributes, ["classlabels_int64s", "classlabels_strings"])?)),
        _ => Ok(None),
    }
}

struct ZipMap(Classes);

impl Op for ZipMap {
    fn run(&self, given: &Given) -> Made {
        Ok(vec![input(given, 0)?.clone()])
    }

    fn classes(&self) -> Option<Vec<String>> {
        Some(self.0.names())
    }
}

/// A number of each column by itself.
fn each(of: impl Fn(usize, f64) -> f64 + Send + Sync + 'static) -> Prepared {
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let width = value.shape.last().copied().unwrap_or(1).max(1);
        let numbers = value.doubles()?.into_iter().enumerate().map(|(i, v)| of(i % width, v)).collect();
        Ok(vec![Value::like(Type::Float, value.shape.clone(), numbers)])
    })
}

fn normalizer(norm: &str, attributes: &Attributes) -> Prepared {
    let size: fn(&[f64]) -> f64 = match norm {
        "L1" => |row| row.iter().map(|v| v.abs()).sum(),
        "L2" => |row| row.iter().map(|v| v * v).sum::<f64>().sqrt(),
        "MAX" => |row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        other => return Err(attributes.wrong(&format!("the norm {other} is not known here"))),
    };
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let (_, width) = value.rows();
        let of = |row: &[f64]| {
            let size = size(row);
            row.iter().map(|v| if size == 0.0 { *v } else { v / size }).collect::<Vec<_>>()
        };
        let numbers = value.doubles()?.chunks(width.max(1)).flat_map(of).collect();
        Ok(vec![Value::like(Type::Float, value.shape.clone(), numbers)])
    })
}

/// A value that is not known has zeros only, where that is allowed.
fn one_hot(attributes: &Attributes) -> Prepared {
    let (texts, ints, zeros) = (attributes.texts("cats_strings"), attributes.ints("cats_int64s"), attributes.flag("zeros", true));
    let size = texts.len().max(ints.len());
    let texts: BTreeMap<String, usize> = texts.into_iter().zip(0..).collect();
    let ints: BTreeMap<i64, usize> = ints.into_iter().zip(0..).collect();
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let known: Vec<Option<usize>> = match &value.data {
            Data::Text(all) => all.iter().map(|v| texts.get(v).copied()).collect(),
            _ => value.integers()?.iter().map(|v| ints.get(v).copied()).collect(),
        };
        if !zeros && known.contains(&None) {
            return Err(OnnxError::Model("a value is of no category that the model knows".into()));
        }
        let mut out = vec![0.0; known.len() * size];
        known.iter().enumerate().for_each(|(row, at)| at.iter().for_each(|at| out[row * size + at] = 1.0));
        Ok(vec![Value::floats([value.shape.clone(), vec![size]].concat(), out)])
    })
}

fn label_encoder(attributes: &Attributes) -> Prepared {
    let (keys_text, keys_int) = (attributes.texts("keys_strings"), attributes.ints("keys_int64s"));
    let (to_text, to_int, to_float) = (attributes.texts("values_strings"), attributes.ints("values_int64s"), attributes.floats("values_floats")?);
    if keys_text.is_empty() && keys_int.is_empty() {
        return Err(attributes.wrong("its keys are of a type that is not known here"));
    }
    let texts: BTreeMap<String, usize> = keys_text.into_iter().zip(0..).collect();
    let ints: BTreeMap<i64, usize> = keys_int.into_iter().zip(0..).collect();
    let default =
        (attributes.text("default_string", "_Unused"), attributes.int("default_int64", -1), f64::from(attributes.float("default_float", -0.0)));
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let at: Vec<Option<usize>> = match &value.data {
            Data::Text(all) => all.iter().map(|v| texts.get(v).copied()).collect(),
            _ => value.integers()?.iter().map(|v| ints.get(v).copied()).collect(),
        };
        let shape = value.shape.clone();
        Ok(vec![if !to_int.is_empty() {
            Value::ints(shape, at.iter().map(|at| at.map_or(default.1, |at| to_int[at])).collect())
        } else if to_text.is_empty() {
            Value::like(Type::Float, shape, at.iter().map(|at| at.map_or(default.2, |at| to_float[at])).collect())
        } else {
            Value::new(shape, Data::Text(at.iter().map(|at| at.map_or_else(|| default.0.clone(), |at| to_text[at].clone())).collect()))
        }])
    })
}

/// Columns by their number; of a vector its elements, as one row.
fn extract(value: &Value, which: &Value) -> Made {
    let (rows, width) = value.rows();
    let which = which.integers()?.into_iter().map(|i| place(i, width)).collect::<Result<Vec<_>, _>>()?;
    let at: Vec<usize> = (0..rows).flat_map(|row| which.iter().map(move |i| row * width + i)).collect();
    Ok(vec![value.picked(vec![rows, which.len()], &at)])
}
