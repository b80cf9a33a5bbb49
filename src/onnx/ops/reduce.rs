//! Over an axis: sums, products of matrices, the largest.

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Type, Value};
use super::shape::place;
use super::{Given, Made, Prepared, function, input};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    let fold: fn(&[f64]) -> f64 = match kind {
        "ReduceSum" => |v| v.iter().sum(),
        "ReduceMean" => |v| v.iter().sum::<f64>() / crate::stats::float(v.len() as u64),
        "ReduceProd" => |v| v.iter().product(),
        "ReduceMax" => |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "ReduceMin" => |v| v.iter().copied().fold(f64::INFINITY, f64::min),
        "ReduceSumSquare" => |v| v.iter().map(|x| x * x).sum(),
        "ReduceL2" => |v| v.iter().map(|x| x * x).sum::<f64>().sqrt(),
        "ReduceLogSumExp" => |v| {
            let most = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            most + v.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
        },
        "MatMul" => return function(|given: &Given| product(input(given, 0)?, input(given, 1)?)),
        "Gemm" => return gemm(attributes),
        "ArgMax" => return arg_best(attributes, 1.0),
        "ArgMin" => return arg_best(attributes, -1.0),
        "Softmax" => return softmax(attributes),
        _ => return Ok(None),
    };
    let (axes, keep) = (attributes.ints("axes"), attributes.flag("keepdims", true));
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let axes = given.get(1).copied().flatten().map_or_else(|| Ok(axes.clone()), Value::integers)?;
        let rank = value.shape.len();
        let axes = axes.iter().map(|a| place(*a, rank)).collect::<Result<Vec<_>, _>>()?;
        let axes: Vec<usize> = if axes.is_empty() { (0..rank).collect() } else { axes };
        let mut shape: Vec<usize> = value.shape.iter().enumerate().map(|(i, n)| if axes.contains(&i) { 1 } else { *n }).collect();
        let groups = grouped(value, &axes)?;
        if !keep {
            shape = shape.into_iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, n)| n).collect();
        }
        Ok(vec![Value::like(value.kind(), shape, groups.iter().map(|g| fold(g)).collect())])
    })
}

/// The values that come together, in the order of what is left.
fn grouped(value: &Value, axes: &[usize]) -> Result<Vec<Vec<f64>>, OnnxError> {
    let numbers = value.doubles()?;
    let kept: Vec<usize> = (0..value.shape.len()).filter(|i| !axes.contains(i)).collect();
    let mut groups = vec![Vec::new(); kept.iter().map(|i| value.shape[*i]).product()];
    for (at, number) in numbers.into_iter().enumerate() {
        let place = |axis: usize| at / value.shape[axis + 1..].iter().product::<usize>() % value.shape[axis];
        let group = kept.iter().fold(0, |group, axis| group * value.shape[*axis] + place(*axis));
        groups[group].push(number);
    }
    Ok(groups)
}

fn product(left: &Value, right: &Value) -> Made {
    if let [height] = right.shape.as_slice() {
        // A vector is one column, which goes again.
        let column = Value::new(vec![*height, 1], right.data.clone());
        let mut out = product(left, &column)?.remove(0);
        out.shape.pop();
        return Ok(vec![out]);
    }
    let (&[.., inner], [height, width]) = (left.shape.as_slice(), right.shape.as_slice()) else {
        return Err(OnnxError::Model("only products with a matrix are known here".into()));
    };
    if inner != *height {
        return Err(OnnxError::Model(format!("{inner} columns do not fit {height} rows")));
    }
    let (a, b) = (left.doubles()?, right.doubles()?);
    let of = |row: &[f64]| (0..*width).map(|j| row.iter().enumerate().map(|(i, x)| x * b[i * width + j]).sum()).collect::<Vec<f64>>();
    let out = a.chunks(inner.max(1)).flat_map(of).collect();
    let mut shape = left.shape.clone();
    shape.pop();
    shape.push(*width);
    Ok(vec![Value::like(left.kind(), shape, out)])
}

fn turned(value: &Value) -> Result<Value, OnnxError> {
    let [n, m] = value.shape.as_slice() else { return Err(OnnxError::Model("it is no matrix".into())) };
    let at: Vec<usize> = (0..*m).flat_map(|j| (0..*n).map(move |i| i * m + j)).collect();
    Ok(value.picked(vec![*m, *n], &at))
}

fn gemm(attributes: &Attributes) -> Prepared {
    let (alpha, beta) = (f64::from(attributes.float("alpha", 1.0)), f64::from(attributes.float("beta", 1.0)));
    let turn = [attributes.flag("transA", false), attributes.flag("transB", false)];
    function(move |given: &Given| {
        let of = |at: usize| if turn[at] { turned(input(given, at)?) } else { Ok(input(given, at)?.clone()) };
        let (a, b) = (of(0)?, of(1)?);
        let mut out = product(&a, &b)?.remove(0);
        let bias = given.get(2).copied().flatten().map(Value::doubles).transpose()?.unwrap_or_default();
        let numbers = out.doubles()?.into_iter().enumerate();
        let numbers = numbers.map(|(i, v)| alpha * v + if bias.is_empty() { 0.0 } else { beta * bias[i % bias.len()] }).collect();
        out = Value::like(a.kind(), out.shape, numbers);
        Ok(vec![out])
    })
}

/// The place of the largest, or with -1 of the smallest.
fn arg_best(attributes: &Attributes, sign: f64) -> Prepared {
    let (axis, keep, last) = (attributes.int("axis", 0), attributes.flag("keepdims", true), attributes.flag("select_last_index", false));
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let axis = place(axis, value.shape.len())?;
        let best = |v: &Vec<f64>| {
            let better = |x: f64, y: f64| x > y || (last && x == y);
            let found = v.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (i, x)| if better(sign * x, best.1) { (i, sign * x) } else { best });
            i64::try_from(found.0).unwrap_or(0)
        };
        let mut shape = value.shape.clone();
        if keep {
            shape[axis] = 1;
        } else {
            shape.remove(axis);
        }
        Ok(vec![Value::ints(shape, grouped(value, &[axis])?.iter().map(best).collect())])
    })
}

/// Of the last axis; older ones flatten what follows.
fn softmax(attributes: &Attributes) -> Prepared {
    let newer = attributes.opset >= 13;
    let axis = attributes.int("axis", if newer { -1 } else { 1 });
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let axis = place(axis, value.shape.len())?;
        if newer && axis + 1 != value.shape.len() {
            return Err(OnnxError::Model("only the last axis is known here".into()));
        }
        let size: usize = value.shape[axis..].iter().product();
        let numbers = value.doubles()?.chunks(size.max(1)).flat_map(softened).collect();
        Ok(vec![Value::like(if value.kind() == Type::Double { Type::Double } else { Type::Float }, value.shape.clone(), numbers)])
    })
}

pub fn softened(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
    let sum: f64 = all.iter().sum();
    all.into_iter().map(|e| e / sum).collect()
}
