//! What the clients of HTTP services share.

use std::path::Path;

use reqwest::{Certificate, ClientBuilder};

/// Trusts what a file holds too. A redirect would take headers and body to another host: its status is the answer.
pub(super) fn careful(mut builder: ClientBuilder, ca: Option<&Path>) -> Result<reqwest::Client, String> {
    builder = builder.redirect(reqwest::redirect::Policy::none());
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
    builder.build().map_err(|e| e.to_string())
}

/// The innermost cause says most; the address may hold a secret.
pub(super) fn said(error: reqwest::Error) -> String {
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
