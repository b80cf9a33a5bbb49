//! Element by element.

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Data, Type, Value, size};
use super::{Given, Made, Prepared, function, input};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    let two: fn(f64, f64) -> f64 = match kind {
        "Add" | "Sum" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Pow" => f64::powf,
        "Min" => f64::min,
        "Max" => f64::max,
        _ => return prepare_other(kind, attributes),
    };
    function(move |given: &Given| {
        let first = input(given, 0)?.clone();
        let rest = given[1..].iter().flatten();
        Ok(vec![rest.into_iter().try_fold(first, |a, b| broadcast(&a, b, a.kind(), two))?])
    })
}

fn prepare_other(kind: &str, attributes: &Attributes) -> Prepared {
    let compare: fn(f64, f64) -> bool = match kind {
        "Equal" => return function(|given: &Given| Ok(vec![equal(input(given, 0)?, input(given, 1)?)?])),
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        "And" => |a, b| a != 0.0 && b != 0.0,
        "Or" => |a, b| a != 0.0 || b != 0.0,
        _ => return prepare_one(kind, attributes),
    };
    function(move |given: &Given| Ok(vec![broadcast(input(given, 0)?, input(given, 1)?, Type::Bool, |a, b| f64::from(u8::from(compare(a, b))))?]))
}

fn prepare_one(kind: &str, attributes: &Attributes) -> Prepared {
    let one: fn(f64) -> f64 = match kind {
        "Sqrt" => f64::sqrt,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Abs" => f64::abs,
        "Neg" => |v| -v,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Reciprocal" => |v| 1.0 / v,
        "Tanh" => f64::tanh,
        "Relu" => |v| v.max(0.0),
        "Sigmoid" => |v| 1.0 / (1.0 + (-v).exp()),
        "Not" => |v| f64::from(u8::from(v == 0.0)),
        "IsNaN" => {
            return function(|given: &Given| {
                let value = input(given, 0)?;
                let nan = value.doubles()?.iter().map(|v| v.is_nan()).collect();
                Ok(vec![Value::new(value.shape.clone(), Data::Bool(nan))])
            });
        }
        "Where" => return function(choose),
        "Clip" => return clip(attributes),
        "Cast" => return cast(attributes),
        _ => return Ok(None),
    };
    function(move |given: &Given| {
        let value = input(given, 0)?;
        Ok(vec![Value::like(value.kind(), value.shape.clone(), value.doubles()?.into_iter().map(one).collect())])
    })
}

type Joined = (Vec<usize>, Vec<usize>, Vec<usize>);

/// The shape of both together, as numpy has it, and which element of each stands at a place.
fn places(a: &[usize], b: &[usize]) -> Result<Joined, OnnxError> {
    let rank = a.len().max(b.len());
    let padded = |s: &[usize]| [vec![1; rank - s.len()], s.to_vec()].concat();
    let (a, b) = (padded(a), padded(b));
    let join = |(a, b): (&usize, &usize)| match (*a, *b) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        (a, b) => Err(OnnxError::Model(format!("{a} and {b} values cannot be joined"))),
    };
    let shape = a.iter().zip(&b).map(join).collect::<Result<Vec<_>, _>>()?;
    size(&shape)?;
    let at = |of: &[usize]| {
        let mut all = vec![0];
        for (axis, n) in shape.iter().enumerate() {
            let step = usize::from(of[axis] != 1);
            all = all.into_iter().flat_map(|base: usize| (0..*n).map(move |i| base * of[axis] + i * step)).collect();
        }
        all
    };
    Ok((shape.clone(), at(&a), at(&b)))
}

fn broadcast(a: &Value, b: &Value, kind: Type, of: impl Fn(f64, f64) -> f64) -> Result<Value, OnnxError> {
    let (x, y) = (a.doubles()?, b.doubles()?);
    if a.shape == b.shape {
        return Ok(Value::like(kind, a.shape.clone(), x.into_iter().zip(y).map(|(a, b)| of(a, b)).collect()));
    }
    let (shape, at, bt) = places(&a.shape, &b.shape)?;
    Ok(Value::like(kind, shape, at.into_iter().zip(bt).map(|(i, j)| of(x[i], y[j])).collect()))
}

fn equal(a: &Value, b: &Value) -> Result<Value, OnnxError> {
    if let (Data::Text(x), Data::Text(y)) = (&a.data, &b.data) {
        let (shape, at, bt) = places(&a.shape, &b.shape)?;
        return Ok(Value::new(shape, Data::Bool(at.into_iter().zip(bt).map(|(i, j)| x[i] == y[j]).collect())));
    }
    broadcast(a, b, Type::Bool, |a, b| f64::from(u8::from(a == b)))
}

fn choose(given: &Given) -> Made {
    let (which, yes, no) = (input(given, 0)?, input(given, 1)?, input(given, 2)?);
    let (shape, ..) = places(&yes.shape, &no.shape)?;
    let (shape, at, _) = places(&which.shape, &shape)?;
    let which = which.doubles()?;
    let chosen: Vec<bool> = at.iter().map(|i| which[*i] != 0.0).collect();
    let of = |value: &Value| -> Result<Vec<usize>, OnnxError> { Ok(places(&value.shape, &shape)?.1) };
    let (from_yes, from_no) = (yes.picked(shape.clone(), &of(yes)?), no.picked(shape.clone(), &of(no)?));
    if let (Data::Text(y), Data::Text(n)) = (&from_yes.data, &from_no.data) {
        let picked = chosen.iter().enumerate().map(|(i, yes)| if *yes { y[i].clone() } else { n[i].clone() }).collect();
        return Ok(vec![Value::new(shape, Data::Text(picked))]);
    }
    let (y, n) = (from_yes.doubles()?, from_no.doubles()?);
    let picked = chosen.iter().enumerate().map(|(i, yes)| if *yes { y[i] } else { n[i] }).collect();
    Ok(vec![Value::like(yes.kind(), shape, picked)])
}

fn clip(attributes: &Attributes) -> Prepared {
    let (low, high) = (attributes.float("min", f32::MIN), attributes.float("max", f32::MAX));
    function(move |given: &Given| {
        let value = input(given, 0)?;
        let bound = |at: usize, default: f32| -> Result<f64, OnnxError> {
            let given = given.get(at).copied().flatten().map(Value::doubles).transpose()?;
            Ok(given.and_then(|v| v.first().copied()).unwrap_or_else(|| f64::from(default)))
        };
        let (low, high) = (bound(1, low)?, bound(2, high)?);
        Ok(vec![Value::like(value.kind(), value.shape.clone(), value.doubles()?.into_iter().map(|v| v.max(low).min(high)).collect())])
    })
}

fn cast(attributes: &Attributes) -> Prepared {
    let to =
        i32::try_from(attributes.int("to", 0)).ok().and_then(Type::of).ok_or_else(|| attributes.wrong("casts to a type that is not known here"))?;
    function(move |given: &Given| {
        let value = input(given, 0)?;
        Ok(vec![match (&value.data, to) {
            _ if value.kind() == to => value.clone(),
            (Data::Text(texts), to) => {
                let numbers = texts.iter().map(|t| t.trim().parse::<f64>().map_err(|_| OnnxError::Model(format!("`{t}` is no number"))));
                Value::like(to, value.shape.clone(), numbers.collect::<Result<_, _>>()?)
            }
            (_, Type::Text) => Value::new(value.shape.clone(), Data::Text(value.doubles()?.iter().map(ToString::to_string).collect())),
            (_, to) => Value::like(to, value.shape.clone(), value.doubles()?),
        }])
    })
}
