use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged};
use crate::catalogue::Named;
use crate::names::RelPath;
use crate::outcome::{Outcome, Status};
use crate::quality::source::Source;
use crate::units::Bytes;

/// How large the model's file or folder may be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{file: model.onnx, max: 50MiB}`")]
pub struct Size {
    /// The file or folder.
    file: RelPath,
    /// More fails.
    max: Bytes,
    /// More warns.
    warn: Option<Bytes>,
}

impl Named for Size {
    const NAME: &'static str = "size";
}

impl GateType for Size {}

impl Gate for Size {
    fn mistake(&self, _: &Source) -> Option<String> {
        self.warn.is_some_and(|warn| warn > self.max).then(|| "`warn` lies above `max`, so it could never warn".into())
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let size = match judged.workspace.path(&self.file).map_err(|e| e.to_string()).and_then(|path| size_of(&path).map_err(|e| e.to_string())) {
            Ok(size) => Bytes(size),
            Err(why) => return judged.broken(Self::NAME, format!("{}: {why}", self.file)),
        };
        let status = match () {
            () if size.0 == 0 => Status::Broken,
            () if size > self.max => Status::Failed,
            () if self.warn.is_some_and(|warn| size > warn) => Status::Warned,
            () => Status::Passed,
        };
        let message = format!("{} has {size}; must be at most {}", self.file, self.max);
        vec![judged.outcome(Self::NAME, status, message).measured(crate::stats::float(size.0), format!("at most {}", self.max))]
    }
}

fn size_of(path: &std::path::Path) -> std::io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    std::fs::read_dir(path)?.map(|entry| size_of(&entry?.path())).sum()
}
