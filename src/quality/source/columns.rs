//! Batches become tables: one a split, checked value by value.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::super::QualityError;
use super::super::table::{Binary, Classes, Data, Key, Labels, Names, Numbers, Queries, Table, most_probable};
use super::super::task::Task;
use super::batch::{codes, column, flags_or_numbers, integers, numbers, texts, whole};
use super::{Source, Splits, Threshold, Wanted};
use crate::mistakes::nearest;

/// The splits that are read, by their names.
const SPLITS: [&str; 3] = ["test", "train", "val"];

pub struct Columns<'a> {
    source: &'a Source,
    task: Task,
    wanted: &'a Wanted,
    parts: [Part; 3],
    /// The classes of the labels, and those of the columns in `labels`.
    classes: Names,
    names: Vec<Names>,
    queries: Names,
    splits: Names,
    rows: usize,
}

/// One split, as it grows.
#[derive(Default)]
struct Part {
    y: Vec<f64>,
    flags: Vec<bool>,
    codes: Vec<u32>,
    decided: Vec<u32>,
    p: Vec<f64>,
    weights: Vec<f64>,
    labels: Vec<Vec<u32>>,
    features: Vec<Vec<f64>>,
    numbers: Vec<i64>,
    texts: Vec<String>,
    queries: Vec<u32>,
    seconds: Vec<f64>,
    unusable: usize,
}

/// What a batch says of the truth.
enum Truth {
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
    Codes(Vec<u32>),
}

fn wrong<T>(why: impl Into<String>) -> Result<T, QualityError> {
    Err(QualityError::Wrong(why.into()))
}

impl<'a> Columns<'a> {
    pub fn new(source: &'a Source, wanted: &'a Wanted) -> Result<Self, QualityError> {
        let Some(task) = source.task() else { return wrong("the kind of model is not known") };
        let mut classes = Names::default();
        for class in source.scores.iter().flat_map(|scores| scores.0.iter().map(|(class, _)| class)) {
            classes.code(class);
        }
        let names = wanted.labels.iter().map(|_| Names::default()).collect();
        let part = || Part { labels: vec![vec![]; wanted.labels.len()], features: vec![vec![]; wanted.features.len()], ..Part::default() };
        let parts = [part(), part(), part()];
        Ok(Self { source, task, wanted, parts, classes, names, queries: Names::default(), splits: Names::default(), rows: 0 })
    }

    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), QualityError> {
        let (source, n) = (self.source, batch.num_rows());
        let truth = self.truth(whole(batch, &source.label)?)?;
        let decided = match &source.prediction {
            Some(name) if self.task != Task::Regression => Some(self.decided(column(batch, name)?, name)?),
            _ => None,
        };
        let scores = self.scores(batch)?;
        let weights = source.weight.as_ref().map(|name| numbers(whole(batch, name)?, name)).transpose()?;
        let seconds = source.seconds.as_ref().map(|name| numbers(whole(batch, name)?, name)).transpose()?;
        let queries = source.qid.as_ref().map(|name| codes(whole(batch, name)?, name, &mut self.queries)).transpose()?;
        let mut labels = Vec::new();
        for (name, names) in self.wanted.labels.iter().zip(&mut self.names) {
            labels.push(column(batch, name).and_then(|values| codes(values, name, names)).map_err(|e| asked(&e, "slices or groups"))?);
        }
        let features = self
            .wanted
            .features
            .iter()
            .map(|name| column(batch, name).and_then(|values| flags_or_numbers(values, name)).map_err(|e| asked(&e, "the `features` of a baseline")))
            .collect::<Result<Vec<_>, _>>()?;
        let keys = source.key.as_ref().map(|name| keys(whole(batch, name)?, name)).transpose()?;
        let splits = self.split(batch)?;
        let usable = |row: usize| decided.as_ref().is_none_or(|d| d[row].is_some()) && scores.iter().all(|p| p[row].is_finite());
        for (at, part) in self.parts.iter_mut().enumerate() {
            let inside = (0..n).filter(|row| splits.as_ref().map_or(at == 0, |splits| splits[*row] == Some(at)));
            let (rows, unusable): (Vec<usize>, Vec<usize>) = inside.partition(|row| usable(*row));
            part.unusable += unusable.len();
            match &truth {
                Truth::Numbers(y) => take(&mut part.y, y, &rows),
                Truth::Flags(y) => take(&mut part.flags, y, &rows),
                Truth::Codes(y) => take(&mut part.codes, y, &rows),
            }
            match scores.as_slice() {
                [p] => take(&mut part.p, p, &rows),
                many => part.p.extend(rows.iter().flat_map(|row| many.iter().map(|p| p[*row]))),
            }
            part.decided.extend(decided.iter().flat_map(|d| rows.iter().filter_map(|row| d[*row])));
            weights.iter().for_each(|w| take(&mut part.weights, w, &rows));
            seconds.iter().for_each(|s| take(&mut part.seconds, s, &rows));
            queries.iter().for_each(|q| take(&mut part.queries, q, &rows));
            part.labels.iter_mut().zip(&labels).for_each(|(codes, column)| take(codes, column, &rows));
            part.features.iter_mut().zip(&features).for_each(|(values, column)| take(values, column, &rows));
            match &keys {
                Some(Key::Numbers(n)) => take(&mut part.numbers, n, &rows),
                Some(Key::Texts(t)) => take(&mut part.texts, t, &rows),
                None => {}
            }
        }
        self.rows += n;
        Ok(())
    }

    /// Which part each row belongs to; nothing where there are no splits.
    fn split(&mut self, batch: &RecordBatch) -> Result<Option<Vec<Option<usize>>>, QualityError> {
        let Some(name) = &self.source.split else { return Ok(None) };
        let codes = codes(whole(batch, name)?, name, &mut self.splits)?;
        let part = |code: &u32| SPLITS.iter().position(|split| *split == self.splits.values[*code as usize]);
        Ok(Some(codes.iter().map(part).collect()))
    }

    fn truth(&mut self, column: &ArrayRef) -> Result<Truth, QualityError> {
        let name = &self.source.label;
        match self.task {
            Task::Regression | Task::Ranking => {
                let numbers = numbers(column, name)?;
                if numbers.iter().any(|y| !y.is_finite()) {
                    return wrong(format!("column `{name}` holds values that are no finite numbers"));
                }
                Ok(Truth::Numbers(numbers))
            }
            Task::Binary if self.source.score.is_some() => self.flags(column).map(Truth::Flags),
            Task::Binary | Task::Multiclass => {
                let known = self.source.scores.is_some().then_some(self.classes.values.len());
                let codes = codes(column, name, &mut self.classes)?;
                match known {
                    Some(known) if self.classes.values.len() > known => {
                        wrong(format!("the label `{name}` holds `{}`, and `scores` names no column for it", self.classes.values[known]))
                    }
                    _ => Ok(Truth::Codes(codes)),
                }
            }
        }
    }

    /// Two classes: true and false, 0 and 1, or text with one that is positive.
    fn flags(&mut self, column: &ArrayRef) -> Result<Vec<bool>, QualityError> {
        let name = &self.source.label;
        if let Some(flags) = column.as_boolean_opt() {
            return Ok(flags.iter().map(|y| y == Some(true)).collect());
        }
        if column.data_type().is_numeric() && self.source.positive.is_none() {
            let numbers = numbers(column, name)?;
            return match numbers.iter().find(|y| **y != 0.0 && **y != 1.0) {
                Some(other) => wrong(format!(
                    "the label `{name}` holds {other}; it must be 0 or 1, or true or false; or name the class that is looked for in `positive`"
                )),
                None => Ok(numbers.iter().map(|y| *y == 1.0).collect()),
            };
        }
        if column.data_type().is_nested() || column.data_type().is_temporal() {
            return wrong(format!("the label `{name}` holds {}, which are no classes", column.data_type()));
        }
        let Some(positive) = &self.source.positive else {
            return wrong(format!("the label `{name}` is text: name its positive value in `positive`"));
        };
        let codes = codes(column, name, &mut self.classes)?;
        if self.classes.values.len() > 2 {
            return wrong(format!("the label `{name}` has more than two values: {}", self.classes.values.join(", ")));
        }
        let positive = self.classes.values.iter().position(|value| value == positive);
        Ok(codes.iter().map(|code| Some(*code as usize) == positive).collect())
    }

    fn decided(&mut self, column: &ArrayRef, name: &str) -> Result<Vec<Option<u32>>, QualityError> {
        let mut decided = Vec::with_capacity(column.len());
        texts(column, name, |value| decided.push(value.map(|value| self.classes.code(value))))?;
        Ok(decided)
    }

    /// The numbers that were predicted, a column each.
    fn scores(&self, batch: &RecordBatch) -> Result<Vec<Vec<f64>>, QualityError> {
        let source = self.source;
        let names: Vec<&String> = match (&source.scores, &source.score, self.task) {
            (Some(scores), _, Task::Multiclass) => scores.0.iter().map(|(_, column)| column).collect(),
            (_, Some(score), Task::Binary | Task::Ranking) => vec![score],
            (_, _, Task::Regression) => source.prediction.iter().collect(),
            _ => vec![],
        };
        names.into_iter().map(|name| numbers(column(batch, name)?, name)).collect()
    }

    pub fn finish(self) -> Result<Splits, QualityError> {
        let Self { source, task, wanted, parts, classes, names, splits, rows, .. } = self;
        if rows == 0 {
            return wrong("there are no predictions");
        }
        let binary = task == Task::Binary;
        if binary && source.score.is_some() && !classes.values.is_empty() {
            let positive = source.positive.as_deref().unwrap_or_default();
            if !classes.values.iter().any(|value| value == positive) {
                return wrong(format!("no label `{}` is `{positive}`", source.label));
            }
        }
        let by_class = task == Task::Multiclass || (binary && source.score.is_none());
        let positive = if by_class && binary { Some(positive(source, &classes.values)?) } else { None };
        let threshold = match &source.threshold {
            Some(Threshold::At(at)) => *at,
            _ => 0.5,
        };
        let table = |part: Part| -> Result<Option<Table>, QualityError> {
            let (unusable, empty) = (part.unusable, part.y.len() + part.flags.len() + part.codes.len() == 0);
            if empty && unusable == 0 {
                return Ok(None);
            }
            if empty {
                return wrong(format!("all {unusable} predictions are NULL or not finite"));
            }
            let data = match task {
                Task::Binary if !by_class => Data::Binary(Binary { y: part.flags, p: part.p, threshold }),
                Task::Regression => Data::Numbers(Numbers { y: part.y, p: part.p }),
                Task::Ranking => Data::Queries(Queries { relevance: part.y, score: part.p, query: part.queries }),
                Task::Binary | Task::Multiclass => {
                    let k = classes.values.len();
                    let decided = if part.decided.is_empty() { part.p.chunks(k).map(most_probable).collect() } else { part.decided };
                    Data::Classes(Classes { names: classes.values.clone(), positive, y: part.codes, decided, p: part.p })
                }
            };
            let labels = wanted.labels.iter().zip(&names).zip(part.labels);
            let labels = labels.map(|((name, names), codes)| Labels { name: name.clone(), values: names.values.clone(), codes }).collect();
            let key = match (part.numbers.is_empty(), part.texts.is_empty()) {
                (false, _) => Some(Key::Numbers(part.numbers)),
                (_, false) => Some(Key::Texts(part.texts)),
                _ => None,
            };
            let weights = source.weight.as_ref().map(|_| part.weights);
            Table {
                data,
                weights,
                labels,
                key,
                features: wanted.features.iter().cloned().zip(part.features).collect(),
                seconds: part.seconds,
                unusable,
            }
            .ready()
            .map(Some)
        };
        let [test, train, val] = parts;
        let Some(test) = table(test)? else {
            let column = source.split.as_deref().unwrap_or_default();
            return wrong(format!("no row of the split column `{column}` is `test`; it holds {}", splits.values.join(", ")));
        };
        misspelt(&splits.values)?;
        let unused = splits.values.iter().filter(|value| !SPLITS.contains(&value.as_str())).cloned().collect();
        let mut splits = Splits { unused, kinds: vec![], test, train: table(train)?, val: table(val)?, chosen: None, timings: vec![] };
        if let Some(Threshold::Best(best)) = &source.threshold {
            splits.choose_threshold(best)?;
        }
        Ok(splits)
    }
}

/// Which gate wants a column that there is a mistake about.
fn asked(error: &QualityError, what: &str) -> QualityError {
    QualityError::Wrong(format!("{error} (asked for as {what})"))
}

/// A split that is none of ours and looks like one would be left out without a word.
fn misspelt(found: &[String]) -> Result<(), QualityError> {
    const MEANT: [&str; 6] = ["validation", "valid", "dev", "holdout", "eval", "calibration"];
    let other = found.iter().filter(|value| !SPLITS.contains(&value.as_str()) && !MEANT.contains(&value.as_str()));
    let near = |value: &String| nearest(&value.trim().to_lowercase(), SPLITS).map(|split| (value.clone(), split));
    match other.into_iter().find_map(near) {
        Some((value, split)) => wrong(format!("some rows are of the split `{value}`, which is not used; did you mean `{split}`?")),
        None => Ok(()),
    }
}

fn take<T: Clone>(into: &mut Vec<T>, column: &[T], rows: &[usize]) {
    if rows.len() == column.len() {
        into.extend_from_slice(column);
    } else {
        into.extend(rows.iter().map(|row| column[*row].clone()));
    }
}

fn positive(source: &Source, classes: &[String]) -> Result<usize, QualityError> {
    if classes.len() > 2 {
        return wrong(format!("labels and predictions have more than two values: {}", classes.join(", ")));
    }
    let place = |wanted: &str| classes.iter().position(|class| class == wanted);
    match &source.positive {
        Some(positive) => place(positive).map_or_else(|| wrong(format!("no label `{}` is `{positive}`", source.label)), Ok),
        None => match place("true").or(place("1")) {
            Some(place) => Ok(place),
            None => wrong(format!("which of the classes {} is looked for? Name it in `positive`", classes.join(" and "))),
        },
    }
}

fn keys(column: &ArrayRef, name: &str) -> Result<Key, QualityError> {
    if *column.data_type() != DataType::Boolean
        && let Some(integers) = integers(column)
    {
        return Ok(Key::Numbers(integers));
    }
    let mut keys = Vec::with_capacity(column.len());
    texts(column, name, |value| keys.push(value.unwrap_or_default().to_owned()))?;
    Ok(Key::Texts(keys))
}
