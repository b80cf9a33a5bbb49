/// Between which values a measure lies, whatever is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    pub const SHARE: Self = Self { low: 0.0, high: 1.0 };
    pub const LOSS: Self = Self { low: 0.0, high: f64::INFINITY };
    pub const CORRELATION: Self = Self { low: -1.0, high: 1.0 };
    /// Up to 1, and as far below 0 as a model is bad.
    pub const EXPLAINED: Self = Self { low: f64::NEG_INFINITY, high: 1.0 };

    /// Why bounds on it can never fail, or always do.
    pub fn misses(self, min: Option<f64>, max: Option<f64>) -> Option<String> {
        let Self { low, high } = self;
        match (min, max) {
            (Some(min), _) if min > high => Some(format!("it is never above {high}, so `min` {min} always fails")),
            (_, Some(max)) if max < low => Some(format!("it is never below {low}, so `max` {max} always fails")),
            (Some(min), None) if min <= low => Some(format!("it is never below {low}, so `min` {min} can never fail")),
            (None, Some(max)) if max >= high => Some(format!("it is never above {high}, so `max` {max} can never fail")),
            (Some(min), Some(max)) if min <= low && max >= high => Some(format!("it always lies between {low} and {high}, so it can never fail")),
            _ => None,
        }
    }

    /// The largest difference of two values.
    pub fn width(self) -> f64 {
        self.high - self.low
    }
}
