//! Any HTTP service, such as a model that answers requests.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;

use super::client::{careful, said};

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
        Ok(Self { client: careful(Client::builder().timeout(timeout).default_headers(all), ca)? })
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
