//! Support vector machines, after libsvm.

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Type, Value};
use super::labels::{Classes, PostTransform, largest};
use super::{Given, Made, Op, Prepared, input, ready};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    match kind {
        "SVMClassifier" => ready(Svm::of(attributes)?),
        "SVMRegressor" => ready(Regressor::of(attributes)?),
        _ => Ok(None),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

impl Kernel {
    fn named(attributes: &Attributes) -> Result<(Self, [f64; 3]), OnnxError> {
        let kernel = match attributes.text("kernel_type", "LINEAR").as_str() {
            "LINEAR" => Self::Linear,
            "POLY" => Self::Poly,
            "RBF" => Self::Rbf,
            "SIGMOID" => Self::Sigmoid,
            other => return Err(attributes.wrong(&format!("the kernel_type {other} is not known here"))),
        };
        let parameters = attributes.floats("kernel_params")?;
        let at = |i: usize| parameters.get(i).copied().unwrap_or(0.0);
        Ok((kernel, [at(0), at(1), at(2)]))
    }

    fn of(self, parameters: [f64; 3], x: &[f32], v: &[f64]) -> f64 {
        let dot = || x.iter().zip(v).map(|(x, v)| f64::from(*x) * v).sum::<f64>();
        let [gamma, coef0, degree] = parameters;
        match self {
            Kernel::Linear => dot(),
            Kernel::Poly => (gamma * dot() + coef0).powf(degree),
            Kernel::Rbf => (-gamma * x.iter().zip(v).map(|(x, v)| (f64::from(*x) - v).powi(2)).sum::<f64>()).exp(),
            Kernel::Sigmoid => (gamma * dot() + coef0).tanh(),
        }
    }
}

/// One number: the weighted kernels of the support vectors.
struct Regressor {
    coefficients: Vec<f64>,
    vectors: Vec<f64>,
    kernel: Kernel,
    parameters: [f64; 3],
    rho: f64,
    /// Whether only the side is told on which a row lies.
    sides: bool,
}

impl Regressor {
    fn of(attributes: &Attributes) -> Result<Self, OnnxError> {
        let (coefficients, vectors) = (attributes.floats("coefficients")?, attributes.floats("support_vectors")?);
        let (kernel, parameters) = Kernel::named(attributes)?;
        if coefficients.is_empty() || !vectors.len().is_multiple_of(coefficients.len()) || vectors.is_empty() {
            return Err(attributes.wrong("its support vectors do not fit together"));
        }
        if PostTransform::of(attributes)? != PostTransform::None {
            return Err(attributes.wrong("a post_transform is not known here"));
        }
        let rho = attributes.floats("rho")?.first().copied().unwrap_or(0.0);
        Ok(Self { coefficients, vectors, kernel, parameters, rho, sides: attributes.flag("one_class", false) })
    }
}

impl Op for Regressor {
    fn run(&self, given: &Given) -> Made {
        let value = input(given, 0)?;
        let (rows, width) = value.rows();
        let size = self.vectors.len() / self.coefficients.len();
        if width != size {
            return Err(OnnxError::Model(format!("{width} columns do not fit the support vectors")));
        }
        let numbers = value.singles()?;
        let of = |row: &[f32]| {
            let vectors = self.vectors.chunks(size).zip(&self.coefficients);
            let sum = self.rho + vectors.map(|(v, c)| c * self.kernel.of(self.parameters, row, v)).sum::<f64>();
            if self.sides { if sum > 0.0 { 1.0 } else { -1.0 } } else { sum }
        };
        Ok(vec![Value::like(Type::Float, vec![rows, 1], numbers.chunks(width.max(1)).map(of).collect())])
    }
}

struct Svm {
    classes: Classes,
    /// (classes - 1) rows of one coefficient a support vector.
    coefficients: Vec<f64>,
    vectors: Vec<f64>,
    per_class: Vec<usize>,
    kernel: Kernel,
    /// gamma, coef0, degree
    parameters: [f64; 3],
    rho: Vec<f64>,
    prob: [Vec<f64>; 2],
}

impl Svm {
    fn of(attributes: &Attributes) -> Result<Self, OnnxError> {
        let classes = Classes::of(attributes, ["classlabels_ints", "classlabels_strings"])?;
        let (kernel, parameters) = Kernel::named(attributes)?;
        let per_class = attributes.places("vectors_per_class")?;
        let (coefficients, vectors) = (attributes.floats("coefficients")?, attributes.floats("support_vectors")?);
        let (n, k) = (per_class.iter().sum::<usize>(), classes.len());
        let rho = attributes.floats("rho")?;
        if n == 0 || per_class.len() != k || coefficients.len() != n * (k - 1) || !vectors.len().is_multiple_of(n) || rho.len() != k * (k - 1) / 2 {
            return Err(attributes.wrong("its support vectors do not fit together"));
        }
        if PostTransform::of(attributes)? != PostTransform::None {
            return Err(attributes.wrong("a post_transform is not known here"));
        }
        let prob = [attributes.floats("prob_a")?, attributes.floats("prob_b")?];
        if prob[0].len() != rho.len() || prob[1].len() != rho.len() {
            return Err(attributes.wrong("it gives no probabilities: train it with `probability=True`"));
        }
        Ok(Self { classes, coefficients, vectors, per_class, kernel, parameters, rho, prob })
    }

    fn kernel(&self, x: &[f32], v: &[f64]) -> f64 {
        self.kernel.of(self.parameters, x, v)
    }

    /// The class by votes of pairs, and the probabilities.
    fn row(&self, row: &[f32]) -> (usize, Vec<f64>) {
        let all: usize = self.per_class.iter().sum();
        let k = self.classes.len();
        let kernels: Vec<f64> = self.vectors.chunks(self.vectors.len() / all).map(|vector| self.kernel(row, vector)).collect();
        let starts: Vec<usize> = self.per_class.iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n))).collect();
        let part = |class: usize, of: usize| {
            (starts[class]..starts[class] + self.per_class[class]).map(|s| kernels[s] * self.coefficients[of * all + s]).sum::<f64>()
        };
        let (mut votes, mut pairs, mut at) = (vec![0.0; k], vec![vec![0.0; k]; k], 0);
        for i in 0..k {
            for j in i + 1..k {
                let side = part(i, j - 1) + part(j, i) + self.rho[at];
                votes[if side > 0.0 { i } else { j }] += 1.0;
                let first = (1.0 / (1.0 + (self.prob[0][at] * side + self.prob[1][at]).exp())).clamp(1e-7, 1.0 - 1e-7);
                (pairs[i][j], pairs[j][i]) = (first, 1.0 - first);
                at += 1;
            }
        }
        (largest(&votes), coupled(&pairs))
    }
}

/// One probability a class from those of the pairs, as libsvm finds them (Wu, Lin and Weng, 2004, second method).
fn coupled(r: &[Vec<f64>]) -> Vec<f64> {
    let k = r.len();
    let size = crate::stats::float(k as u64);
    let q = |t: usize, j: usize| if t == j { (0..k).filter(|i| *i != t).map(|i| r[i][t] * r[i][t]).sum() } else { -r[j][t] * r[t][j] };
    let q: Vec<Vec<f64>> = (0..k).map(|t| (0..k).map(|j| q(t, j)).collect()).collect();
    let mut p = vec![1.0 / size; k];
    for _ in 0..100.max(k) {
        let mut qp: Vec<f64> = (0..k).map(|t| (0..k).map(|j| q[t][j] * p[j]).sum()).collect();
        let mut pqp: f64 = p.iter().zip(&qp).map(|(p, q)| p * q).sum();
        if qp.iter().map(|q| (q - pqp).abs()).fold(0.0, f64::max) < 0.005 / size {
            break;
        }
        for t in 0..k {
            let step = (pqp - qp[t]) / q[t][t];
            p[t] += step;
            pqp = (pqp + step * (step * q[t][t] + 2.0 * qp[t])) / (1.0 + step) / (1.0 + step);
            for j in 0..k {
                qp[j] = (qp[j] + step * q[t][j]) / (1.0 + step);
                p[j] /= 1.0 + step;
            }
        }
    }
    p
}

impl Op for Svm {
    fn run(&self, given: &Given) -> Made {
        let value = input(given, 0)?;
        let (rows, width) = value.rows();
        let n: usize = self.per_class.iter().sum();
        if width * n != self.vectors.len() {
            return Err(OnnxError::Model(format!("{width} columns do not fit the support vectors")));
        }
        let numbers = value.singles()?;
        let all: Vec<(usize, Vec<f64>)> = numbers.chunks(width.max(1)).map(|row| self.row(row)).collect();
        let decided: Vec<usize> = all.iter().map(|(class, _)| *class).collect();
        let scores = Value::like(Type::Float, vec![rows, self.classes.len()], all.into_iter().flat_map(|(_, p)| p).collect());
        Ok(vec![self.classes.labels(&decided), scores])
    }

    fn classes(&self) -> Option<Vec<String>> {
        Some(self.classes.names())
    }
}
