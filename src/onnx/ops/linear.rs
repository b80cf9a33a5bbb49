//! Linear models.

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::Value;
use super::labels::{Classes, PostTransform, largest};
use super::{Given, Made, Op, Prepared, input, ready};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    match kind {
        "LinearClassifier" => {
            let classes = Classes::of(attributes, ["classlabels_ints", "classlabels_strings"])?;
            ready(Linear { classes: Some(classes), ..Linear::of(attributes)? })
        }
        "LinearRegressor" => ready(Linear::of(attributes)?),
        _ => Ok(None),
    }
}

struct Linear {
    coefficients: Vec<f64>,
    intercepts: Vec<f64>,
    targets: usize,
    after: PostTransform,
    classes: Option<Classes>,
}

impl Linear {
    fn of(attributes: &Attributes) -> Result<Self, OnnxError> {
        let (coefficients, intercepts) = (attributes.floats("coefficients")?, attributes.floats("intercepts")?);
        let targets = usize::try_from(attributes.int("targets", 1)).map_err(|_| attributes.wrong("its number of targets is out of range"))?;
        let targets = targets.max(intercepts.len()).max(1);
        if coefficients.is_empty() || !coefficients.len().is_multiple_of(targets) {
            return Err(attributes.wrong("its coefficients do not fit its targets"));
        }
        Ok(Self { coefficients, intercepts, targets, after: PostTransform::of(attributes)?, classes: None })
    }

    fn scores(&self, row: &[f32]) -> Vec<f64> {
        let score = |(target, weights): (usize, &[f64])| {
            self.intercepts.get(target).copied().unwrap_or(0.0) + row.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>()
        };
        self.coefficients.chunks(self.coefficients.len() / self.targets).enumerate().map(score).collect()
    }
}

impl Op for Linear {
    fn run(&self, given: &Given) -> Made {
        let value = input(given, 0)?;
        let (rows, width) = value.rows();
        if width * self.targets != self.coefficients.len() {
            return Err(OnnxError::Model(format!("{width} columns do not fit {} coefficients", self.coefficients.len() / self.targets)));
        }
        let numbers = value.singles()?;
        let (mut out, mut decided) = (Vec::new(), Vec::with_capacity(rows));
        for row in numbers.chunks(width.max(1)) {
            let mut scores = self.scores(row);
            if let Some(classes) = &self.classes {
                // One score of two classes is the second's.
                if scores.len() == 1 && classes.len() == 2 {
                    scores = match self.after {
                        PostTransform::None => vec![1.0 - scores[0], scores[0]],
                        _ => vec![-scores[0], scores[0]],
                    };
                }
                decided.push(largest(&scores));
            }
            self.after.apply(&mut scores);
            out.extend(scores);
        }
        let width = out.len() / rows.max(1);
        let scores = Value::like(super::super::value::Type::Float, vec![rows, width], out);
        Ok(match &self.classes {
            Some(classes) => vec![classes.labels(&decided), scores],
            None => vec![scores],
        })
    }

    fn classes(&self) -> Option<Vec<String>> {
        self.classes.as_ref().map(Classes::names)
    }
}
