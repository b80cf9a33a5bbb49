//! Where an artifact comes from, for tools that verify it: an in-toto statement (<https://in-toto.io/Statement/v1>) with SLSA
//! provenance (<https://slsa.dev/spec/v1.0/provenance>), signed as DSSE (<https://github.com/secure-systems-lab/dsse>).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value as Json, json};

use super::version::Version;
use crate::ports::files::sha256;

pub const PAYLOAD: &str = "application/vnd.in-toto+json";

/// Recorded facts, and nothing else.
pub fn statement(version: &Version) -> Result<Json, String> {
    let sha = version.artifact_sha256.as_ref().ok_or_else(|| format!("{} was adopted without an artifact", version.title()))?;
    let name = version.artifact_path.as_deref().unwrap_or("artifact");
    let subject = |name: String, digest: &str| json!({"name": name, "digest": {"sha256": digest}});
    let subjects: Vec<Json> = match &version.artifact_files {
        Some(files) => files.iter().map(|file| subject(format!("{}/{}", name.trim_end_matches('/'), file.path), &file.sha256)).collect(),
        None => vec![subject(name.to_owned(), sha)],
    };
    let mut dependencies = Vec::new();
    if let Some(commit) = &version.git_sha {
        dependencies.push(json!({"name": "source", "digest": {"gitCommit": commit}}));
    }
    for data in &version.datasets {
        let mut digest = Map::from_iter([("mlopsContent".to_owned(), json!(data.content))]);
        digest.extend(data.md5.as_ref().map(|md5| ("md5".to_owned(), json!(md5))));
        dependencies.push(json!({"name": data.name, "digest": digest, "annotations": {"rows": data.rows, "source": data.source}}));
    }
    let external = json!({
        "model": version.model, "version": version.version, "label": version.label, "params": version.params, "framework": version.framework,
    });
    let internal = json!({
        "database": version.database, "schemaRevision": version.schema_revision, "schemaDigest": version.schema_digest,
        "gatesPassed": version.gates_passed, "artifactDigest": sha, "sourceWasDirty": version.git_dirty,
    });
    let mut metadata = Map::from_iter([("finishedOn".to_owned(), json!(version.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))]);
    metadata.extend(version.ci_run_url.as_ref().map(|url| ("invocationId".to_owned(), json!(url))));
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://github.com/org/mlops-action/model@v1",
                "externalParameters": external,
                "internalParameters": internal,
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": "https://github.com/org/mlops-action", "version": {"mlops-action": env!("CARGO_PKG_VERSION")}},
                "metadata": metadata,
            },
        },
    }))
}

/// What is signed: the type and the bytes, each with its length.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The statement in an envelope, signed with a private key of the caller's.
pub fn signed(statement: &Json, key: &Path) -> Result<Json, String> {
    let shown = key.display();
    let der = PrivatePkcs8KeyDer::from_pem_file(key)
        .map_err(|e| format!("{shown}: it is no private key in PEM (PKCS #8; `openssl pkcs8 -topk8 -nocrypt` makes one of other forms): {e}"))?;
    let payload = statement.to_string();
    let bytes = encoded(payload.as_bytes());
    let (signature, public) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()) {
        (pair.sign(&bytes).as_ref().to_vec(), pair.public_key().as_ref().to_vec())
    } else {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der(), &random);
        let pair = pair.map_err(|_| format!("{shown}: the key is neither Ed25519 nor ECDSA P-256"))?;
        let signature = pair.sign(&random, &bytes).map_err(|_| format!("{shown}: signing failed"))?;
        (signature.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
    };
    let id = sha256(&public);
    Ok(json!({"payloadType": PAYLOAD, "payload": STANDARD.encode(&payload), "signatures": [{"keyid": id, "sig": STANDARD.encode(signature)}]}))
}
