//! One moving line on a terminal; elsewhere nothing, the report tells it all.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::Shell;
use crate::cli::When;
use crate::outcome::StageReport;
use crate::pipeline::Watch;
use crate::stats::float;

#[derive(Clone)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(shell: &Shell) -> Self {
        let show = match shell.global.progress {
            When::Always => true,
            When::Never => false,
            When::Auto => std::io::stderr().is_terminal() && !shell.global.quiet && !shell.json(),
        };
        if !show {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Rows as they are counted, their pace, and how long it takes about to the end.
    pub(super) fn rows(&self, name: &str, estimate: Option<u64>, rows: Arc<AtomicU64>) {
        let line = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (read, seconds) = (rows.load(Ordering::Relaxed), state.elapsed().as_secs_f64());
            let pace = float(read) / seconds.max(0.001);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pace, for people")]
            let shown = HumanCount(pace as u64);
            let _ = write!(out, "{} rows, {shown}/s", HumanCount(read));
            if let Some(rest) = estimate.filter(|all| *all > read && pace > 0.0) {
                let left = Duration::try_from_secs_f64(float(rest - read) / pace).unwrap_or_default();
                let _ = write!(out, ", about {} left", HumanDuration(left));
            }
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed} {rows}") {
            self.0.set_style(style.with_key("rows", line));
        }
        self.0.reset_elapsed();
        self.0.set_message(name.to_owned());
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Watch for Progress {
    fn started(&self, stage: &str) {
        self.0.set_message(stage.to_owned());
        tracing::debug!("{stage} starts");
    }

    fn finished(&self, stage: &StageReport) {
        tracing::debug!("{} {}", stage.name, stage.status.word());
    }
}
