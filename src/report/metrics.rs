use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use schemars::JsonSchema;

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{RunReport, Status};

/// `metrics.prom`: measures, counts and times of the run as OpenMetrics text.
///
/// GitLab's metrics report compares them with those of the target branch; a Pushgateway or a textfile collector takes the
/// file as it is. Labels are stable from run to run, so that a change of a number is a change of that number.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Metrics {}

impl Named for Metrics {
    const NAME: &'static str = "metrics";
}

const FILE: &str = "metrics.prom";

#[async_trait]
impl Sink for Metrics {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        to.write(FILE, render(report)?.as_bytes())
    }
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    stage: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    status: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Measured {
    stage: String,
    subject: String,
    name: String,
}

type Number = Gauge<f64, AtomicU64>;

/// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
fn render(report: &RunReport) -> anyhow::Result<String> {
    let mut registry = Registry::with_prefix("mlops");
    let (seconds, outcomes, measures) = (Family::<Of, Number>::default(), Family::<Ended, Number>::default(), Family::<Measured, Number>::default());
    let (run, passed) = (Number::default(), Number::default());
    registry.register_with_unit("run", "Wall time of the whole run", Unit::Seconds, run.clone());
    registry.register("run_passed", "1 if the verdict lets the change through, warnings allowed", passed.clone());
    registry.register_with_unit("stage", "Wall time of a stage", Unit::Seconds, seconds.clone());
    registry.register("outcomes", "Results by how they ended", outcomes.clone());
    registry.register("measure", "What a check or metric measured", measures.clone());
    run.set(report.elapsed.as_secs_f64());
    passed.set(if Status::from(report.verdict).lets_on() { 1.0 } else { 0.0 });
    for status in [Status::Passed, Status::Warned, Status::Failed, Status::Broken, Status::Skipped] {
        let count = report.counts.get(status.word()).copied().unwrap_or_default();
        outcomes.get_or_create(&Ended { status: status.word() }).set(crate::stats::float(count as u64));
    }
    for stage in &report.stages {
        seconds.get_or_create(&Of { stage: stage.name.clone() }).set(stage.elapsed.as_secs_f64());
        for outcome in &stage.outcomes {
            let Some(value) = outcome.measure.as_ref().and_then(|m| m.value) else { continue };
            let labels = Measured { stage: stage.name.clone(), subject: outcome.subject.clone(), name: outcome.name.clone() };
            measures.get_or_create(&labels).set(value);
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{empty, report};
    use super::*;

    #[test]
    fn numbers_have_their_labels_and_nobodys_text_breaks_a_line() {
        let mut report = report();
        report.stages[0].outcomes[0] = report.stages[0].outcomes[0].clone().measured(27004.0, "at least 1000");
        report.stages[0].outcomes[1].subject = "a\"b\\c\nd".into();
        report.stages[0].outcomes[1] = report.stages[0].outcomes[1].clone().measured(0.16, "at most 0.2");
        let text = render(&report).expect("text");
        for line in [
            "mlops_run_seconds 1.5",
            "mlops_run_passed 0.0",
            "mlops_stage_seconds{stage=\"check\"} 0.04",
            "mlops_outcomes{status=\"failed\"} 1.0",
            "mlops_measure{stage=\"check\",subject=\"flights\",name=\"rows\"} 27004.0",
            "mlops_measure{stage=\"check\",subject=\"a\\\"b\\\\c\\nd\",name=\"references\"} 0.16",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(render(&empty()).expect("text").contains("mlops_outcomes{status=\"passed\"} 0.0"));
    }
}
