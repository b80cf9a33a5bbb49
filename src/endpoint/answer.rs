//! What an answer must look like.

use serde_json::Value as Json;

use super::settings::Predict;
use crate::ports::http::Answer;

pub struct Shape<'a>(&'a Predict);

/// The value at a path with dots: names of objects, numbers of lists.
fn at<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, step| match json {
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

impl<'a> Shape<'a> {
    pub fn of(predict: &'a Predict) -> Self {
        Self(predict)
    }

    pub fn has_status(&self, answer: &Answer) -> bool {
        answer.status == self.0.status.unwrap_or(200)
    }

    fn json(&self, answer: &Answer) -> Result<Json, String> {
        if !self.has_status(answer) {
            return Err(format!("status {} instead of {}", answer.status, self.0.status.unwrap_or(200)));
        }
        serde_json::from_slice(&answer.body).map_err(|e| format!("the answer is no JSON: {e}"))
    }

    /// What is not as promised.
    pub fn mistake(&self, answer: &Answer) -> Option<String> {
        if self.0.has.is_empty() && self.0.within.is_empty() {
            return (!self.has_status(answer)).then(|| format!("status {} instead of {}", answer.status, self.0.status.unwrap_or(200)));
        }
        let json = match self.json(answer) {
            Ok(json) => json,
            Err(why) => return Some(why),
        };
        let missing = self.0.has.iter().find(|path| at(&json, path).is_none_or(Json::is_null));
        missing.map(|path| format!("the answer has no `{path}`")).or_else(|| {
            let outside = |(path, [low, high]): (&String, &[f64; 2])| match at(&json, path).map(|v| v.as_f64()) {
                None => Some(format!("the answer has no `{path}`")),
                Some(None) => Some(format!("`{path}` is no number")),
                Some(Some(v)) => (!(*low..=*high).contains(&v)).then(|| format!("`{path}` is {v}, which lies outside {low} to {high}")),
            };
            self.0.within.iter().find_map(outside)
        })
    }

    pub fn number(&self, answer: &Answer, path: &str) -> Result<f64, String> {
        let json = self.json(answer)?;
        at(&json, path).and_then(Json::as_f64).ok_or_else(|| format!("the answer has no number `{path}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_path_and_judged() {
        let predict: Predict = serde_json::from_str(r#"{"path": "/", "body": {}, "has": ["a.0.b"], "within": {"a.0.b": [0, 1]}}"#).expect("settings");
        let of = |status: u16, body: &str| Shape::of(&predict).mistake(&Answer { status, body: body.into() });
        assert_eq!(of(200, r#"{"a": [{"b": 0.5}]}"#), None);
        for (status, body, expected) in [
            (500, "{}", "status 500 instead of 200"),
            (200, "oops", "no JSON"),
            (200, r#"{"a": []}"#, "no `a.0.b`"),
            (200, r#"{"a": [{"b": null}]}"#, "no `a.0.b`"),
            (200, r#"{"a": [{"b": "x"}]}"#, "is no number"),
            (200, r#"{"a": [{"b": 2}]}"#, "outside 0 to 1"),
        ] {
            let why = of(status, body).expect(body);
            assert!(why.contains(expected), "{body}: {why}");
        }
    }
}
