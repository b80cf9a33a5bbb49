//! `MLflow`'s REST API: <https://mlflow.org/docs/latest/api_reference/rest-api.html>.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value as Json;

use super::client::{careful, said};

/// What a segment of a path may not hold as it is.
const SEGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}').add(b'/').add(b'+');

pub struct Mlflow {
    client: Client,
    base: String,
    /// For people: without a password.
    shown: String,
    auth: Auth,
}

enum Auth {
    Nobody,
    Basic(String, String),
    Bearer(String),
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum MlflowError {
    #[error("MLflow at {at} cannot be reached: {why}")]
    Unreachable { at: String, why: String },
    #[error("MLflow at {at} answers {status} to {call}: {message}{}", help.map(|h| format!("; {h}")).unwrap_or_default())]
    Answer { at: String, call: String, status: u16, code: String, message: String, help: Option<&'static str> },
}

impl MlflowError {
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Answer { code, .. } if code == wanted)
    }

    /// Asked again, it would say the same; nothing is wrong with the way to it.
    pub fn is_final(&self) -> bool {
        matches!(self.status(), Some(400 | 404 | 405 | 409..=428)) && matches!(self, Self::Answer { code, .. } if !code.is_empty())
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            Self::Unreachable { .. } => None,
        }
    }
}

impl Mlflow {
    pub fn new(uri: &str, ca: Option<&Path>, timeout: Duration, env: &BTreeMap<String, String>) -> Result<Self, String> {
        let url = url::Url::parse(uri.trim_end_matches('/')).map_err(|e| format!("`{}` is no address: {e}", "registry.mlflow.uri"))?;
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
        let auth = match (set("MLFLOW_TRACKING_USERNAME"), set("MLFLOW_TRACKING_PASSWORD"), set("MLFLOW_TRACKING_TOKEN")) {
            (Some(user), password, _) => Auth::Basic(user, password.unwrap_or_default()),
            (None, _, Some(token)) => Auth::Bearer(token),
            _ if !url.username().is_empty() => {
                let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
                Auth::Basic(decoded(url.username()), decoded(url.password().unwrap_or_default()))
            }
            _ => Auth::Nobody,
        };
        let mut plain = url.clone();
        let _ = (plain.set_username(""), plain.set_password(None));
        let client = careful(Client::builder().timeout(timeout), ca)?;
        let base = plain.to_string().trim_end_matches('/').to_owned();
        Ok(Self { client, shown: base.clone(), base, auth })
    }

    pub fn url(&self) -> &str {
        &self.shown
    }

    /// Sends what `make` makes; a server that says "later" is asked again, unless it may have done what it was told all the
    /// same (`only_once`).
    async fn send(&self, call: &str, only_once: bool, make: impl Fn() -> Result<RequestBuilder, String>) -> Result<Response, MlflowError> {
        let retry = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_delay(Duration::from_secs(4)).with_max_times(4);
        let once = || async {
            let request = make().map_err(|why| self.unreachable(why))?;
            let request = match &self.auth {
                Auth::Nobody => request,
                Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
                Auth::Bearer(token) => request.bearer_auth(token),
            };
            let response = request.send().await.map_err(|e| self.unreachable(said(e)))?;
            if response.status().is_success() { Ok(response) } else { Err(self.answer(call, response).await) }
        };
        let later = |error: &MlflowError| match error.status() {
            Some(429) => true,
            Some(502..=504) => !only_once,
            _ => false,
        };
        once.retry(retry).when(later).await
    }

    fn unreachable(&self, why: String) -> MlflowError {
        MlflowError::Unreachable { at: self.shown.clone(), why }
    }

    async fn answer(&self, call: &str, response: Response) -> MlflowError {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let json: Option<Json> = serde_json::from_str(&text).ok();
        let field = |name: &str| json.as_ref().and_then(|j| j[name].as_str()).map(str::to_owned);
        // What is no JSON may be a page; its first lines say most.
        let plain = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('<')).take(2).collect::<Vec<_>>().join(" ");
        let message = field("message").unwrap_or(plain);
        let help = help(status, &message).or_else(|| field("error_code").is_none().then_some(ADDRESS));
        let message = message.chars().take(400).collect();
        MlflowError::Answer {
            at: self.shown.clone(),
            call: call.into(),
            status: status.as_u16(),
            code: field("error_code").unwrap_or_default(),
            message,
            help,
        }
    }

    /// `path`: below `/api/`, such as `2.0/mlflow/runs/get`.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json, MlflowError> {
        let url = format!("{}/api/{path}", self.base);
        let response = self.send(path, false, || Ok(self.client.get(&url).query(query))).await?;
        self.json(path, response).await
    }

    pub async fn post(&self, path: &str, body: &Json) -> Result<Json, MlflowError> {
        self.call(Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Json) -> Result<Json, MlflowError> {
        self.call(Method::PATCH, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: &Json) -> Result<Json, MlflowError> {
        let url = format!("{}/api/{path}", self.base);
        let response = self.send(path, true, || Ok(self.client.request(method.clone(), &url).json(body))).await?;
        self.json(path, response).await
    }

    async fn json(&self, path: &str, response: Response) -> Result<Json, MlflowError> {
        let text = response.text().await.map_err(|e| self.unreachable(said(e)))?;
        if text.trim().is_empty() {
            return Ok(Json::Null);
        }
        serde_json::from_str(&text).map_err(|_| self.strange(path, "what it answers is no JSON"))
    }

    fn strange(&self, call: &str, message: &str) -> MlflowError {
        let help = Some(ADDRESS);
        MlflowError::Answer { at: self.shown.clone(), call: call.into(), status: 200, code: String::new(), message: message.into(), help }
    }

    /// The server's major version, which it tells everybody; whoever tells none is no MLflow.
    pub async fn major(&self) -> Result<u32, MlflowError> {
        let url = format!("{}/version", self.base);
        let response = self.send("version", false, || Ok(self.client.get(&url))).await?;
        let text = response.text().await.map_err(|e| self.unreachable(said(e)))?;
        let version = text.trim();
        version.split_once('.').and_then(|(major, _)| major.parse().ok()).ok_or_else(|| self.strange("version", "what it answers is no version"))
    }

    fn artifact_url(&self, path: &str) -> String {
        let segments: Vec<String> = path.split('/').map(|segment| utf8_percent_encode(segment, SEGMENT).to_string()).collect();
        format!("{}/api/2.0/mlflow-artifacts/artifacts/{}", self.base, segments.join("/"))
    }

    /// By the artifact proxy; `path` is what follows `mlflow-artifacts:/`. `file` is read anew at each attempt.
    pub async fn put_file(&self, path: &str, file: &Path) -> Result<(), MlflowError> {
        let url = self.artifact_url(path);
        let call = format!("artifacts/{path}");
        let make = || {
            let open = std::fs::File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
            let bytes = open.metadata().map_err(|e| format!("{}: {e}", file.display()))?.len();
            // With its length: some servers take a body in chunks for an empty one.
            let request = self.client.put(&url).timeout(Duration::from_mins(10)).header(CONTENT_LENGTH, bytes);
            Ok(request.body(reqwest::Body::from(tokio::fs::File::from_std(open))))
        };
        self.send(&call, false, make).await.map(drop)
    }

    pub async fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<(), MlflowError> {
        let url = self.artifact_url(path);
        self.send(&format!("artifacts/{path}"), false, || Ok(self.client.put(&url).body(bytes.to_vec()))).await.map(drop)
    }

    /// False where there is none.
    pub async fn get_file(&self, path: &str, into: &mut impl Write) -> Result<bool, MlflowError> {
        let url = self.artifact_url(path);
        let found = self.send(&format!("artifacts/{path}"), false, || Ok(self.client.get(&url).timeout(Duration::from_mins(10)))).await;
        let mut response = match found {
            Ok(response) => response,
            // Some stores say so with an error of theirs.
            Err(error) if error.status() == Some(404) || error.is("RESOURCE_DOES_NOT_EXIST") => return Ok(false),
            Err(error) => return Err(error),
        };
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(said(e)))? {
            into.write_all(&chunk).map_err(|e| self.unreachable(e.to_string()))?;
        }
        Ok(true)
    }
}

const ADDRESS: &str = "is this the address of an MLflow server, with its path where it has one?";

fn help(status: StatusCode, message: &str) -> Option<&'static str> {
    if message.contains("Invalid Host header") {
        return Some("the server does not know itself by this name: start it with MLFLOW_SERVER_ALLOWED_HOSTS=<host>:<port>");
    }
    match status.as_u16() {
        401 => Some("set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
        403 => Some("this user may not do that on the server"),
        429 => Some("the server asks for less; it was asked again several times"),
        301 | 302 | 307 | 308 => Some("the server sends elsewhere: give the address to which it leads"),
        _ => None,
    }
}
