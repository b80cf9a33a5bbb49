//! How often each combination of truth and decision occurs, and what follows from that alone.

use schemars::JsonSchema;
use serde::Deserialize;

use super::score::Score;

/// `cells[truth][decision]`, weighted.
#[derive(Debug, Clone, PartialEq)]
pub struct Confusion {
    cells: Vec<f64>,
    classes: usize,
    /// Which class is the one that is looked for, where there is one.
    positive: Option<usize>,
}

/// How the values of several classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Of the positive class alone.
    Binary,
    /// The mean of the classes that occur.
    Macro,
    /// Of the pooled counts.
    Micro,
    /// The mean of the classes by how often they are the truth.
    Weighted,
}

/// One class against the rest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cells {
    pub tp: f64,
    pub fp: f64,
    pub fn_: f64,
    pub tn: f64,
}

impl Confusion {
    pub fn new(classes: usize, positive: Option<usize>) -> Self {
        Self { cells: vec![0.0; classes * classes], classes, positive }
    }

    pub fn binary(tn: f64, fp: f64, fn_: f64, tp: f64) -> Self {
        Self { cells: vec![tn, fp, fn_, tp], classes: 2, positive: Some(1) }
    }

    #[inline]
    pub fn add(&mut self, truth: usize, decision: usize, weight: f64) {
        self.cells[truth * self.classes + decision] += weight;
    }

    pub fn get(&self, truth: usize, decision: usize) -> f64 {
        self.cells[truth * self.classes + decision]
    }

    pub fn classes(&self) -> usize {
        self.classes
    }

    pub fn total(&self) -> f64 {
        self.cells.iter().sum()
    }

    pub fn right(&self) -> f64 {
        (0..self.classes).map(|c| self.get(c, c)).sum()
    }

    /// How often a class is the truth.
    pub fn support(&self, class: usize) -> f64 {
        (0..self.classes).map(|d| self.get(class, d)).sum()
    }

    /// How often a class is the decision.
    pub fn decided(&self, class: usize) -> f64 {
        (0..self.classes).map(|t| self.get(t, class)).sum()
    }

    pub fn cells(&self, class: usize) -> Cells {
        let tp = self.get(class, class);
        let (fn_, fp) = (self.support(class) - tp, self.decided(class) - tp);
        Cells { tp, fp, fn_, tn: self.total() - tp - fn_ - fp }
    }

    /// Of the positive class; without one, of the last.
    pub fn positive(&self) -> Cells {
        self.cells(self.positive.unwrap_or(self.classes.saturating_sub(1)))
    }

    /// Of the same classes, without a row.
    pub fn emptied(&self) -> Self {
        Self::new(self.classes, self.positive)
    }

    /// The sum of both, each with its share.
    pub fn mixed(&self, share: f64, other: &Self) -> Self {
        let cells = self.cells.iter().zip(&other.cells).map(|(a, b)| share * a + (1.0 - share) * b).collect();
        Self { cells, ..self.clone() }
    }

    /// A ratio of counts by class, averaged. 0 where nothing can be counted, as scikit-learn's `zero_division=0`, and said so.
    pub fn ratio(&self, average: Option<Average>, of: impl Fn(Cells) -> (f64, f64)) -> Score {
        let one = |cells: Cells| {
            let (part, whole) = of(cells);
            if whole == 0.0 { Score::noted(0.0, "nothing to count, so 0") } else { Score::from(part / whole) }
        };
        let average = average.unwrap_or(if self.positive.is_some() { Average::Binary } else { Average::Macro });
        let occurring = (0..self.classes).filter(|c| self.support(*c) > 0.0 || self.decided(*c) > 0.0);
        match average {
            Average::Binary if self.positive.is_none() => Score::undefined("`average: binary` is for two classes"),
            Average::Binary => one(self.positive()),
            Average::Micro => {
                let mut pooled = Cells::default();
                for cells in occurring.map(|c| self.cells(c)) {
                    pooled.tp += cells.tp;
                    pooled.fp += cells.fp;
                    pooled.fn_ += cells.fn_;
                    pooled.tn += cells.tn;
                }
                one(pooled)
            }
            Average::Macro | Average::Weighted => {
                let (mut sum, mut all, mut empty) = (0.0, 0.0, 0);
                for class in occurring {
                    let score = one(self.cells(class));
                    let weight = if average == Average::Macro { 1.0 } else { self.support(class) };
                    sum += weight * score.value;
                    all += weight;
                    empty += usize::from(score.note.is_some());
                }
                match (all, empty) {
                    (0.0, _) => Score::undefined("there are no rows"),
                    (all, 0) => Score::from(sum / all),
                    (all, n) => Score::noted(sum / all, format!("{n} of the classes counted as 0: nothing to count there")),
                }
            }
        }
    }
}
