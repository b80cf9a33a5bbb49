//! One moving line on a terminal; elsewhere nothing, the report tells it all.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Shell;
use crate::cli::When;
use crate::outcome::StageReport;
use crate::pipeline::Watch;

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
