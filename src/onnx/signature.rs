//! What a model takes and gives, whatever it does in between.

use prost::Message as _;

use super::{OnnxError, proto};

/// A tensor by its name; -1 in a shape is any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    /// numpy's name, as `float32`.
    pub kind: &'static str,
    pub shape: Vec<i64>,
}

/// Inputs and outputs. A sequence or a map among them is left out.
pub fn signature(bytes: &[u8]) -> Result<(Vec<Tensor>, Vec<Tensor>), OnnxError> {
    let model = proto::Model::decode(bytes).map_err(|e| OnnxError::Corrupt(e.to_string()))?;
    let graph = model.graph.filter(|graph| !graph.node.is_empty()).ok_or_else(|| OnnxError::Corrupt("there is no graph in it".into()))?;
    let constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().filter(|input| !constant(&input.name)).filter_map(tensor).collect();
    Ok((inputs, graph.output.iter().filter_map(tensor).collect()))
}

fn tensor(info: &proto::ValueInfo) -> Option<Tensor> {
    let tensor = info.kind.as_ref()?.tensor.as_ref()?;
    let dims = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(|dim| dim.value.filter(|n| *n > 0).unwrap_or(-1)).collect());
    Some(Tensor { name: info.name.clone(), kind: numpy(tensor.elem_type)?, shape: dims.unwrap_or_else(|| vec![-1]) })
}

/// By ONNX's number.
fn numpy(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "float32",
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        8 => "object",
        9 => "bool",
        10 => "float16",
        11 => "float64",
        12 => "uint32",
        13 => "uint64",
        _ => return None,
    })
}
