//! TLS for Postgres: who is verified, and when.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};

use crate::tls::TlsMode;

pub(super) type Connector = tokio_postgres_rustls::MakeRustlsConnect;

/// `auto` trusts what stays on this machine or inside a CI network, and verifies everything else.
pub(super) fn resolve(mode: TlsMode, config: &tokio_postgres::Config) -> TlsMode {
    if mode != TlsMode::Auto {
        return mode;
    }
    if config.get_hosts().iter().all(is_near) { TlsMode::Prefer } else { TlsMode::VerifyFull }
}

fn is_near(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name.parse::<IpAddr>().map_or_else(|_| !name.contains('.'), |ip| ip.is_loopback()),
    }
}

pub(super) fn ssl_mode(mode: TlsMode) -> SslMode {
    match mode {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Auto | TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
    }
}

pub(super) fn connector(mode: TlsMode, ca: Option<&Path>) -> Result<Connector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let config = match mode {
        TlsMode::Auto | TlsMode::VerifyFull => builder.with_root_certificates(roots(ca)?).with_no_client_auth(),
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))).with_no_client_auth()
        }
    };
    Ok(Connector::new(config))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match ca {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|e| format!("{}: {e}", path.display()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|e| format!("{}: {e}", path.display()))?;
                store.add(certificate).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() { Err("no root certificate was found: install ca-certificates or name a file in `database.ca`".into()) } else { Ok(store) }
}

/// libpq's `prefer` and `require`: encrypted, but anyone may answer.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_verifies_what_is_far() {
        let mode = |url: &str| resolve(TlsMode::Auto, &url.parse().expect("url"));
        for near in ["postgres://u@localhost/d", "postgres://u@127.0.0.1/d", "postgres://u@postgres/d", "host=/run user=u"] {
            assert_eq!(mode(near), TlsMode::Prefer, "{near}");
        }
        for far in ["postgres://u@db.example.com/d", "postgres://u@10.0.0.1/d"] {
            assert_eq!(mode(far), TlsMode::VerifyFull, "{far}");
        }
    }
}
