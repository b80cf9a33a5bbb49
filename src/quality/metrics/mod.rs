//! Metrics: each one file, registered once, for the tasks that it is defined for.

mod accuracy;
mod average_precision;
mod balanced_accuracy;
mod brier;
mod by_query;
mod calibration;
mod chosen;
mod ece;
mod explained_variance;
mod f1;
mod fbeta;
mod kappa;
mod log_loss;
mod mae;
mod map;
mod mape;
mod max_error;
mod mcc;
mod mce;
mod median_ae;
mod mrr;
mod mse;
mod ndcg;
mod one_vs;
mod pinball;
mod precision;
mod precision_at_k;
mod prelude;
mod r2;
mod recall;
mod rmse;
mod rmsle;
mod roc_auc;
mod specificity;
mod top_k_accuracy;

use serde::de::DeserializeOwned;

pub use self::calibration::{BINS, bins};
pub use self::chosen::Chosen;
pub use self::median_ae::median;
use super::confusion::Confusion;
use super::range::Range;
use super::score::Score;
use super::table::Table;
use super::task::Task;
use super::view::View;
use crate::catalogue::{Catalogue, Entry, Named};

/// What a row adds to a metric that is a mean.
pub type Term<'a> = Box<dyn Fn(usize) -> f64 + Send + Sync + 'a>;

/// One metric of model quality. The type is the settings, the name and the work.
pub trait Metric: Send + Sync {
    /// Of the counts of right and wrong decisions, where they are enough.
    fn of_counts(&self, _: &Confusion) -> Option<Score> {
        None
    }

    /// What each row adds, where the metric is a mean; nothing for a table that it is not for.
    fn terms<'a>(&self, _: &'a Table) -> Option<Term<'a>> {
        None
    }

    /// The metric from the mean of the terms.
    fn of_mean(&self, mean: f64) -> Score {
        mean.into()
    }

    fn compute(&self, view: &View) -> Score {
        if let Some(term) = self.terms(view.table) {
            return self.of_mean(view.mean(term));
        }
        self.of_counts(view.confusion()).unwrap_or_else(|| Score::undefined("it is not defined for these values"))
    }

    /// Between which values it lies; nothing: 0 and 1 where more is better, else from 0 on.
    fn range(&self) -> Option<Range> {
        None
    }

    /// Settings that contradict each other.
    fn mistake(&self) -> Option<String> {
        None
    }
}

/// What a metric says of itself, beyond its name.
pub trait MetricType: Metric + Named + DeserializeOwned + 'static {
    const TASKS: &'static [Task];
    /// Whether it needs the probabilities of classes, and not their decision alone.
    const SCORES: bool = false;
}

/// A metric in the catalogue.
pub struct Kind {
    pub entry: Entry<dyn Metric>,
    pub tasks: &'static [Task],
    pub scores: bool,
}

fn kind<T: MetricType>() -> Kind {
    let entry: Entry<dyn Metric> = Entry::new::<T>(|node, mistakes| {
        let metric: T = node.decode(mistakes)?;
        if let Some(why) = metric.mistake() {
            mistakes.add(node.place, format!("{}: {why}", T::NAME));
            return None;
        }
        Some(Box::new(metric) as Box<dyn Metric>)
    });
    Kind { entry, tasks: T::TASKS, scores: T::SCORES }
}

impl Kind {
    pub fn higher_is_better(&self) -> bool {
        self.entry.short == Some("min")
    }
}

/// Every metric, in the order in which a reader should meet them.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<accuracy::Accuracy>(),
        kind::<balanced_accuracy::BalancedAccuracy>(),
        kind::<precision::Precision>(),
        kind::<recall::Recall>(),
        kind::<specificity::Specificity>(),
        kind::<f1::F1>(),
        kind::<fbeta::Fbeta>(),
        kind::<mcc::Mcc>(),
        kind::<kappa::Kappa>(),
        kind::<roc_auc::RocAuc>(),
        kind::<average_precision::AveragePrecision>(),
        kind::<top_k_accuracy::TopKAccuracy>(),
        kind::<log_loss::LogLoss>(),
        kind::<brier::Brier>(),
        kind::<ece::Ece>(),
        kind::<mce::Mce>(),
        kind::<rmse::Rmse>(),
        kind::<mse::Mse>(),
        kind::<mae::Mae>(),
        kind::<median_ae::MedianAe>(),
        kind::<max_error::MaxError>(),
        kind::<mape::Mape>(),
        kind::<rmsle::Rmsle>(),
        kind::<pinball::Pinball>(),
        kind::<r2::R2>(),
        kind::<explained_variance::ExplainedVariance>(),
        kind::<ndcg::Ndcg>(),
        kind::<precision_at_k::PrecisionAtK>(),
        kind::<map::Map>(),
        kind::<mrr::Mrr>(),
    ]
}

pub fn catalogue() -> Catalogue<dyn Metric> {
    Catalogue { family: "metric", entries: kinds().into_iter().map(|kind| kind.entry).collect() }
}
