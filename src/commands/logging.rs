//! Log lines on standard error. Every one of them passes the mask, whoever wrote it.

use std::io::{self, Write};
use std::sync::RwLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::{Global, LogFormat};
use crate::runner::harmless;
use crate::secret::Mask;

/// The one mask of the process: lines may be written before and after the configuration is known.
static MASK: RwLock<Option<Mask>> = RwLock::new(None);

pub(super) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => "warn,mlops_action=info",
        (false, 1) => "info,mlops_action=debug",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_new(level).unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Masked).with_ansi(false);
    // One masked line instead of a raw trace: a panic's message may quote anything.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", panic.to_string().replace('\n', " "))));
    // A second run in one process finds the first one's logger.
    let _ = match global.log_format {
        LogFormat::Text => builder.without_time().with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

pub(super) fn set_mask(mask: &Mask) {
    if let Ok(mut slot) = MASK.write() {
        *slot = Some(mask.clone());
    }
}

pub(super) fn hide(text: &str) -> String {
    match MASK.read().ok().as_deref() {
        Some(Some(mask)) => mask.hide(text),
        _ => Mask::default().hide(text),
    }
}

struct Masked;

impl<'a> MakeWriter<'a> for Masked {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Masked {
    /// The subscriber writes a whole line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(harmless(&hide(&String::from_utf8_lossy(line))).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
