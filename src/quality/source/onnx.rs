//! Predictions of a model that is evaluated here, batch by batch.

use std::collections::VecDeque;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Array as _, ArrayRef, Float64Array, RecordBatch};
use arrow_schema::{Field, Schema};

use super::super::QualityError;
use super::super::task::Task;
use super::batch::{column, flags_or_numbers, integers, texts};
use super::settings::{Features, Scores, Source};
use crate::mistakes::suggestion;
use crate::onnx::{Data, Input, Model, Type, Value};
use crate::units::counted;

/// Rows of which each is predicted by itself, to know how long one takes.
const TIMED: usize = 1000;
const WARM_UP: usize = 20;

pub struct Evaluated {
    model: Model,
    /// The columns of each input.
    feeds: Vec<(Input, Vec<String>)>,
    /// What is made of the model's outputs.
    makes: Makes,
    /// Where its predictions stand, as if they had been read.
    pub source: Source,
    /// Rows to time.
    sample: Option<RecordBatch>,
}

enum Makes {
    /// The probability of the class with that number.
    Score(usize),
    /// A column for each class.
    Scores(Vec<String>),
    Number,
}

/// No column of a file is called so.
const MADE: &str = "\u{1}made";

fn wrong<T>(why: impl Into<String>) -> Result<T, QualityError> {
    Err(QualityError::Wrong(why.into()))
}

fn of_class(class: &str) -> String {
    format!("{MADE} {class}")
}

impl Evaluated {
    pub fn open(source: &Source, path: &Path) -> Result<Self, QualityError> {
        let bytes = std::fs::read(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => QualityError::NotThere("there is no such model".into()),
            _ => QualityError::Wrong(e.to_string()),
        })?;
        let model = Model::read(&bytes).map_err(|e| QualityError::Wrong(e.to_string()))?;
        let makes = makes(source, &model)?;
        let feeds = feeds(&model, source.features.as_ref())?;
        let mut filled = Source { onnx: None, features: None, ..source.clone() };
        filled.task = source.task();
        match &makes {
            Makes::Score(_) => filled.score = Some(MADE.into()),
            Makes::Scores(classes) => filled.scores = Some(Scores(classes.iter().map(|class| (class.clone(), of_class(class))).collect())),
            Makes::Number => filled.prediction = Some(MADE.into()),
        }
        Ok(Self { model, feeds, makes, source: filled, sample: None })
    }

    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.feeds.iter().flat_map(|(_, columns)| columns.iter().map(String::as_str))
    }

    /// Each batch with its predictions. Several are predicted at a time.
    pub fn predict<'a>(
        &'a mut self,
        mut batches: impl Iterator<Item = Result<RecordBatch, QualityError>> + 'a,
    ) -> impl Iterator<Item = Result<RecordBatch, QualityError>> + 'a {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut ready: VecDeque<Result<RecordBatch, QualityError>> = VecDeque::new();
        std::iter::from_fn(move || {
            if ready.is_empty() {
                let some: Vec<_> = batches.by_ref().take(threads).collect();
                if self.sample.is_none() {
                    self.sample = some.first().and_then(|b| b.as_ref().ok()).map(|b| b.slice(0, b.num_rows().min(TIMED)));
                }
                let this = &*self;
                std::thread::scope(|scope| {
                    let each = some.into_iter().map(|batch| scope.spawn(move || batch.and_then(|batch| this.with_predictions(&batch))));
                    let handles: Vec<_> = each.collect();
                    ready.extend(handles.into_iter().map(|h| h.join().unwrap_or_else(|_| wrong("evaluating the model panicked"))));
                });
            }
            ready.pop_front()
        })
    }

    fn inputs(&self, batch: &RecordBatch) -> Result<Vec<(String, Value)>, QualityError> {
        self.feeds.iter().map(|(input, columns)| Ok((input.name.clone(), value(batch, input, columns)?))).collect()
    }

    fn with_predictions(&self, batch: &RecordBatch) -> Result<RecordBatch, QualityError> {
        let numbers = self.model.predict(self.inputs(batch)?, batch.num_rows()).map_err(|e| QualityError::Wrong(e.to_string()))?;
        let width = self.model.classes.len().max(1);
        let column = |class: usize| numbers.iter().skip(class).step_by(width).copied();
        let made = |class: usize| -> ArrayRef { Arc::new(Float64Array::from_iter_values(column(class).map(rounded))) };
        // Near 1 a single has no digits left: there the other class says it better.
        let likely = |(p, other): (f64, f64)| rounded(if p > 0.5 { 1.0 - other } else { p });
        let mut columns: Vec<(String, ArrayRef)> = match &self.makes {
            Makes::Number => vec![(MADE.into(), Arc::new(Float64Array::from_iter_values(numbers.iter().copied())))],
            Makes::Score(class) => {
                let both = column(*class).zip(column(1 - *class));
                // What does not add up is shown as it is.
                let sound = both.clone().all(|(p, other)| (p + other - 1.0).abs() < 1e-3);
                let values: ArrayRef = if sound { Arc::new(Float64Array::from_iter_values(both.map(likely))) } else { made(*class) };
                vec![(MADE.into(), values)]
            }
            Makes::Scores(classes) => classes.iter().enumerate().map(|(i, class)| (of_class(class), made(i))).collect(),
        };
        let schema = batch.schema();
        let kept = schema.fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), c.clone()));
        let all: Vec<(String, ArrayRef)> = kept.chain(columns.drain(..)).collect();
        let fields: Vec<Field> = all.iter().map(|(name, c)| Field::new(name, c.data_type().clone(), true)).collect();
        let arrays = all.into_iter().map(|(_, c)| c).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| QualityError::Wrong(e.to_string()))
    }

    /// How long one row takes, for some rows.
    pub fn timings(&self) -> Result<Vec<f64>, QualityError> {
        let Some(sample) = &self.sample else { return Ok(vec![]) };
        let one = |row: usize| {
            let inputs = self.inputs(&sample.slice(row, 1))?;
            let started = Instant::now();
            self.model.run(inputs).map_err(|e| QualityError::Wrong(e.to_string()))?;
            Ok(started.elapsed().as_secs_f64())
        };
        (0..sample.num_rows().min(WARM_UP)).try_for_each(|row| one(row).map(drop))?;
        (0..sample.num_rows()).map(one).collect()
    }
}

/// Sums of singles end a last digit beyond 0 or 1.
fn rounded(p: f64) -> f64 {
    if (-1e-6..=1.0 + 1e-6).contains(&p) { p.clamp(0.0, 1.0) } else { p }
}

fn makes(source: &Source, model: &Model) -> Result<Makes, QualityError> {
    let classes = &model.classes;
    match source.task() {
        Some(Task::Regression) if classes.is_empty() => Ok(Makes::Number),
        Some(Task::Regression) => wrong(format!("the model decides between the classes {}; it is no regression", classes.join(", "))),
        _ if classes.is_empty() => wrong("the model names no classes: it gives numbers, so say `task: regression`"),
        Some(Task::Multiclass) => Ok(Makes::Scores(classes.clone())),
        _ if classes.len() != 2 => wrong(format!("the model decides between {} classes: say `task: multiclass`", classes.len())),
        _ => model.positive(source.positive.as_deref()).map(Makes::Score).map_err(|e| QualityError::Wrong(e.to_string())),
    }
}

fn feeds(model: &Model, features: Option<&Features>) -> Result<Vec<(Input, Vec<String>)>, QualityError> {
    let names: Vec<&str> = model.inputs.iter().map(|i| i.name.as_str()).collect();
    let feeds: Vec<(Input, Vec<String>)> = match features {
        Some(Features::Each(each)) => {
            if let Some(unknown) = each.keys().find(|name| !names.contains(&name.as_str())) {
                return wrong(format!("the model has no input `{unknown}`; {}", suggestion(unknown, names.iter().copied(), "inputs")));
            }
            let of = |input: &Input| (input.clone(), each.get(&input.name).cloned().unwrap_or_else(|| vec![input.name.clone()]));
            model.inputs.iter().map(of).collect()
        }
        Some(Features::One(columns)) if model.inputs.len() == 1 => vec![(model.inputs[0].clone(), columns.clone())],
        // Inputs are called as their columns; a list may say so once more.
        Some(Features::One(columns)) => {
            if let Some(missing) = names.iter().find(|name| !columns.iter().any(|c| c == *name)) {
                return wrong(format!("the model has an input `{missing}` that `features` does not name"));
            }
            model.inputs.iter().map(|input| (input.clone(), vec![input.name.clone()])).collect()
        }
        None if model.inputs.iter().all(|i| i.width == Some(1)) => model.inputs.iter().map(|i| (i.clone(), vec![i.name.clone()])).collect(),
        None => return wrong("name the columns that the model is fed with in `features`, in its order"),
    };
    for (input, columns) in &feeds {
        if input.width.is_some_and(|width| width != columns.len()) {
            let width = counted(input.width.unwrap_or(0) as u64, "column");
            return wrong(format!("the model's input `{}` takes {width}, and `features` names {}", input.name, columns.len()));
        }
    }
    Ok(feeds)
}

/// Exact, however large.
fn whole_numbers(values: &ArrayRef, name: &str) -> Result<Vec<i64>, QualityError> {
    if values.null_count() > 0 {
        return wrong(format!("column `{name}` has NULL, and the model takes whole numbers there"));
    }
    if let Some(integers) = integers(values) {
        return Ok(integers);
    }
    let numbers = flags_or_numbers(values, name)?;
    match numbers.iter().find(|v| v.fract() != 0.0 || v.abs() > 9e15) {
        Some(other) => wrong(format!("column `{name}` holds {other}, and the model takes whole numbers there")),
        None => Value::like(Type::Int, vec![numbers.len()], numbers).integers().map_err(|e| QualityError::Wrong(e.to_string())),
    }
}

/// Columns side by side, row by row.
fn value(batch: &RecordBatch, input: &Input, columns: &[String]) -> Result<Value, QualityError> {
    let (rows, width) = (batch.num_rows(), columns.len());
    let shape = vec![rows, width];
    if input.kind == Type::Text {
        let mut all = vec![String::new(); rows * width];
        for (at, name) in columns.iter().enumerate() {
            let (mut row, mut missing) = (0, 0_u64);
            texts(column(batch, name)?, name, |text| {
                match text {
                    Some(text) => text.clone_into(&mut all[row * width + at]),
                    None => missing += 1,
                }
                row += 1;
            })?;
            if missing > 0 {
                return wrong(format!("column `{name}` has {}, and the model takes text there", counted(missing, "NULL")));
            }
        }
        return Ok(Value::new(shape, Data::Text(all)));
    }
    if input.kind == Type::Int {
        let mut all = vec![0; rows * width];
        for (at, name) in columns.iter().enumerate() {
            let whole = whole_numbers(column(batch, name)?, name)?;
            whole.into_iter().enumerate().for_each(|(row, v)| all[row * width + at] = v);
        }
        return Ok(Value::ints(shape, all));
    }
    let mut all = vec![0.0; rows * width];
    for (at, name) in columns.iter().enumerate() {
        let source = column(batch, name)?;
        let values = flags_or_numbers(source, name)?;
        if input.kind == Type::Bool && values.iter().any(|v| v.is_nan()) {
            return wrong(format!("column `{name}` has NULL, and the model takes true or false there"));
        }
        values.into_iter().enumerate().for_each(|(row, v)| all[row * width + at] = v);
    }
    Ok(Value::like(input.kind, shape, all))
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::super::batch::numbers;
    use super::super::file;
    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden/onnx");

    fn source(name: &str, manifest: &Json) -> Source {
        let inputs = manifest["inputs"].as_array().expect("inputs");
        let features: serde_json::Map<String, Json> =
            inputs.iter().map(|i| (i["name"].as_str().expect("name").to_owned(), i["columns"].clone())).collect();
        let mut source =
            serde_json::json!({"file": format!("{name}.parquet"), "onnx": format!("{name}.onnx"), "label": "label", "features": features});
        source["task"] = match manifest["task"].as_str() {
            Some("regression") => "regression".into(),
            _ => "multiclass".into(),
        };
        serde_json::from_value(source).expect("source")
    }

    /// The expected columns, and how far we are from them.
    fn distance(name: &str, manifest: &Json) -> f64 {
        let folder = Path::new(FOLDER);
        let source = source(name, manifest);
        let mut model = Evaluated::open(&source, &folder.join(format!("{name}.onnx"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut pairs = match &model.makes {
            Makes::Scores(classes) => classes.iter().map(|c| (of_class(c), format!("expected_p_{c}"))).collect(),
            _ => vec![(MADE.to_owned(), "expected".to_owned())],
        };
        let classes = model.model.classes.clone();
        let mut wanted: Vec<String> = model.columns().map(str::to_owned).collect();
        wanted.extend(pairs.iter().map(|(_, expected)| expected.clone()));
        wanted.extend((!classes.is_empty()).then(|| "expected_label".to_owned()));
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let batches = file::batches(&folder.join(format!("{name}.parquet")), name, &wanted, &[]).expect("batches");
        let (mut worst, mut rows) = (0.0_f64, 0);
        for batch in model.predict(batches) {
            let batch = batch.unwrap_or_else(|e| panic!("{name}: {e}"));
            rows += batch.num_rows();
            let mut made = vec![];
            for (ours, theirs) in std::mem::take(&mut pairs) {
                let (a, b) = (
                    numbers(column(&batch, &ours).expect("ours"), "").expect("n"),
                    numbers(column(&batch, &theirs).expect("theirs"), "").expect("n"),
                );
                let scale = |v: f64| if classes.is_empty() { v.abs().max(1.0) } else { 1.0 };
                a.iter().zip(&b).for_each(|(a, b)| worst = worst.max((a - b).abs() / scale(*b)));
                made.push(a);
            }
            if !classes.is_empty() {
                let mut row = 0;
                texts(column(&batch, "expected_label").expect("label"), "", |label| {
                    let best = (0..classes.len()).fold(0, |best, c| if made[c][row] > made[best][row] { c } else { best });
                    assert_eq!(label, Some(classes[best].as_str()), "{name}, row {row}");
                    row += 1;
                })
                .expect("texts");
            }
        }
        assert!(rows >= 30, "{name}: only {rows} rows");
        worst
    }

    #[test]
    fn models_say_here_what_they_say_in_scikit_learn() {
        let manifest: Json = serde_json::from_slice(&std::fs::read(Path::new(FOLDER).join("manifest.json")).expect("file")).expect("json");
        let mut compared = 0;
        for (name, model) in manifest["models"].as_object().expect("models") {
            if ["unsupported", "knn"].contains(&name.as_str()) {
                continue;
            }
            let distance = distance(name, model);
            assert!(distance <= 1e-5, "{name} is {distance} off");
            compared += 1;
        }
        assert!(compared >= 20, "only {compared} models were compared");
    }

    #[test]
    fn what_cannot_be_evaluated_is_named() {
        let open = |name: &str, task: &str| {
            let source: Source = serde_json::from_value(serde_json::json!({
                "file": "x.parquet", "onnx": name, "label": "label", "features": ["a"], "task": task
            }))
            .expect("source");
            Evaluated::open(&source, &Path::new(FOLDER).join(name)).map(drop).map_err(|e| e.to_string())
        };
        for (name, task, expected) in [
            ("unsupported.onnx", "regression", "it uses the operator Conv, which cannot be evaluated here"),
            ("knn.onnx", "multiclass", "the operators Scan, TopK"),
            ("corrupt.onnx", "binary", "it is no ONNX model"),
            ("absent.onnx", "binary", "there is no such model"),
            ("logistic.onnx", "binary", "takes 30 columns, and `features` names 1"),
            ("logistic.onnx", "regression", "it is no regression"),
        ] {
            let why = open(name, task).expect_err(name);
            assert!(why.contains(expected), "{name}: {why}");
        }
    }

    #[test]
    fn the_positive_class_is_named_and_never_the_second_column() {
        let open = |positive: Json| {
            let source: Source = serde_json::from_value(serde_json::json!({
                "file": "x.parquet", "onnx": "m", "label": "label", "positive": positive, "features": vec!["a"; 30]
            }))
            .expect("source");
            let made = Evaluated::open(&source, &Path::new(FOLDER).join("string_labels.onnx")).map_err(|e| e.to_string())?;
            match made.makes {
                Makes::Score(class) => Ok::<_, String>(class),
                _ => Err("no score".into()),
            }
        };
        assert_eq!(open("churn".into()), Ok(0));
        assert_eq!(open("stay".into()), Ok(1));
        assert!(open(Json::Null).expect_err("no positive").contains("Name it in `positive`"));
        assert!(open("chrun".into()).expect_err("typo").contains("did you mean `churn`?"));
    }
}
