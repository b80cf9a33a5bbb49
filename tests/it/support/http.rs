//! A small HTTP server, with or without TLS, that answers as a test tells it to.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Status, body, and how long it takes.
pub type Answer = (u16, String, Duration);

pub fn serve(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> String {
    listen(answer, None, "http")
}

/// With a certificate of its own; the path of it, for whoever trusts it.
pub fn serve_tls(folder: &std::path::Path, answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> String {
    let (key, cert) = (folder.join("key.pem"), folder.join("ca.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certs = vec![CertificateDer::from_pem_file(&cert).expect("certificate")];
    let key = PrivateKeyDer::from_pem_file(&key).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(certs, key).expect("config");
    listen(answer, Some(Arc::new(config)), "https")
}

fn listen(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static, tls: Option<Arc<rustls::ServerConfig>>, scheme: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, tls) = (answer.clone(), tls.clone());
            std::thread::spawn(move || match tls {
                Some(config) => {
                    let connection = rustls::ServerConnection::new(config).expect("connection");
                    one(rustls::StreamOwned::new(connection, stream), &*answer);
                }
                None => one(stream, &*answer),
            });
        }
    });
    format!("{scheme}://{address}")
}

fn one(stream: impl Read + Write, answer: &(impl Fn(&str, &str) -> Answer + ?Sized)) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    let Ok(1..) = reader.read_line(&mut line) else { return };
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        let Ok(1..) = reader.read_line(&mut header) else { return };
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, text, takes) = answer(&path, &String::from_utf8_lossy(&body));
    std::thread::sleep(takes);
    // A redirect goes where its body says.
    let location = if (300..400).contains(&status) { format!("location: {text}/\r\n") } else { String::new() };
    let head =
        format!("HTTP/1.1 {status} X\r\n{location}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    let stream = reader.get_mut();
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())).and_then(|()| stream.flush());
}
