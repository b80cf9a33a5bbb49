//! What the APIs of the code hosts have in common: who is asked again, when, and for how long.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use http_body_util::{BodyExt, Limited};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use super::client::careful;

/// What went wrong, where, and what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {url}: {why}{}", remedy.as_ref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct ApiError {
    pub method: Method,
    pub url: String,
    pub status: Option<u16>,
    pub why: String,
    pub remedy: Option<String>,
    again: Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    Soon,
    /// As the server asked for.
    In(Duration),
}

impl ApiError {
    /// A refusal inside an answer that looks well.
    pub(super) fn answered(url: &str, why: String) -> Self {
        Self { status: Some(StatusCode::OK.as_u16()), ..refused(&Method::POST, url, why) }
    }
}

/// Where a code host is, and as whom it is asked.
pub struct At<'a> {
    /// `GITHUB_API_URL` or `CI_API_V4_URL`, taken as it is: it may have a path of its own.
    pub api: &'a str,
    /// `owner/name` on GitHub, the project's id or path on GitLab.
    pub project: &'a str,
    pub token: &'a str,
    pub ca: Option<&'a Path>,
    /// When all calls must be through, retries included.
    pub until: std::time::Instant,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the server says of an error.
    pub fn message(&self) -> String {
        let json: Json = serde_json::from_slice(&self.body).unwrap_or_default();
        let said = match (&json["message"], &json["error"]) {
            (Json::String(text), _) | (Json::Null, Json::String(text)) => text.clone(),
            (Json::Null, _) => String::new(),
            (other, _) => other.to_string(),
        };
        let details: Vec<&str> = json["errors"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str()).collect();
        let all = if details.is_empty() { said } else { format!("{said} ({})", details.join(", ")) };
        all.chars().take(300).collect()
    }
}

/// One exchange with a host, and what its errors mean.
#[async_trait]
pub(super) trait Wire: Send + Sync {
    async fn exchange(&self, method: &Method, url: &str, body: Option<&Json>) -> Result<Answer, String>;
    fn remedy(&self, answer: &Answer) -> Option<String>;
}

pub(super) struct Api<W> {
    wire: W,
    base: Url,
    /// When reports must be through: what does not fit is given up.
    until: Instant,
    last_write: Mutex<Option<Instant>>,
}

/// Between two writes, as GitHub asks of its guests: what another job has on its way has arrived by then.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
const PAUSE: Duration = Duration::from_secs(1);
/// Hops of a renamed repository.
const REDIRECTS: usize = 5;
/// GitHub: "wait for at least one minute" where a secondary limit names no time.
const SECONDARY: Duration = Duration::from_mins(1);

impl<W: Wire> Api<W> {
    pub fn new(wire: W, at: &At<'_>) -> Result<Self, String> {
        let base = Url::parse(&format!("{}/", at.api.trim_end_matches('/'))).map_err(|e| format!("{}: {e}", at.api))?;
        Ok(Self { wire, base, until: at.until.into(), last_write: Mutex::default() })
    }

    /// `path` without a leading slash: the base may have a path of its own.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Answer, ApiError> {
        let writes = method != Method::GET;
        self.call_url(method, &self.url(path), body, writes).await
    }

    pub async fn call_url(&self, method: Method, url: &str, body: Option<&Json>, writes: bool) -> Result<Answer, ApiError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_mins(1))
            .with_jitter()
            .without_max_times();
        let once = || async {
            if writes {
                self.take_turn().await;
            }
            self.once(&method, url, body).await
        };
        // Waiting longer than there is time would only end later.
        let fits = |delay: Duration| (Instant::now() + delay < self.until).then_some(delay);
        once.retry(backoff)
            .when(|error: &ApiError| error.again != Again::Never)
            .adjust(|error, delay| match error.again {
                Again::In(asked) => fits(asked),
                Again::Soon => delay.and_then(fits),
                Again::Never => None,
            })
            .notify(|error, delay| tracing::info!("{} {}: {}; asking again in {delay:.0?}", error.method, error.url, error.why))
            .await
    }

    pub async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Json>) -> Result<T, ApiError> {
        let answer = self.call(method.clone(), path, body).await?;
        self.read(&method, path, &answer)
    }

    /// Who saw only a part would not know whether the rest matters.
    pub fn endless(&self, path: &str) -> ApiError {
        refused(&Method::GET, &self.url(path), format!("there are more than {PAGES} pages"))
    }

    pub fn read<T: DeserializeOwned>(&self, method: &Method, path: &str, answer: &Answer) -> Result<T, ApiError> {
        serde_json::from_slice(&answer.body).map_err(|e| refused(method, &self.url(path), format!("the answer is not what was expected: {e}")))
    }

    /// Until the next write may go out.
    pub async fn rest(&self) {
        let before = *self.last_write.lock().await;
        if let Some(before) = before {
            sleep_until((before + PAUSE).min(self.until)).await;
        }
    }

    async fn take_turn(&self) {
        self.rest().await;
        *self.last_write.lock().await = Some(Instant::now());
    }

    /// A redirect is followed as it was sent, and only to the same host: the token goes with it.
    async fn once(&self, method: &Method, url: &str, body: Option<&Json>) -> Result<Answer, ApiError> {
        let mut at = url.to_owned();
        for _ in 0..REDIRECTS {
            let silent = || Err("no answer within `report.timeout`".to_owned());
            let exchanged = timeout_at(self.until, self.wire.exchange(method, &at, body)).await.unwrap_or_else(|_| silent());
            let answer = exchanged.map_err(|why| ApiError {
                remedy: Some(
                    "is the API reachable from here, through a proxy (HTTPS_PROXY) or with another certificate authority (`report.ca`)?".into(),
                ),
                again: Again::Soon,
                ..refused(method, &at, why)
            })?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            if !answer.status.is_redirection() {
                return Err(self.judged(method, &at, &answer));
            }
            let target = answer.headers.get(LOCATION).and_then(|l| l.to_str().ok()).and_then(|l| self.base.join(l).ok());
            match target {
                Some(target) if target.origin() == self.base.origin() => at = target.into(),
                Some(target) => {
                    let why = format!("{} to {}, where the token is not sent", answer.status, target.origin().ascii_serialization());
                    return Err(refused(method, &at, why));
                }
                None => return Err(refused(method, &at, format!("{} to nowhere", answer.status))),
            }
        }
        Err(refused(method, url, "redirected in circles".into()))
    }

    fn judged(&self, method: &Method, url: &str, answer: &Answer) -> ApiError {
        let message = answer.message();
        let why = format!("{}{}{message}", answer.status, if message.is_empty() { "" } else { ": " });
        let again = again(answer, &message, chrono::Utc::now().timestamp());
        let remedy = match again {
            Again::Never => self.wire.remedy(answer),
            Again::In(wait) => Some(format!("the host asks to wait for {} s", wait.as_secs())),
            Again::Soon => Some("the host has a problem of its own: run the job again later".into()),
        };
        ApiError { status: Some(answer.status.as_u16()), remedy, again, ..refused(method, url, why) }
    }
}

/// What another attempt would not change.
fn refused(method: &Method, url: &str, why: String) -> ApiError {
    ApiError { method: method.clone(), url: url.into(), status: None, why, remedy: None, again: Again::Never }
}

/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>; GitLab sends `Retry-After` with 429.
fn again(answer: &Answer, message: &str, now: i64) -> Again {
    let number = |name: &str| answer.header(name).and_then(|text| text.trim().parse::<i64>().ok());
    let seconds = |n: i64| Duration::from_secs(n.max(1).unsigned_abs());
    let said = message.to_lowercase();
    let limited = answer.status == StatusCode::TOO_MANY_REQUESTS
        || (answer.status == StatusCode::FORBIDDEN
            && (number("retry-after").is_some()
                || number("x-ratelimit-remaining") == Some(0)
                || said.contains("rate limit")
                || said.contains("abuse detection")));
    if limited {
        let reset = number("x-ratelimit-reset").or_else(|| number("ratelimit-reset")).filter(|_| number("x-ratelimit-remaining") == Some(0));
        return match (number("retry-after"), reset) {
            (Some(wait), _) => Again::In(seconds(wait)),
            (None, Some(at)) => Again::In(seconds(at - now)),
            (None, None) => Again::In(SECONDARY),
        };
    }
    match answer.status.as_u16() {
        408 | 500 | 502..=504 => number("retry-after").map_or(Again::Soon, |wait| Again::In(seconds(wait))),
        _ => Again::Never,
    }
}

/// More pages than any change has.
pub(super) const PAGES: usize = 200;
/// A page of a hundred comments of the greatest length has less.
const LARGEST: usize = 128 << 20;

pub(super) async fn whole<B>(body: B) -> Result<Vec<u8>, String>
where
    B: BodyExt,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = Limited::new(body, LARGEST).collect().await;
    read.map(|all| all.to_bytes().to_vec()).map_err(|e| format!("the answer cannot be read: {e}"))
}

/// The client under both hosts: proxies and authorities of the system, and those of a file.
pub(super) fn client(ca: Option<&Path>) -> Result<Client, String> {
    let builder = Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
        .user_agent(concat!("mlops-action/", env!("CARGO_PKG_VERSION")));
    careful(builder, ca)
}

/// What a token is, by its prefix.
pub fn kind_of_token(token: &str) -> &'static str {
    // https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
    // https://docs.gitlab.com/security/tokens/#token-prefixes
    const KINDS: [(&str, &str); 9] = [
        ("ghs_", "a token of a job or an app (ghs_)"),
        ("ghp_", "a classic personal access token (ghp_)"),
        ("github_pat_", "a fine-grained personal access token (github_pat_)"),
        ("gho_", "an OAuth token (gho_)"),
        ("ghu_", "a token of an app for a user (ghu_)"),
        ("glpat-", "a personal, project or group access token (glpat-)"),
        ("glcbt-", "a job token (glcbt-)"),
        ("gldt-", "a deploy token (gldt-)"),
        ("glptt-", "a trigger token (glptt-)"),
    ];
    KINDS.iter().find(|(prefix, _)| token.starts_with(prefix)).map_or("a token of a kind that its prefix does not tell", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, value.parse().expect("value"));
        }
        Answer { status: StatusCode::from_u16(status).expect("status"), headers: all, body: vec![] }
    }

    #[test]
    fn a_limit_is_told_from_a_refusal_and_its_time_is_kept() {
        type Case = (u16, &'static [(&'static str, &'static str)], &'static str, Again);
        let cases: [Case; 12] = [
            (403, &[], "Resource not accessible by integration", Again::Never),
            (403, &[("x-ratelimit-remaining", "57")], "Must have admin rights", Again::Never),
            (403, &[("retry-after", "7")], "", Again::In(Duration::from_secs(7))),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")], "", Again::In(Duration::from_secs(30))),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")], "", Again::In(Duration::from_secs(1))),
            (403, &[], "You have exceeded a secondary rate limit", Again::In(SECONDARY)),
            (429, &[], "", Again::In(SECONDARY)),
            (429, &[("retry-after", "0")], "", Again::In(Duration::from_secs(1))),
            (401, &[], "Bad credentials", Again::Never),
            (422, &[], "Validation Failed", Again::Never),
            (502, &[], "", Again::Soon),
            (503, &[("retry-after", "5")], "", Again::In(Duration::from_secs(5))),
        ];
        for (status, headers, message, expected) in cases {
            assert_eq!(again(&answer(status, headers), message, 1000), expected, "{status} {headers:?} {message}");
        }
    }

    #[test]
    fn a_token_is_known_by_its_prefix() {
        assert!(kind_of_token("ghs_x").contains("job") && kind_of_token("glcbt-64_x").contains("job token"));
        assert!(kind_of_token("0123456789abcdef").contains("does not tell"));
    }
}
