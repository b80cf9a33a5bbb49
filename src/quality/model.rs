//! One model of `gates.model`: its predictions, its metrics with bounds, and its gates.

use std::sync::Mutex;
use std::time::Instant;

use rayon::prelude::*;

use super::QualityError;
use super::gates::{self, Elsewhere, Gate, Judged, Missing};
use super::metrics::{Chosen, kinds};
use super::pictures;
use super::score::digits;
use super::source::{Server, Source, Splits, Wanted, read, read_with};
use super::table::{Data, Table};
use super::view::View;
use crate::bounds::Bounds;
use crate::mistakes::{Mistakes, suggestion};
use crate::node::{Key, Node};
use crate::outcome::{Location, Outcome, Status};
use crate::picture::Picture;
use crate::ports::files::Workspace;
use crate::units::{counted, percent};

/// All model gates of a project.
#[derive(Default)]
pub struct Gates {
    pub models: Vec<ModelGate>,
}

/// What was found of a model, and what there is to see.
pub struct Evaluated {
    pub outcomes: Vec<Outcome>,
    pub pictures: Vec<Picture>,
}

pub struct ModelGate {
    pub name: String,
    pub source: Source,
    metrics: Vec<Gated>,
    gates: Vec<Placed>,
    location: Location,
}

/// A metric with its bounds.
struct Gated {
    metric: Chosen,
    bounds: Bounds,
    location: Location,
}

struct Placed {
    name: &'static str,
    gate: Box<dyn Gate>,
    location: Location,
}

const BOUNDS: [&str; 4] = ["min", "max", "between", "warn"];

pub fn parse(node: &Node, file: &str, mistakes: &mut Mistakes) -> Gates {
    if !node.is_map() {
        mistakes.add(node.place, "`gates.model` is a map of models");
    }
    Gates { models: node.entries().iter().filter_map(|(key, node)| model(key, node, file, mistakes)).collect() }
}

fn model(key: &Key, node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<ModelGate> {
    let catalogue = gates::catalogue();
    let locate = |key: &Key| Location { file: file.to_owned(), line: key.place.line, column: key.place.column };
    let (mut source, mut metrics, mut gates) = (None, vec![], vec![]);
    for (part, settings) in node.entries() {
        match part.name.as_str() {
            "predictions" => source = Some(predictions(settings, mistakes)),
            "metrics" => {
                if settings.entries().is_empty() {
                    mistakes.add(part.place, "`metrics` is a map of metrics and their bounds, such as `{roc_auc: 0.8}`");
                }
                metrics = settings.entries().iter().flat_map(|(key, node)| gated(key, node, &locate(key), mistakes)).collect();
            }
            name => match catalogue.get(name) {
                Some(_) if settings.items().is_empty() => mistakes.add(part.place, format!("`{name}` is an empty list, so nothing would be gated")),
                Some(entry) => {
                    let built = settings.items().into_iter().filter_map(|item| Some((entry.build(item, mistakes)?, item.place)));
                    gates.extend(built.map(|(gate, place)| (Placed { name: entry.name, gate, location: locate(part) }, place)));
                }
                None => {
                    let known = catalogue.names().into_iter().chain(["predictions", "metrics"]);
                    let help = suggestion(name, known.collect::<Vec<_>>().iter().copied(), "keys");
                    mistakes.add_with_help(part.place, format!("unknown key `{name}` in model `{}`", key.name), help);
                }
            },
        }
    }
    let Some(source) = source else {
        mistakes.add(key.place, format!("model `{}` has no `predictions`", key.name));
        return None;
    };
    let source = source?;
    // What was asked for and is wrong has been said already.
    if node.entries().iter().all(|(part, _)| part.name == "predictions") {
        mistakes.add(key.place, format!("model `{}` has no `metrics`, so nothing would be gated", key.name));
    }
    let task = source.task()?;
    for gated in &metrics {
        if let Some(why) = gated.metric.misfit(task, source.has_scores()) {
            let silent = source.onnx.is_some() && source.task.is_none();
            let why = if silent { format!("{why}: a model in ONNX is taken for a binary one unless `task` says otherwise") } else { why };
            mistakes.add(crate::mistakes::Place { line: gated.location.line, column: gated.location.column }, why);
        }
    }
    for (placed, place) in &gates {
        if let Some(why) = placed.gate.mistake(&source) {
            mistakes.add(*place, format!("{}: {why}", placed.name));
        }
    }
    let gates = gates.into_iter().map(|(placed, _)| placed).collect();
    Some(ModelGate { name: key.name.clone(), source, metrics, gates, location: locate(key) })
}

fn predictions(node: &Node, mistakes: &mut Mistakes) -> Option<Source> {
    let source = node.decode::<Source>(mistakes)?;
    if let Some(why) = source.mistake() {
        mistakes.add(node.place, format!("predictions: {why}"));
        return None;
    }
    Some(source)
}

/// One metric, or a list of the same with other settings.
fn gated(key: &Key, node: &Node, location: &Location, mistakes: &mut Mistakes) -> Vec<Gated> {
    let kinds = kinds();
    let Some(kind) = kinds.iter().find(|kind| kind.entry.name == key.name) else {
        let names = kinds.iter().map(|kind| kind.entry.name).collect::<Vec<_>>();
        mistakes.add_with_help(key.place, format!("unknown metric `{}`", key.name), suggestion(&key.name, names.iter().copied(), "metrics"));
        return vec![];
    };
    if node.items().is_empty() {
        mistakes.add(key.place, format!("`{}` is an empty list, so nothing would be gated", key.name));
    }
    let one = |node: &Node, mistakes: &mut Mistakes| {
        let settings = kind.entry.long_form(node);
        let own: Vec<String> = kind.entry.settings().into_iter().map(|(name, _)| name).collect();
        let known: Vec<&str> = own.iter().map(String::as_str).chain(BOUNDS).collect();
        if let Some((unknown, _)) = settings.entries().iter().find(|(k, _)| !known.contains(&k.name.as_str())) {
            let help = suggestion(&unknown.name, known.iter().copied(), "keys");
            mistakes.add_with_help(unknown.place, format!("unknown key `{}` in `{}`", unknown.name, key.name), help);
            return None;
        }
        let (bounds, own): (Vec<_>, Vec<_>) = settings.entries().iter().cloned().partition(|(k, _)| BOUNDS.contains(&k.name.as_str()));
        let bounds = Node::map(bounds, settings.place).decode::<Bounds>(mistakes);
        let metric = Chosen::new(kind.entry.name, &Node::map(own, settings.place), mistakes);
        let bounds = bounds?;
        let metric = metric?;
        if let Some(why) = bounds.mistake().or_else(|| metric.range().misses(bounds.low(), bounds.high())) {
            mistakes.add(node.place, format!("{}: {why}", kind.entry.name));
            return None;
        }
        Some(Gated { metric, bounds, location: location.clone() })
    };
    node.items().into_iter().filter_map(|node| one(node, mistakes)).collect()
}

impl ModelGate {
    /// What `plan` says.
    pub fn describe(&self) -> String {
        let names = self.metrics.iter().map(|m| m.metric.name).chain(self.gates.iter().map(|g| g.name)).collect::<Vec<_>>();
        format!("{}: {} of {}", self.name, names.join(", "), self.source.shown())
    }

    /// Whether rows of the database are asked for.
    pub fn needs_database(&self) -> bool {
        let elsewhere = self.gates.iter().filter_map(|g| g.gate.champion()).any(|e| e.table.is_some() || e.query.is_some() || e.registry.is_some());
        elsewhere || self.source.table.is_some() || self.source.query.is_some()
    }

    /// Columns that gates want, each once.
    fn wanted(&self) -> Wanted {
        let once = |mut names: Vec<String>| {
            names.sort_unstable();
            names.dedup();
            names
        };
        let gates = || self.gates.iter().map(|g| &g.gate);
        Wanted {
            labels: once(gates().flat_map(|g| g.labels()).collect()),
            features: once(gates().flat_map(|g| g.features()).collect()),
            others: once(gates().flat_map(|g| g.others(&self.source)).collect()),
        }
    }

    pub async fn evaluate(&self, workspace: &Workspace, server: &dyn Server) -> Evaluated {
        let started = Instant::now();
        let splits = match read(&self.source, &self.wanted(), workspace, server).await {
            Ok(splits) => splits,
            Err(error) => {
                let outcome = Outcome::new(&self.name, "predictions", Status::Broken, error.to_string());
                let outcomes = vec![outcome.at(Some(self.location.clone())).took(started.elapsed())];
                return Evaluated { outcomes, pictures: vec![] };
            }
        };
        let mut outcomes = vec![self.read_outcome(&splits).took(started.elapsed())];
        let view = View::all(&splits.test);
        for gated in &self.metrics {
            let started = Instant::now();
            outcomes.push(self.judge(gated, &view).took(started.elapsed()));
        }
        let slices: Vec<_> = splits.test.labels.par_iter().map(|labels| (labels.name.as_str(), gates::slices(labels))).collect();
        let cuts: Vec<_> = slices.iter().map(|(name, slices)| (*name, gates::cuts(&splits.test, slices))).collect();
        let mut champions: Vec<(Elsewhere, Result<Table, Missing>)> = Vec::new();
        for place in self.gates.iter().filter_map(|g| g.gate.champion()) {
            if !champions.iter().any(|(known, _)| known == place) {
                let fine = self.gates.iter().any(|g| g.gate.champion() == Some(place) && g.gate.may_be_missing());
                champions.push((place.clone(), self.champion(place, fine, workspace, server).await));
            }
        }
        let drawn = Mutex::new(pictures::of(&self.name, &view));
        let seconds = if splits.timings.is_empty() { &splits.test.seconds } else { &splits.timings };
        let judged = Judged {
            model: &self.name,
            source: &self.source,
            test: &splits.test,
            view: &view,
            train: splits.train.as_ref(),
            cuts: &cuts,
            kinds: &splits.kinds,
            seconds,
            champions: &champions,
            workspace,
            pictures: &drawn,
        };
        for placed in &self.gates {
            let started = Instant::now();
            let found = placed.gate.judge(&judged);
            let took = started.elapsed();
            outcomes.extend(found.into_iter().map(|outcome| outcome.at(Some(placed.location.clone())).took(took)));
        }
        Evaluated { outcomes, pictures: drawn.into_inner().unwrap_or_default() }
    }

    async fn champion(&self, place: &Elsewhere, fine: bool, workspace: &Workspace, server: &dyn Server) -> Result<Table, Missing> {
        let source = place.of(&self.source);
        let champion = match &place.registry {
            Some(stage) => server.champion(stage.as_str()).await.map(Some),
            None => Ok(None),
        };
        let read = match &champion {
            Ok(Some(champion)) => read_with(&source, &Wanted::default(), Some(champion.path()), workspace, server).await,
            Ok(None) => read(&source, &Wanted::default(), workspace, server).await,
            Err(QualityError::NotThere(why)) => Err(QualityError::NotThere(why.clone())),
            Err(other) => Err(QualityError::Wrong(other.to_string())),
        };
        match read {
            Ok(splits) if splits.test.unusable > 0 => Err(Missing::Unreadable(format!("{} of them are NULL or not finite", splits.test.unusable))),
            Ok(splits) => Ok(splits.test),
            Err(QualityError::NotThere(why)) if fine => Err(Missing::NotYet(why)),
            Err(other) => Err(Missing::Unreadable(other.to_string())),
        }
    }

    fn read_outcome(&self, splits: &Splits) -> Outcome {
        let rows = |table: &Table| counted(table.len() as u64, "row");
        let positive = match &splits.test.data {
            Data::Binary(_) => {
                let counts = View::all(&splits.test).confusion().clone();
                format!(" ({} positive)", percent(counts.support(1) / counts.total()))
            }
            Data::Classes(c) => format!(" of {} classes", c.names.len()),
            Data::Queries(q) => format!(" of {}", counted(u64::from(q.query.last().map_or(0, |last| last + 1)), "query")),
            Data::Numbers(_) => String::new(),
        };
        let train = splits.train.as_ref().map(|t| format!(", {} for training", rows(t))).unwrap_or_default();
        let chosen = splits.chosen.map(|at| format!("; the threshold is {}", digits(at))).unwrap_or_default();
        let unused = if splits.unused.is_empty() { String::new() } else { format!("; not used: rows of the split {}", splits.unused.join(", ")) };
        let message = format!("{} to judge{positive}{train}, from {}{chosen}{unused}", rows(&splits.test), self.source.shown());
        let unusable = [Some(&splits.test), splits.train.as_ref()].into_iter().flatten().map(|t| t.unusable).sum::<usize>();
        let judged = self.gates.iter().any(|g| g.gate.judges_unusable());
        let (status, message) = match unusable {
            0 => (Status::Passed, message),
            n if judged => (
                Status::Passed,
                format!("{message}; {} without a finite number {} left out", counted(n as u64, "prediction"), if n == 1 { "is" } else { "are" }),
            ),
            n => (
                Status::Broken,
                format!("{}: {} NULL, NaN or infinite; to allow some, say how many in `sanity.nan`", self.source.shown(), counted_are(n)),
            ),
        };
        Outcome::new(&self.name, "predictions", status, message).at(Some(self.location.clone()))
    }

    fn judge(&self, gated: &Gated, view: &View) -> Outcome {
        let (name, expected) = (gated.metric.name, gated.bounds.sentence());
        let score = gated.metric.compute(view);
        let message = if score.value.is_nan() {
            format!("{name} is not defined for these predictions{}; {expected}", score.aside())
        } else {
            format!("{name} is {}{}; {expected}", digits(score.value), score.aside())
        };
        Outcome::new(&self.name, name, gated.bounds.judge(score.value), message).measured(score.value, expected).at(Some(gated.location.clone()))
    }
}

fn counted_are(n: usize) -> String {
    format!("{} {}", counted(n as u64, "prediction"), if n == 1 { "is" } else { "are" })
}
