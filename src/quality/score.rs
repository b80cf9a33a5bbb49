/// What a metric is, and what a reader must know of it. Not a number: not defined, and the note says why.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub value: f64,
    pub note: Option<String>,
}

impl Score {
    pub fn undefined(why: impl Into<String>) -> Self {
        Self { value: f64::NAN, note: Some(why.into()) }
    }

    pub fn noted(value: f64, note: impl Into<String>) -> Self {
        Self { value, note: Some(note.into()) }
    }

    /// The note as it follows the value.
    pub fn aside(&self) -> String {
        self.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default()
    }
}

impl From<f64> for Score {
    fn from(value: f64) -> Self {
        Self { value, note: None }
    }
}

/// Four decimals are enough to read; `report.json` has them all.
pub fn digits(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 { format!("{value:.2e}") } else { format!("{value:.4}") }
}
