//! Tensors.

use super::OnnxError;
use super::proto::Tensor;

#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub shape: Vec<usize>,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Float(Vec<f32>),
    Double(Vec<f64>),
    Int(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<String>),
}

/// The types that are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Float,
    Double,
    Int,
    Bool,
    Text,
}

impl Type {
    /// By ONNX's number.
    pub fn of(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Float,
            11 => Self::Double,
            2..=7 | 12 | 13 => Self::Int,
            9 => Self::Bool,
            8 => Self::Text,
            _ => return None,
        })
    }
}

/// More elements than any table of a batch has: a file that asks for them is broken.
const LARGEST: usize = 1 << 27;

/// How many elements a shape has.
pub fn size(shape: &[usize]) -> Result<usize, OnnxError> {
    let size = shape.iter().try_fold(1_usize, |size, n| size.checked_mul(*n));
    size.filter(|size| *size <= LARGEST).ok_or_else(|| OnnxError::Model(format!("a tensor of the shape {shape:?} is too large")))
}

impl Value {
    pub fn new(shape: Vec<usize>, data: Data) -> Self {
        Self { shape, data }
    }

    pub fn floats(shape: Vec<usize>, floats: Vec<f32>) -> Self {
        Self::new(shape, Data::Float(floats))
    }

    pub fn ints(shape: Vec<usize>, ints: Vec<i64>) -> Self {
        Self::new(shape, Data::Int(ints))
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(v) => v.len(),
            Data::Double(v) => v.len(),
            Data::Int(v) => v.len(),
            Data::Bool(v) => v.len(),
            Data::Text(v) => v.len(),
        }
    }

    pub fn kind(&self) -> Type {
        match &self.data {
            Data::Float(_) => Type::Float,
            Data::Double(_) => Type::Double,
            Data::Int(_) => Type::Int,
            Data::Bool(_) => Type::Bool,
            Data::Text(_) => Type::Text,
        }
    }

    /// Rows and columns; a vector is one row.
    pub fn rows(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [] => (1, 1),
            [n] => (1, *n),
            [n, rest @ ..] => (*n, rest.iter().product()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the precision of a model's own numbers")]
    pub fn doubles(&self) -> Result<Vec<f64>, OnnxError> {
        Ok(match &self.data {
            Data::Float(v) => v.iter().map(|v| f64::from(*v)).collect(),
            Data::Double(v) => v.clone(),
            Data::Int(v) => v.iter().map(|v| *v as f64).collect(),
            Data::Bool(v) => v.iter().map(|v| f64::from(u8::from(*v))).collect(),
            Data::Text(_) => return Err(OnnxError::Model("text stands where numbers are needed".into())),
        })
    }

    /// As a model computes with them.
    #[expect(clippy::cast_possible_truncation, reason = "ONNX's own type")]
    pub fn singles(&self) -> Result<std::borrow::Cow<'_, [f32]>, OnnxError> {
        Ok(match &self.data {
            Data::Float(v) => v.into(),
            _ => self.doubles()?.into_iter().map(|v| v as f32).collect::<Vec<_>>().into(),
        })
    }

    /// With other numbers of the same type.
    #[expect(clippy::cast_possible_truncation, reason = "ONNX's own types")]
    pub fn like(kind: Type, shape: Vec<usize>, numbers: Vec<f64>) -> Self {
        let data = match kind {
            Type::Double => Data::Double(numbers),
            Type::Int => Data::Int(numbers.into_iter().map(|v| v as i64).collect()),
            Type::Bool => Data::Bool(numbers.into_iter().map(|v| v != 0.0).collect()),
            Type::Float | Type::Text => Data::Float(numbers.into_iter().map(|v| v as f32).collect()),
        };
        Self { shape, data }
    }

    #[expect(clippy::cast_possible_truncation, reason = "ONNX's own types")]
    pub fn integers(&self) -> Result<Vec<i64>, OnnxError> {
        match &self.data {
            Data::Int(v) => Ok(v.clone()),
            _ => Ok(self.doubles()?.into_iter().map(|v| v as i64).collect()),
        }
    }

    /// Those elements, in that order.
    pub fn picked(&self, shape: Vec<usize>, at: &[usize]) -> Self {
        fn of<T: Clone>(v: &[T], at: &[usize]) -> Vec<T> {
            at.iter().map(|i| v[*i].clone()).collect()
        }
        let data = match &self.data {
            Data::Float(v) => Data::Float(of(v, at)),
            Data::Double(v) => Data::Double(of(v, at)),
            Data::Int(v) => Data::Int(of(v, at)),
            Data::Bool(v) => Data::Bool(of(v, at)),
            Data::Text(v) => Data::Text(of(v, at)),
        };
        Self { shape, data }
    }

    /// From a file.
    pub fn read(tensor: &Tensor) -> Result<Self, OnnxError> {
        let wrong = || OnnxError::Model(format!("the constant `{}` cannot be read", tensor.name));
        let shape = tensor.dims.iter().map(|d| usize::try_from(*d).map_err(|_| wrong())).collect::<Result<Vec<_>, _>>()?;
        let raw = &tensor.raw_data;
        let data = match Type::of(tensor.data_type).ok_or_else(wrong)? {
            Type::Float if raw.is_empty() => Data::Float(tensor.float_data.clone()),
            Type::Float => Data::Float(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Type::Double if raw.is_empty() => Data::Double(tensor.double_data.clone()),
            Type::Double => Data::Double(raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            Type::Text => Data::Text(tensor.string_data.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()),
            Type::Int | Type::Bool => {
                let ints = ints(tensor).ok_or_else(wrong)?;
                if tensor.data_type == 9 { Data::Bool(ints.iter().map(|i| *i != 0).collect()) } else { Data::Int(ints) }
            }
        };
        let value = Self { shape, data };
        if value.len() == value.shape.iter().product::<usize>() { Ok(value) } else { Err(wrong()) }
    }
}

/// Small types are kept as 32-bit numbers, or raw in their own width.
fn ints(tensor: &Tensor) -> Option<Vec<i64>> {
    let raw = &tensor.raw_data;
    Some(match (tensor.data_type, raw.is_empty()) {
        (7 | 13, true) => tensor.int64_data.clone(),
        (_, true) => tensor.int32_data.iter().map(|v| i64::from(*v)).collect(),
        (7 | 13, false) => raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        (6, false) => raw.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect(),
        (12, false) => raw.as_chunks().0.iter().map(|b| i64::from(u32::from_le_bytes(*b))).collect(),
        (2 | 9, false) => raw.iter().map(|b| i64::from(*b)).collect(),
        (3, false) => raw.iter().map(|b| i64::from(b.cast_signed())).collect(),
        (4, false) => raw.as_chunks().0.iter().map(|b| i64::from(u16::from_le_bytes(*b))).collect(),
        (5, false) => raw.as_chunks().0.iter().map(|b| i64::from(i16::from_le_bytes(*b))).collect(),
        _ => return None,
    })
}
