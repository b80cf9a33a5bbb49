//! The rows that were left out, each with the reason, to be mended and loaded again.

use super::SeedError;
use super::bad::Origin;
use super::table::Filled;
use crate::ports::files::{FileError, Workspace};

/// Below the folder of reports, a file for each seed; the path, if there is something in it.
pub(super) fn write(workspace: &Workspace, out: &str, target: &str, filled: &Filled, origin: &Origin) -> Result<Option<String>, SeedError> {
    if out.is_empty() {
        return Ok(None);
    }
    let name: String = target.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let path = format!("{out}/rejects/{name}.csv");
    if filled.bad.is_empty() {
        // What an earlier run left out may be mended by now.
        workspace.remove(&path)?;
        return Ok(None);
    }
    let text = table(filled, origin).map_err(|why| FileError::Io { path: path.clone(), why })?;
    workspace.write(&path, &text)?;
    Ok(Some(path))
}

fn table(filled: &Filled, origin: &Origin) -> Result<Vec<u8>, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [if origin.lines { "line" } else { "row" }, "column", "reason"].into_iter().chain(filled.columns.iter().map(String::as_str));
    writer.write_record(head).map_err(|e| e.to_string())?;
    for row in &filled.bad {
        // NULL as COPY writes it: an empty text is another value.
        let cell = |at: usize| row.cells.get(at).map_or_else(String::new, |cell| cell.clone().unwrap_or_else(|| "\\N".into()));
        let record = [row.place.to_string(), row.column.clone().unwrap_or_default(), row.why.clone()];
        writer.write_record(record.into_iter().chain((0..filled.columns.len()).map(cell))).map_err(|e| e.to_string())?;
    }
    writer.into_inner().map_err(|e| e.to_string())
}
