//! Any HTTP service, such as a model that answers requests.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method};
use serde_json::Value;

/// More of an answer is not read.
const LARGEST: usize = 4 << 20;

#[derive(Clone)]
pub struct Http {
    client: Client,
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Http {
    /// `Err` says what is wrong with a header or the certificate.
    pub fn new(timeout: Duration, headers: &BTreeMap<String, String>, ca: Option<&Path>) -> Result<Self, String> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let key = HeaderName::from_str(name).map_err(|_| format!("`{name}` is no name of a header"))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` holds a character that none may hold"))?;
            value.set_sensitive(true);
            all.insert(key, value);
        }
        // A redirect would take headers and body to another host: its status is the answer.
        let mut builder = Client::builder().timeout(timeout).default_headers(all).redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca {
            let pem = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| e.to_string())?;
            if certificates.is_empty() {
                return Err(format!("{} holds no certificate", path.display()));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self { client: builder.build().map_err(|e| e.to_string())? })
    }

    /// `Err` says why no answer came. With a body it is a POST.
    pub async fn call(&self, url: &str, body: Option<&Value>) -> Result<Answer, String> {
        let mut request = self.client.request(if body.is_some() { Method::POST } else { Method::GET }, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut answer = request.send().await.map_err(said)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(said)? {
            if body.len() + chunk.len() > LARGEST {
                return Err("the answer is larger than 4 MiB".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
}

/// The innermost cause says most; the address may hold a secret.
fn said(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the time limit".into();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
