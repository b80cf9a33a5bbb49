//! Ensembles of trees: forests, boosting, single trees.

use std::collections::BTreeMap;

use super::super::OnnxError;
use super::super::attributes::Attributes;
use super::super::value::{Type, Value};
use super::labels::{Classes, PostTransform, largest, logistic};
use super::{Given, Made, Op, Prepared, input, ready};

pub fn prepare(kind: &str, attributes: &Attributes) -> Prepared {
    match kind {
        "TreeEnsembleClassifier" => {
            let classes = Classes::of(attributes, ["classlabels_int64s", "classlabels_strings"])?;
            let targets = classes.len();
            ready(Ensemble { classes: Some(classes), ..Ensemble::of(attributes, "class", targets)? })
        }
        "TreeEnsembleRegressor" => {
            let targets = usize::try_from(attributes.int("n_targets", 1)).ok().filter(|n| (1..=10_000).contains(n));
            let targets = targets.ok_or_else(|| attributes.wrong("its number of targets is out of range"))?;
            ready(Ensemble::of(attributes, "target", targets)?)
        }
        _ => Ok(None),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Leaf,
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
}

/// Children are places in the list of all nodes; of a leaf, the range of its weights.
#[derive(Debug, Clone, Copy)]
struct Node {
    value: f32,
    feature: u32,
    mode: Mode,
    /// Where a value that is missing goes.
    missing_is_true: bool,
    yes: u32,
    no: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

struct Ensemble {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    /// Target and weight, a leaf's together.
    weights: Vec<(u32, f64)>,
    targets: usize,
    base: Vec<f64>,
    aggregate: Aggregate,
    after: PostTransform,
    classes: Option<Classes>,
    /// One score of two classes: it is the second's.
    one_score: bool,
    width: usize,
}

impl Ensemble {
    #[expect(clippy::cast_possible_truncation, reason = "numbers of nodes, checked when they are looked up; thresholds are singles")]
    fn of(attributes: &Attributes, of: &str, targets: usize) -> Result<Self, OnnxError> {
        let wrong = |why: &str| attributes.wrong(why);
        let (trees, ids) = (attributes.ints("nodes_treeids"), attributes.ints("nodes_nodeids"));
        let (features, values) = (attributes.places("nodes_featureids")?, attributes.floats("nodes_values")?);
        let (modes, yes, no) = (attributes.texts("nodes_modes"), attributes.ints("nodes_truenodeids"), attributes.ints("nodes_falsenodeids"));
        let missing = attributes.ints("nodes_missing_value_tracks_true");
        let n = ids.len();
        if n == 0 || [trees.len(), features.len(), values.len(), modes.len(), yes.len(), no.len()].iter().any(|len| *len != n) {
            return Err(wrong("its nodes do not fit together"));
        }
        let places: BTreeMap<(i64, i64), u32> = trees.iter().copied().zip(ids.iter().copied()).zip(0..).collect();
        let mut leaves: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
        let key = |what: &str| format!("{of}_{what}");
        let leaf_ids = attributes.ints(&key("nodeids")).into_iter();
        let leaf = attributes.ints(&key("treeids")).into_iter().zip(leaf_ids);
        let targets_of = attributes.places(&key("ids"))?;
        let one_score = of == "class" && targets == 2 && targets_of.iter().all(|t| *t == targets_of[0]);
        for ((at, target), weight) in leaf.zip(&targets_of).zip(attributes.floats(&key("weights"))?) {
            let place = places.get(&at).ok_or_else(|| wrong("a weight belongs to no node"))?;
            if *target >= targets {
                return Err(wrong("a weight belongs to no target"));
            }
            leaves.entry(*place).or_default().push((if one_score { 0 } else { *target as u32 }, weight));
        }
        let (mut nodes, mut weights) = (Vec::with_capacity(n), Vec::new());
        for at in 0..n {
            let mode = mode(&modes[at]).ok_or_else(|| wrong(&format!("the mode {} is not known here", modes[at])))?;
            let child = |id: i64| places.get(&(trees[at], id)).copied().ok_or_else(|| wrong("a node has no child"));
            let (yes, no) = if mode == Mode::Leaf {
                let from = weights.len() as u32;
                weights.extend(leaves.remove(&(at as u32)).unwrap_or_default());
                (from, weights.len() as u32)
            } else {
                (child(yes[at])?, child(no[at])?)
            };
            let missing_is_true = missing.get(at) == Some(&1);
            nodes.push(Node { value: values[at] as f32, feature: features[at] as u32, mode, missing_is_true, yes, no });
        }
        if !leaves.is_empty() {
            return Err(wrong("a weight belongs to a node that is no leaf"));
        }
        if (0..).zip(&nodes).any(|(at, node)| node.mode != Mode::Leaf && (node.yes == at || node.no == at)) {
            return Err(wrong("a node is its own child"));
        }
        // The root of a tree is the node that is nobody's child; a cycle has none, or is never left.
        let mut child = vec![false; n];
        nodes.iter().filter(|node| node.mode != Mode::Leaf).for_each(|node| [node.yes, node.no].into_iter().for_each(|c| child[c as usize] = true));
        let roots: Vec<u32> = (0..n as u32).filter(|at| !child[*at as usize]).collect();
        let mut known: Vec<i64> = trees.clone();
        known.sort_unstable();
        known.dedup();
        if roots.len() != known.len() {
            return Err(wrong("a tree has no root"));
        }
        let aggregate = match attributes.text("aggregate_function", "SUM").as_str() {
            "SUM" => Aggregate::Sum,
            "AVERAGE" => Aggregate::Average,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            other => return Err(wrong(&format!("the aggregate_function {other} is not known here"))),
        };
        let width = nodes.iter().filter(|node| node.mode != Mode::Leaf).map(|node| node.feature as usize + 1).max().unwrap_or(0);
        let (base, after) = (attributes.floats("base_values")?, PostTransform::of(attributes)?);
        if ![0, 1, targets].contains(&base.len()) {
            return Err(wrong("its base values do not fit its targets"));
        }
        Ok(Self { nodes, roots, weights, targets, base, aggregate, after, classes: None, one_score, width })
    }

    fn leaf(&self, root: u32, row: &[f32]) -> Result<&[(u32, f64)], OnnxError> {
        let mut node = self.nodes[root as usize];
        for _ in 0..=self.nodes.len() {
            if node.mode == Mode::Leaf {
                return Ok(&self.weights[node.yes as usize..node.no as usize]);
            }
            let x = row[node.feature as usize];
            let holds = match node.mode {
                Mode::Leq => x <= node.value,
                Mode::Lt => x < node.value,
                Mode::Gte => x >= node.value,
                Mode::Gt => x > node.value,
                Mode::Eq => x == node.value,
                Mode::Neq | Mode::Leaf => x != node.value,
            };
            let yes = holds || (node.missing_is_true && x.is_nan());
            node = self.nodes[if yes { node.yes } else { node.no } as usize];
        }
        Err(OnnxError::Model("a tree goes round in circles".into()))
    }

    fn scores(&self, row: &[f32]) -> Result<Vec<f64>, OnnxError> {
        let n = if self.one_score { 1 } else { self.targets };
        let mut scores: Vec<Option<f64>> = vec![None; n];
        for root in &self.roots {
            for (target, weight) in self.leaf(*root, row)? {
                let score = &mut scores[*target as usize];
                *score = Some(match (*score, self.aggregate) {
                    (None, _) => *weight,
                    (Some(s), Aggregate::Sum | Aggregate::Average) => s + weight,
                    (Some(s), Aggregate::Min) => s.min(*weight),
                    (Some(s), Aggregate::Max) => s.max(*weight),
                });
            }
        }
        let trees = crate::stats::float(self.roots.len() as u64);
        let of = |(at, score): (usize, Option<f64>)| {
            let score = score.unwrap_or(0.0);
            let score = if self.aggregate == Aggregate::Average { score / trees } else { score };
            // Of one score, a single base value is its own; of two, the second's.
            score + self.base.get(if self.one_score { self.base.len().saturating_sub(1) } else { at }).copied().unwrap_or(0.0)
        };
        Ok(scores.into_iter().enumerate().map(of).collect())
    }

    /// The class that is decided, and the probabilities.
    fn decide(&self, mut scores: Vec<f64>) -> (usize, Vec<f64>) {
        if !self.one_score {
            let decided = largest(&scores);
            self.after.apply(&mut scores);
            return (decided, scores);
        }
        let score = scores[0];
        match self.after {
            PostTransform::None => (usize::from(score > 0.5), vec![1.0 - score, score]),
            PostTransform::Logistic => (usize::from(score > 0.0), vec![1.0 - logistic(score), logistic(score)]),
            PostTransform::Softmax | PostTransform::SoftmaxZero => {
                let mut both = vec![-score, score];
                self.after.apply(&mut both);
                (usize::from(score > 0.0), both)
            }
        }
    }
}

fn mode(text: &str) -> Option<Mode> {
    Some(match text {
        "LEAF" => Mode::Leaf,
        "BRANCH_LEQ" => Mode::Leq,
        "BRANCH_LT" => Mode::Lt,
        "BRANCH_GTE" => Mode::Gte,
        "BRANCH_GT" => Mode::Gt,
        "BRANCH_EQ" => Mode::Eq,
        "BRANCH_NEQ" => Mode::Neq,
        _ => return None,
    })
}

impl Op for Ensemble {
    fn run(&self, given: &Given) -> Made {
        let value = input(given, 0)?;
        let (rows, width) = value.rows();
        if width < self.width {
            return Err(OnnxError::Model(format!("{width} columns, and the trees ask for {}", self.width)));
        }
        let numbers = value.singles()?;
        let (mut out, mut decided) = (Vec::with_capacity(rows * self.targets), Vec::with_capacity(rows));
        for row in numbers.chunks(width.max(1)) {
            let mut scores = self.scores(row)?;
            if self.classes.is_some() {
                let (class, probabilities) = self.decide(scores);
                decided.push(class);
                out.extend(probabilities);
            } else {
                self.after.apply(&mut scores);
                out.extend(scores);
            }
        }
        let scores = Value::like(Type::Float, vec![rows, out.len() / rows.max(1)], out);
        Ok(match &self.classes {
            Some(classes) => vec![classes.labels(&decided), scores],
            None => vec![scores],
        })
    }

    fn classes(&self) -> Option<Vec<String>> {
        self.classes.as_ref().map(Classes::names)
    }
}
