//! Pictures as their numbers: whoever shows them draws them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A picture, and in words what it shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    pub title: String,
    /// For those who do not see it.
    pub about: String,
    #[serde(flatten)]
    pub shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// Lines over two axes.
    Curves { x: String, y: String, curves: Vec<Curve> },
    /// Values in their order, such as those of one version after the other; where there is none, the line is broken.
    Series { x: String, y: String, names: Vec<String>, lines: Vec<Line> },
    /// Counts by row and column.
    Matrix { rows: String, columns: String, labels: Vec<String>, cells: Vec<Vec<f64>> },
    /// A value for each name, and one of all.
    Bars { value: String, bars: Vec<Bar>, reference: Option<f64> },
    /// Values with their intervals, beside where no difference lies.
    Intervals { value: String, intervals: Vec<Interval> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    pub name: String,
    pub points: Vec<[f64; 2]>,
    /// A reference, not a measure.
    #[serde(default)]
    pub dashed: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    pub name: String,
    pub values: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bar {
    pub name: String,
    pub value: f64,
    /// Whether its bound is missed.
    pub out: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub name: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}
