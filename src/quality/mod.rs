//! Model quality: predictions in, metrics out, each judged against its bounds.

mod accuracy;
mod average_precision;
mod balanced_accuracy;
mod brier;
mod f1;
mod gate;
mod log_loss;
mod mcc;
mod precision;
mod predictions;
mod ranked;
mod recall;
mod roc_auc;

pub use self::gate::{Gates, ModelGate, parse, schema};
pub use self::predictions::{Predictions, Source};

use serde::de::DeserializeOwned;

use crate::catalogue::{Catalogue, Entry, Named};
use crate::node::Node;

/// One number about predictions; NaN where it is not defined. scikit-learn's definitions, to the last digit.
pub trait Metric: Send + Sync {
    fn compute(&self, predictions: &Predictions) -> f64;
}

/// Adds the metric to the catalogue; `SHORT` is `min` where more is better, `max` where less is.
fn metric<T: Metric + Named + DeserializeOwned + 'static>() -> Entry<dyn Metric> {
    Entry::new::<T>(|node: &Node, mistakes| Some(Box::new(node.decode::<T>(mistakes)?) as Box<dyn Metric>))
}

pub fn catalogue() -> Catalogue<dyn Metric> {
    let entries = vec![
        metric::<accuracy::Accuracy>(),
        metric::<balanced_accuracy::BalancedAccuracy>(),
        metric::<precision::Precision>(),
        metric::<recall::Recall>(),
        metric::<f1::F1>(),
        metric::<mcc::Mcc>(),
        metric::<roc_auc::RocAuc>(),
        metric::<average_precision::AveragePrecision>(),
        metric::<log_loss::LogLoss>(),
        metric::<brier::Brier>(),
    ];
    Catalogue { family: "metric", entries }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::mistakes::{Mistakes, Place};

    /// Values computed by scikit-learn 1.9.1.
    const GOLDEN: &str = include_str!("../../fixtures/golden/binary-metrics.json");

    fn compute(name: &str, predictions: &Predictions) -> f64 {
        let settings = Node::map(vec![], Place::default());
        let metric = catalogue().get(name).expect(name).build(&settings, &mut Mistakes::default()).expect(name);
        metric.compute(predictions)
    }

    #[test]
    fn every_metric_agrees_with_scikit_learn() {
        let golden: Json = serde_json::from_str(GOLDEN).expect("json");
        let mut compared = 0;
        for case in golden["cases"].as_array().expect("cases") {
            let numbers = |key: &str| case[key].as_array().expect(key).iter().map(|v| v.as_f64().expect("number")).collect::<Vec<_>>();
            let y: Vec<bool> = numbers("y").iter().map(|v| *v == 1.0).collect();
            let predictions = Predictions::new(y, numbers("p"), case["threshold"].as_f64().expect("threshold")).expect("predictions");
            for name in catalogue().names() {
                let ours = compute(name, &predictions);
                // scikit-learn's `zero_division=0`, where the choice exists.
                let expect = &case["expect"];
                let theirs = expect.get(name).or_else(|| expect.get(format!("{name}_zero_division_0"))).expect(name);
                match theirs.as_f64() {
                    Some(theirs) => {
                        assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0), "{name} of {}: {ours} instead of {theirs}", case["name"]);
                    }
                    None => assert!(ours.is_nan(), "{name} of {}: {ours} instead of NaN", case["name"]),
                }
                compared += 1;
            }
        }
        assert!(compared >= 130, "only {compared} values were compared");
    }
}
