//! The same elements in another shape.

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Data, Value, size};
use super::{Given, Made, Prepared, function, input};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    match kind {
        "Identity" | "Dropout" => function(|given: &Given| Ok(vec![input(given, 0)?.clone()])),
        "Constant" => {
            let value = match (attributes.tensor("value"), attributes.has("value_float"), attributes.has("value_int")) {
                (Some(value), ..) => value?,
                (_, true, _) => Value::floats(vec![], vec![attributes.float("value_float", 0.0)]),
                (_, _, true) => Value::ints(vec![], vec![attributes.int("value_int", 0)]),
                _ => return Err(attributes.wrong("it has no value that is known here")),
            };
            function(move |_: &Given| Ok(vec![value.clone()]))
        }
        "Shape" => function(|given: &Given| {
            let shape: Vec<i64> = input(given, 0)?.shape.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MAX)).collect();
            Ok(vec![Value::ints(vec![shape.len()], shape)])
        }),
        "ConstantOfShape" => {
            let value = attributes.tensor("value").transpose()?.unwrap_or_else(|| Value::floats(vec![1], vec![0.0]));
            function(move |given: &Given| {
                let shape = sizes(&input(given, 0)?.integers()?)?;
                let n = size(&shape)?;
                Ok(vec![value.picked(shape, &vec![0; n])])
            })
        }
        "Reshape" => {
            let all_zero = attributes.flag("allowzero", false);
            function(move |given: &Given| reshape(input(given, 0)?, &input(given, 1)?.integers()?, all_zero))
        }
        "Flatten" => {
            let axis = attributes.int("axis", 1);
            function(move |given: &Given| {
                let value = input(given, 0)?;
                let at = place(axis, value.shape.len() + 1)?;
                let (before, after) = value.shape.split_at(at.min(value.shape.len()));
                Ok(vec![Value::new(vec![before.iter().product(), after.iter().product()], value.data.clone())])
            })
        }
        "Squeeze" | "Unsqueeze" => {
            let (axes, squeeze) = (attributes.ints("axes"), kind == "Squeeze");
            function(move |given: &Given| {
                let value = input(given, 0)?;
                let axes = given.get(1).copied().flatten().map_or_else(|| Ok(axes.clone()), Value::integers)?;
                let shape = if squeeze { squeezed(&value.shape, &axes)? } else { unsqueezed(&value.shape, &axes)? };
                Ok(vec![Value::new(shape, value.data.clone())])
            })
        }
        "Transpose" => {
            let order = attributes.places("perm")?;
            function(move |given: &Given| transpose(input(given, 0)?, &order))
        }
        "Concat" => {
            let axis = attributes.int("axis", 1);
            function(move |given: &Given| concat(&given.iter().copied().flatten().collect::<Vec<_>>(), axis))
        }
        "Slice" => {
            let fixed = [attributes.ints("starts"), attributes.ints("ends"), attributes.ints("axes")];
            function(move |given: &Given| {
                // Older ones have them as attributes.
                let part =
                    |at: usize| given.get(at).copied().flatten().map_or_else(|| Ok(fixed.get(at - 1).cloned().unwrap_or_default()), Value::integers);
                slice(input(given, 0)?, [&part(1)?, &part(2)?, &part(3)?, &part(4)?])
            })
        }
        "Gather" => {
            let axis = attributes.int("axis", 0);
            function(move |given: &Given| gather(input(given, 0)?, input(given, 1)?, axis))
        }
        _ => Ok(None),
    }
}

fn sizes(shape: &[i64]) -> Result<Vec<usize>, OnnxError> {
    shape.iter().map(|n| usize::try_from(*n).map_err(|_| OnnxError::Model(format!("{n} is no size")))).collect()
}

/// An axis may count from the end.
pub fn place(axis: i64, rank: usize) -> Result<usize, OnnxError> {
    let rank_of = i64::try_from(rank).unwrap_or(i64::MAX);
    let at = if axis < 0 { axis + rank_of } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank.max(1)).ok_or_else(|| OnnxError::Model(format!("there is no axis {axis}")))
}

fn reshape(value: &Value, wanted: &[i64], all_zero: bool) -> Made {
    let mut shape = Vec::with_capacity(wanted.len());
    for (at, n) in wanted.iter().enumerate() {
        shape.push(match n {
            -1 => 1,
            0 if !all_zero => *value.shape.get(at).unwrap_or(&0),
            n => usize::try_from(*n).map_err(|_| OnnxError::Model(format!("{n} is no size")))?,
        });
    }
    let known = size(&shape)?;
    if let Some(at) = wanted.iter().position(|n| *n == -1) {
        shape[at] = value.len().checked_div(known).unwrap_or(0);
    }
    if size(&shape)? != value.len() {
        return Err(OnnxError::Model(format!("{} values do not fill the shape {wanted:?}", value.len())));
    }
    Ok(vec![Value::new(shape, value.data.clone())])
}

fn squeezed(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, OnnxError> {
    let axes = axes.iter().map(|a| place(*a, shape.len())).collect::<Result<Vec<_>, _>>()?;
    Ok(shape.iter().enumerate().filter(|(i, n)| if axes.is_empty() { **n != 1 } else { !axes.contains(i) }).map(|(_, n)| *n).collect())
}

fn unsqueezed(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, OnnxError> {
    let rank = shape.len() + axes.len();
    let axes = axes.iter().map(|a| place(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut rest = shape.iter();
    Ok((0..rank).map(|i| if axes.contains(&i) { 1 } else { rest.next().copied().unwrap_or(1) }).collect())
}

fn transpose(value: &Value, order: &[usize]) -> Made {
    let rank = value.shape.len();
    let order: Vec<usize> = if order.is_empty() { (0..rank).rev().collect() } else { order.to_vec() };
    if order.len() != rank || order.iter().any(|axis| *axis >= rank) {
        return Err(OnnxError::Model("its order of axes does not fit".into()));
    }
    let shape: Vec<usize> = order.iter().map(|axis| value.shape[*axis]).collect();
    let step = |axis: usize| value.shape[axis + 1..].iter().product::<usize>();
    let mut at = vec![0];
    for axis in &order {
        at = at.into_iter().flat_map(|base: usize| (0..value.shape[*axis]).map(move |i| base + i * step(*axis))).collect();
    }
    Ok(vec![value.picked(shape, &at)])
}

fn concat(values: &[&Value], axis: i64) -> Made {
    let Some(first) = values.first() else { return Err(OnnxError::Model("nothing to join".into())) };
    let axis = place(axis, first.shape.len())?;
    let outer: usize = first.shape[..axis].iter().product();
    if values
        .iter()
        .any(|v| v.shape.len() != first.shape.len() || v.shape[..axis] != first.shape[..axis] || v.shape[axis + 1..] != first.shape[axis + 1..])
    {
        return Err(OnnxError::Model("its inputs differ in more than one axis".into()));
    }
    let mut shape = first.shape.clone();
    shape[axis] = values.iter().map(|v| v.shape[axis]).sum();
    size(&shape)?;
    if values.iter().all(|v| matches!(v.data, Data::Text(_))) {
        let of = |v: &&Value| match &v.data {
            Data::Text(t) => t.clone(),
            _ => vec![],
        };
        let all: Vec<Vec<String>> = values.iter().map(of).collect();
        return Ok(vec![Value::new(shape, Data::Text(woven(&all, outer)))]);
    }
    if values.iter().all(|v| matches!(v.data, Data::Float(_))) {
        let all: Vec<Vec<f32>> = values.iter().map(|v| Ok(v.singles()?.into_owned())).collect::<Result<_, OnnxError>>()?;
        return Ok(vec![Value::floats(shape, woven(&all, outer))]);
    }
    let all: Vec<Vec<f64>> = values.iter().map(|v| v.doubles()).collect::<Result<_, _>>()?;
    Ok(vec![Value::like(first.kind(), shape, woven(&all, outer))])
}

/// A piece of each in turn.
fn woven<T: Clone>(parts: &[Vec<T>], outer: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for i in 0..outer {
        for part in parts {
            let size = part.len() / outer.max(1);
            all.extend_from_slice(&part[i * size..(i + 1) * size]);
        }
    }
    all
}

/// From `starts` to before `ends`, along some axes, every so many.
fn slice(value: &Value, [starts, ends, axes, steps]: [&[i64]; 4]) -> Made {
    let mut taken: Vec<Vec<usize>> = value.shape.iter().map(|n| (0..*n).collect()).collect();
    for (at, (start, end)) in starts.iter().zip(ends).enumerate() {
        let axis = place(axes.get(at).copied().unwrap_or_else(|| i64::try_from(at).unwrap_or(i64::MAX)), value.shape.len())?;
        if steps.get(at).is_some_and(|step| *step != 1) {
            return Err(OnnxError::Model("only steps of 1 are known here".into()));
        }
        let size = i64::try_from(value.shape[axis]).unwrap_or(i64::MAX);
        let bound = |at: i64| usize::try_from((if at < 0 { at.saturating_add(size) } else { at }).clamp(0, size)).unwrap_or(0);
        taken[axis] = (bound(*start)..bound(*end).max(bound(*start))).collect();
    }
    let mut at = vec![0];
    for (axis, places) in taken.iter().enumerate() {
        at = at.into_iter().flat_map(|base: usize| places.iter().map(move |i| base * value.shape[axis] + i)).collect();
    }
    Ok(vec![value.picked(taken.iter().map(Vec::len).collect(), &at)])
}

fn gather(value: &Value, which: &Value, axis: i64) -> Made {
    let axis = place(axis, value.shape.len())?;
    let n = value.shape[axis];
    let which_at = which.integers()?.into_iter().map(|i| place(i, n)).collect::<Result<Vec<_>, _>>()?;
    let inner: usize = value.shape[axis + 1..].iter().product();
    let outer: usize = value.shape[..axis].iter().product();
    let mut at = Vec::with_capacity(outer * which_at.len() * inner);
    for o in 0..outer {
        for i in &which_at {
            at.extend((0..inner).map(|k| (o * n + i) * inner + k));
        }
    }
    let shape = [&value.shape[..axis], &which.shape, &value.shape[axis + 1..]].concat();
    Ok(vec![value.picked(shape, &at)])
}
