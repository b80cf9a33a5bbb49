//! The files of a model as `mlflow.pyfunc.load_model` reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use super::super::version::Version;
use super::run::spec;
use super::{FollowError, Follower};
use crate::ports::files::walk;
use crate::ports::objects::{Objects, Place};

/// A file to upload: its path in the model, and what it holds.
pub(super) enum Piece {
    File(String, PathBuf),
    Text(String, String),
}

/// Everything that belongs to the model: its own files, and what tells `MLflow` how to load them.
pub(super) fn pieces(version: &Version, at: &Path, ids: &[(&str, &str)]) -> Result<Vec<Piece>, FollowError> {
    let failed = |e: crate::ports::files::FileError| FollowError::Other(e.to_string());
    let mut pieces = Vec::new();
    if at.is_dir() {
        let mut files = Vec::new();
        walk(at, &mut files).map_err(failed)?;
        for file in files {
            let inside = file.strip_prefix(at).unwrap_or(&file).display().to_string();
            pieces.push(Piece::File(inside, file));
        }
    } else {
        let name = version.artifact_path.as_deref().and_then(|p| p.rsplit('/').next()).unwrap_or("model");
        pieces.push(Piece::File(name.to_owned(), at.to_owned()));
    }
    let has = |name: &str| pieces.iter().any(|piece| matches!(piece, Piece::File(path, _) if path == name));
    if has("MLmodel") {
        return Ok(pieces);
    }
    let find = |ends: &[&str]| {
        pieces.iter().find_map(|piece| match piece {
            Piece::File(path, _) if ends.iter().any(|end| path.ends_with(end)) => Some(path.clone()),
            _ => None,
        })
    };
    let framework = version.framework.as_deref().unwrap_or("other");
    let mut flavors = Map::new();
    let packages: &[&str] = match framework {
        "onnx" => {
            let data = find(&[".onnx"]).unwrap_or_default();
            flavors.insert("python_function".into(), json!({"loader_module": "mlflow.onnx", "data": data, "env": ENV}));
            flavors.insert("onnx".into(), json!({"data": data, "onnx_version": "1.16.0", "providers": ["CPUExecutionProvider"]}));
            &["mlflow", "onnx", "onnxruntime"]
        }
        "sklearn" => {
            let data = find(&[".pkl", ".pickle"]).unwrap_or_default();
            flavors.insert(
                "python_function".into(),
                json!({"loader_module": "mlflow.sklearn", "model_path": data, "predict_fn": "predict", "env": ENV}),
            );
            flavors.insert("sklearn".into(), json!({"pickled_model": data, "serialization_format": "pickle"}));
            &["mlflow", "scikit-learn"]
        }
        // Nothing that pyfunc could load: the files are there, and that is all.
        _ => &[],
    };
    let requirements: String = packages.iter().map(|name| format!("{name}\n")).collect();
    let conda = json!({"channels": ["conda-forge"], "dependencies": ["python=3.11", "pip", {"pip": packages}], "name": "mlflow-env"});
    let env = json!({"python": "3.11", "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]});
    let described = [("requirements.txt", requirements), (ENV, yaml(&conda)), ("python_env.yaml", yaml(&env))];
    let described: Vec<Piece> = described.into_iter().filter(|(name, _)| !has(name)).map(|(name, text)| Piece::Text(name.into(), text)).collect();
    if !packages.is_empty() {
        pieces.extend(described);
    }
    let mut model = json!({"flavors": flavors, "utc_time_created": version.created_at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()});
    for (key, id) in ids {
        model[*key] = json!(id);
    }
    if let Some(signature) = signature(version) {
        model["signature"] = signature;
    }
    model["metadata"] = json!({"mlops.registry_version": version.version, "mlops.artifact_sha256": version.artifact_sha256});
    pieces.push(Piece::Text("MLmodel".into(), yaml(&model)));
    Ok(pieces)
}

const ENV: &str = "conda.yaml";

/// YAML holds JSON, and `MLflow` reads it with a reader of YAML.
fn yaml(json: &Json) -> String {
    format!("{json:#}\n")
}

/// Enforced when the model predicts, so only what is certain is said.
fn signature(version: &Version) -> Option<Json> {
    let signature = version.signature.as_ref()?;
    let side = |name: &str| signature[name].as_array().filter(|list| !list.is_empty());
    let tensor = |t: &Json, alone: bool| {
        let mut spec = json!({"type": "tensor", "tensor-spec": {"dtype": t["type"], "shape": t["shape"]}});
        if !alone {
            spec["name"] = t["name"].clone();
        }
        spec
    };
    let inputs: Json = match (side("inputs"), side("features")) {
        (Some(list), _) => list.iter().map(|t| tensor(t, list.len() == 1)).collect(),
        (None, Some(list)) => {
            list.iter().map(|f| json!({"type": spec(f["type"].as_str().unwrap_or_default()), "name": f["name"], "required": true})).collect()
        }
        (None, None) => return None,
    };
    let outputs = side("outputs").map(|list| list.iter().map(|t| tensor(t, false)).collect::<Json>());
    Some(json!({"inputs": inputs.to_string(), "outputs": outputs.map(|o| o.to_string()), "params": null}))
}

/// The folder below the artifact proxy: of `mlflow-artifacts:/1/…`, with a host or without, or of the proxy's own address.
fn proxied(uri: &str) -> Option<&str> {
    if let Some((_, folder)) = uri.split_once("/mlflow-artifacts/artifacts/") {
        return Some(folder);
    }
    let rest = uri.strip_prefix("mlflow-artifacts:")?;
    match rest.strip_prefix("//") {
        Some(with_host) => Some(with_host.split_once('/').map_or("", |(_, folder)| folder)),
        None => Some(rest.trim_start_matches('/')),
    }
}

/// Puts every piece below an address of the server's.
pub(super) async fn upload(follower: &Follower<'_>, uri: &str, pieces: &[Piece]) -> Result<(), FollowError> {
    if let Some(folder) = proxied(uri) {
        for piece in pieces {
            match piece {
                Piece::File(path, file) => follower.mlflow.put_file(&format!("{folder}/{path}"), file).await?,
                Piece::Text(path, text) => follower.mlflow.put_bytes(&format!("{folder}/{path}"), text.as_bytes()).await?,
            }
        }
        return Ok(());
    }
    if !uri.contains("://") || uri.starts_with("file:") {
        return Err(FollowError::Other(format!(
            "MLflow keeps artifacts in {uri}, a folder of its own machine: start it with --serve-artifacts and --artifacts-destination"
        )));
    }
    let place = Place { url: uri.to_owned(), settings: BTreeMap::new() };
    let objects = Objects::open(&place, follower.env).map_err(|e| FollowError::Other(e.to_string()))?;
    let failed = |e: String| FollowError::Other(e);
    for piece in pieces {
        match piece {
            Piece::File(path, file) => objects.put(path, file).await.map_err(|e| failed(e.to_string()))?,
            Piece::Text(path, text) => {
                let written = tempfile::NamedTempFile::new().map_err(|e| failed(e.to_string()))?;
                std::fs::write(written.path(), text).map_err(|e| failed(e.to_string()))?;
                objects.put(path, written.path()).await.map_err(|e| failed(e.to_string()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_folder_is_known_by_every_spelling() {
        for uri in [
            "mlflow-artifacts:/1/models/m",
            "mlflow-artifacts://h:5000/1/models/m",
            "mlflow-artifacts:///1/models/m",
            "http://h:5000/api/2.0/mlflow-artifacts/artifacts/1/models/m",
        ] {
            assert_eq!(proxied(uri), Some("1/models/m"), "{uri}");
        }
        assert_eq!(proxied("s3://bucket/1"), None);
    }
}
