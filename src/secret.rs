//! Secrets print as stars, and every text that leaves the program passes the mask.

use std::fmt;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// A value that must not be shown: a URL with a password, a token.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(#[schemars(with = "String")] SecretString);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

const STARS: &str = "***";

/// Passwords that everyone knows: masking `postgres` everywhere would blank the host's name and protect nothing.
const PUBLIC: [&str; 6] = ["postgres", "password", "test", "root", "admin", "mlops"];

/// Replaces known secrets in any text.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    /// Longest first, so that a secret inside another is not shown in part.
    needles: Vec<String>,
}

impl Mask {
    /// Hides a value wherever it stands; of a URL, its password (as written and decoded).
    pub fn add(&mut self, value: &str) {
        let url = url::Url::parse(value).ok();
        match url.as_ref().and_then(|u| u.password()) {
            Some(password) => {
                let decoded = percent_decoded(password);
                self.add_needle(password);
                self.add_needle(&decoded);
            }
            None if url.as_ref().is_some_and(url::Url::has_host) => {}
            None => self.add_needle(value),
        }
        if let Some(url) = url {
            for (key, value) in url.query_pairs() {
                if is_secret_key(&key) {
                    self.add_needle(&value);
                }
            }
        }
    }

    fn add_needle(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            if line.len() >= 4 && !PUBLIC.contains(&line) && !self.needles.iter().any(|n| n == line) {
                self.needles.push(line.to_owned());
            }
        }
        self.needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    pub fn needles(&self) -> &[String] {
        &self.needles
    }

    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = text.replace(needle.as_str(), STARS);
            }
        }
        hide_url_passwords(&text)
    }

    /// Every string in a JSON tree, keys excepted.
    pub fn hide_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.hide(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.hide_json(item)),
            serde_json::Value::Object(entries) => entries.values_mut().for_each(|entry| self.hide_json(entry)),
            _ => {}
        }
    }
}

/// Keys whose values from the environment are secrets.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    ["url", "token", "password", "secret", "api_key"].iter().any(|word| key.contains(word))
}

/// `postgres://app:…@host` shows no password, whether it was announced or not.
fn hide_url_passwords(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '`' | '<')).unwrap_or(after.len());
        let authority = &after[..end];
        match authority.rfind('@').and_then(|at| authority[..at].find(':').map(|colon| (colon, at))) {
            Some((colon, at)) => {
                shown.push_str(&authority[..=colon]);
                shown.push_str(STARS);
                shown.push_str(&authority[at..]);
            }
            None => shown.push_str(authority),
        }
        rest = &after[end..];
    }
    shown.push_str(rest);
    shown
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes()).next().map_or_else(|| text.to_owned(), |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_in_every_form() {
        let mut mask = Mask::default();
        mask.add("postgres://app:p%40ss-w0rd@db:5432/x?sslmode=disable");
        mask.add("glpat-1234567890");
        assert_eq!(mask.hide("p@ss-w0rd and p%40ss-w0rd"), "*** and ***");
        assert_eq!(mask.hide("token glpat-1234567890."), "token ***.");
        assert_eq!(mask.hide("host db stays"), "host db stays");
    }

    #[test]
    fn a_url_never_shows_its_password_even_unannounced() {
        let mask = Mask::default();
        assert_eq!(mask.hide("at postgres://a:b@h/d and http://x/y"), "at postgres://a:***@h/d and http://x/y");
        assert_eq!(mask.hide("postgres://postgres:postgres@postgres/d"), "postgres://postgres:***@postgres/d");
        assert_eq!(mask.hide("s3://a:b@c@h \"x://u:p@h\""), "s3://a:***@h \"x://u:***@h\"");
    }

    #[test]
    fn a_secret_inside_another_does_not_uncover_it() {
        let mut mask = Mask::default();
        mask.add("abcd");
        mask.add("abcd-efgh");
        assert_eq!(mask.hide("abcd-efgh abcd"), "*** ***");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }
}
