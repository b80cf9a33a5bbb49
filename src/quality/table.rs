//! Truth and predictions as columns, in the order that makes every metric one pass.

use std::collections::BTreeMap;

use rayon::slice::ParallelSliceMut as _;

use super::QualityError;

/// Rows to judge: at least one, every number of them finite.
#[derive(Debug, Clone)]
pub struct Table {
    pub data: Data,
    /// The weight of each row, where rows have one.
    pub weights: Option<Vec<f64>>,
    /// Columns that cut the rows into slices.
    pub labels: Vec<Labels>,
    pub key: Option<Key>,
    /// Columns with numbers that a baseline learns from; not a number where one is missing.
    pub features: Vec<(String, Vec<f64>)>,
    /// How long each prediction took, in seconds.
    pub seconds: Vec<f64>,
    /// Rows whose prediction is missing or not finite, or was not decided: they are not among the others.
    pub unusable: usize,
}

#[derive(Debug, Clone)]
pub enum Data {
    Binary(Binary),
    Classes(Classes),
    Numbers(Numbers),
    Queries(Queries),
}

/// Two classes and the probability of the positive one; the highest first.
#[derive(Debug, Clone)]
pub struct Binary {
    pub y: Vec<bool>,
    pub p: Vec<f64>,
    /// A score from here on is a positive decision.
    pub threshold: f64,
}

/// Classes by their number.
#[derive(Debug, Clone)]
pub struct Classes {
    pub names: Vec<String>,
    pub positive: Option<usize>,
    pub y: Vec<u32>,
    pub decided: Vec<u32>,
    /// Row by row one probability a class; empty without.
    pub p: Vec<f64>,
}

#[derive(Debug, Clone)]
pub struct Numbers {
    pub y: Vec<f64>,
    pub p: Vec<f64>,
}

/// Rows of one query stand together, those with the highest score first.
#[derive(Debug, Clone)]
pub struct Queries {
    pub relevance: Vec<f64>,
    pub score: Vec<f64>,
    /// Which query a row belongs to, ascending.
    pub query: Vec<u32>,
}

/// A column of few different values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    pub name: String,
    pub values: Vec<String>,
    pub codes: Vec<u32>,
}

/// What makes a row the same row in another file.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// The rows of each value, in the order of the rows.
    pub fn rows(&self) -> Vec<Vec<u32>> {
        let mut sizes = vec![0; self.values.len()];
        self.codes.iter().for_each(|code| sizes[*code as usize] += 1);
        let mut rows: Vec<Vec<u32>> = sizes.into_iter().map(Vec::with_capacity).collect();
        for (row, code) in (0_u32..).zip(&self.codes) {
            rows[*code as usize].push(row);
        }
        rows
    }
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Self::Binary(b) => b.y.len(),
            Self::Classes(c) => c.y.len(),
            Self::Numbers(n) => n.y.len(),
            Self::Queries(q) => q.relevance.len(),
        }
    }

    /// The order in which metrics want the rows; nothing where any will do.
    fn order(&self) -> Option<Vec<u32>> {
        match self {
            Self::Binary(b) => Some(descending(&b.p)),
            Self::Queries(q) => {
                let mut order: Vec<u32> = rows(q.score.len());
                let (query, score) = (&q.query, &q.score);
                order.sort_by(|a, b| {
                    let (a, b) = (*a as usize, *b as usize);
                    query[a].cmp(&query[b]).then(score[b].total_cmp(&score[a]))
                });
                Some(order)
            }
            Self::Classes(_) | Self::Numbers(_) => None,
        }
    }

    /// Those rows of it.
    fn taken(&self, rows: &[u32]) -> Self {
        match self {
            Self::Binary(b) => Self::Binary(Binary { y: taken(&b.y, rows), p: taken(&b.p, rows), threshold: b.threshold }),
            Self::Classes(c) => {
                let k = c.names.len();
                let p = if c.p.is_empty() { vec![] } else { rows.iter().flat_map(|r| &c.p[*r as usize * k..][..k]).copied().collect() };
                Self::Classes(Classes { y: taken(&c.y, rows), decided: taken(&c.decided, rows), p, ..c.clone() })
            }
            Self::Numbers(n) => Self::Numbers(Numbers { y: taken(&n.y, rows), p: taken(&n.p, rows) }),
            Self::Queries(q) => {
                Self::Queries(Queries { relevance: taken(&q.relevance, rows), score: taken(&q.score, rows), query: taken(&q.query, rows) })
            }
        }
    }
}

/// The first of the highest.
pub fn most_probable(p: &[f64]) -> u32 {
    let best = (0_u32..).zip(p).fold((0, f64::NEG_INFINITY), |best, (i, p)| if *p > best.1 { (i, *p) } else { best });
    best.0
}

#[expect(clippy::cast_possible_truncation, reason = "a table of more rows is refused when it is read")]
fn rows(n: usize) -> Vec<u32> {
    (0..n as u32).collect()
}

fn taken<T: Clone>(column: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| column[*row as usize].clone()).collect()
}

/// Rises with the number.
fn rising(p: f64) -> u64 {
    // Zero has two signs.
    let bits = (p + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The rows from the highest to the lowest; all are finite.
fn descending(p: &[f64]) -> Vec<u32> {
    let mut keyed: Vec<(u64, u32)> = p.iter().zip(0..).map(|(p, row)| (!rising(*p), row)).collect();
    keyed.par_sort_unstable();
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// The highest first, in place: a probability is not negative, and where its sign would stand there is room for the truth.
fn sorted(b: Binary) -> Binary {
    let Binary { y, p, threshold } = b;
    let mut packed: Vec<u64> = p.into_iter().zip(&y).map(|(p, y)| (p + 0.0).to_bits() << 1 | u64::from(*y)).collect();
    packed.par_sort_unstable_by(|a, b| b.cmp(a));
    let mut y = y;
    y.iter_mut().zip(&packed).for_each(|(y, packed)| *y = packed & 1 == 1);
    Binary { y, p: packed.into_iter().map(|packed| f64::from_bits(packed >> 1)).collect(), threshold }
}

impl Table {
    /// Checked, and in order.
    pub fn ready(self) -> Result<Self, QualityError> {
        let wrong = |why: String| Err(QualityError::Wrong(why));
        let n = self.data.len();
        if n == 0 {
            return wrong("there are no predictions".into());
        }
        if u32::try_from(n).is_err() {
            return wrong(format!("{n} rows are more than can be judged at once"));
        }
        if let Data::Binary(b) = &self.data
            && let Some(outside) = b.p.iter().find(|p| !(0.0..=1.0).contains(*p))
        {
            return wrong(format!("the score {outside} is no probability"));
        }
        if let Data::Classes(c) = &self.data {
            let rows = c.p.chunks(c.names.len());
            if let Some(outside) = c.p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
                return wrong(format!("the score {outside} is no probability"));
            }
            // Singles, as many models give them, and their exponentials lose digits.
            if let Some(sum) = rows.map(|p| p.iter().sum::<f64>()).find(|sum| (sum - 1.0).abs() > 1e-3) {
                return wrong(format!("the probabilities of a row add up to {sum}, and not to 1"));
            }
        }
        if let Some(weights) = &self.weights {
            if let Some(bad) = weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
                return wrong(format!("the weight {bad} is not a number from 0 on"));
            }
            if let Some(odd) = weights.iter().find(|w| **w != 0.0 && !(1e-100..=1e100).contains(*w)) {
                return wrong(format!("the weight {odd:e} is beyond what can be summed"));
            }
            if weights.iter().all(|w| *w == 0.0) {
                return wrong("every row has the weight 0".into());
            }
        }
        let alone = self.weights.is_none() && self.labels.is_empty() && self.features.is_empty() && self.key.is_none() && self.seconds.is_empty();
        Ok(match self.data {
            Data::Binary(b) if alone => Self { data: Data::Binary(sorted(b)), ..self },
            _ => match self.data.order() {
                Some(order) => self.taken(&order),
                None => self,
            },
        })
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Those rows, in that order.
    pub fn taken(&self, rows: &[u32]) -> Self {
        let key = self.key.as_ref().map(|key| match key {
            Key::Numbers(n) => Key::Numbers(taken(n, rows)),
            Key::Texts(t) => Key::Texts(taken(t, rows)),
        });
        let labels = self.labels.iter().map(|l| Labels { codes: taken(&l.codes, rows), ..l.clone() }).collect();
        Self {
            data: self.data.taken(rows),
            weights: self.weights.as_ref().map(|w| taken(w, rows)),
            labels,
            key,
            features: self.features.iter().map(|(name, f)| (name.clone(), taken(f, rows))).collect(),
            seconds: if self.seconds.is_empty() { vec![] } else { taken(&self.seconds, rows) },
            unusable: self.unusable,
        }
    }

    /// The same rows with other predictions, for a baseline.
    pub fn with(&self, data: Data) -> Result<Self, QualityError> {
        Self { data, ..self.clone() }.ready()
    }

    /// Those columns with numbers, in that order.
    pub fn features(&self, names: &[String]) -> Option<Vec<&[f64]>> {
        names.iter().map(|name| self.features.iter().find(|(n, _)| n == name).map(|(_, f)| f.as_slice())).collect()
    }

    pub fn labels(&self, name: &str) -> Option<&Labels> {
        self.labels.iter().find(|labels| labels.name == name)
    }
}

/// Values by the number of their first appearance.
#[derive(Debug, Default)]
pub struct Names {
    pub values: Vec<String>,
    codes: BTreeMap<String, u32>,
    last: u32,
}

impl Names {
    pub fn code(&mut self, value: &str) -> u32 {
        // Rows often repeat the value before them.
        if self.values.get(self.last as usize).is_some_and(|last| last == value) {
            return self.last;
        }
        self.last = match self.codes.get(value) {
            Some(code) => *code,
            None => {
                let code = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
                self.values.push(value.to_owned());
                self.codes.insert(value.to_owned(), code);
                code
            }
        };
        self.last
    }
}
