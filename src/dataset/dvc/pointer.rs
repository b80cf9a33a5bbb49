//! A `.dvc` file: which bytes belong at a path.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use serde_saphyr::SingleQuoted;

use super::is_md5;

/// A pointer as it was read; everything in it that is not ours stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dataset) struct Pointer {
    text: Value,
}

/// What it says of one file or folder.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dataset) struct Out {
    /// With `.dir` for a folder.
    pub(in crate::dataset) md5: String,
    pub(in crate::dataset) size: u64,
    /// Of a folder.
    pub(in crate::dataset) files: Option<u64>,
    /// Relative to the pointer.
    pub(in crate::dataset) path: String,
    pub(in crate::dataset) meta: Value,
    /// Where this one is kept, if not where the others are.
    pub(in crate::dataset) remote: Option<String>,
    /// False: it is not to leave this machine.
    pub(in crate::dataset) push: bool,
}

impl Pointer {
    pub(in crate::dataset) fn parse(text: &str) -> Result<Self, String> {
        // YAML 1.2, as DVC reads it: a column may be called `n`.
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let text: Value =
            serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())?;
        let pointer = Self { text };
        if pointer.outs().is_empty() { Err("it has no `outs`: it is no pointer of DVC".into()) } else { Ok(pointer) }
    }

    pub(in crate::dataset) fn new() -> Self {
        Self { text: json!({"outs": []}) }
    }

    fn outs(&self) -> &[Value] {
        self.text.get("outs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// What it says of the one path, or of the only one.
    pub(in crate::dataset) fn out(&self, path: &str) -> Result<Out, String> {
        let all = self.outs();
        let of = |out: &&Value| out.get("path").and_then(Value::as_str) == Some(path);
        let out = all.iter().find(of).ok_or_else(|| format!("it says nothing about {path}"))?;
        let md5 = out.get("md5").and_then(Value::as_str).unwrap_or_default();
        if !is_md5(md5) {
            return Err(format!("`md5` of {path} is no digest in quotes"));
        }
        if out.get("hash").and_then(Value::as_str) != Some("md5") {
            return Err(format!("{path} is of DVC 2, whose digests are of other bytes: run `dvc cache migrate --dvc-files`"));
        }
        Ok(Out {
            md5: md5.into(),
            size: out.get("size").and_then(Value::as_u64).unwrap_or(0),
            files: out.get("nfiles").and_then(Value::as_u64),
            path: path.into(),
            meta: out.get("meta").cloned().unwrap_or(Value::Null),
            remote: out.get("remote").and_then(Value::as_str).map(str::to_owned),
            push: out.get("push").and_then(Value::as_bool).unwrap_or(true) && out.get("cache").and_then(Value::as_bool).unwrap_or(true),
        })
    }

    /// With another version of a path.
    #[must_use]
    pub(in crate::dataset) fn with(mut self, new: &Out) -> Self {
        let Some(outs) = self.text.get_mut("outs").and_then(Value::as_array_mut) else { return self };
        let known = outs.iter().position(|out| out.get("path").and_then(Value::as_str) == Some(&new.path));
        let at = known.unwrap_or_else(|| {
            outs.push(json!({"md5": "", "size": 0, "hash": "md5", "path": new.path}));
            outs.len() - 1
        });
        if let Some(out) = outs[at].as_object_mut() {
            out.insert("md5".into(), new.md5.clone().into());
            out.insert("size".into(), new.size.into());
            out.insert("hash".into(), "md5".into());
            match new.files {
                Some(files) => out.insert("nfiles".into(), files.into()),
                None => out.remove("nfiles"),
            };
            if !new.meta.is_null() {
                out.insert("meta".into(), new.meta.clone());
            }
        }
        self
    }

    /// DVC reads YAML 1.2, in which a digest of digits alone would be a number: it is always quoted.
    pub(in crate::dataset) fn write(&self) -> Result<String, String> {
        serde_saphyr::to_string(&Quoted(&self.text)).map_err(|e| e.to_string())
    }
}

struct Quoted<'a>(&'a Value);

impl Serialize for Quoted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    match value.as_str().filter(|text| key == "md5" && is_md5(text)) {
                        Some(md5) => out.serialize_entry(key, &SingleQuoted(md5))?,
                        None => out.serialize_entry(key, &Quoted(value))?,
                    }
                }
                out.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Quoted)),
            plain => plain.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(md5: &str) -> Out {
        Out {
            md5: md5.into(),
            size: 3,
            files: None,
            path: "a.parquet".into(),
            meta: json!({"rows": 1, "query": "select 1\nfrom t", "columns": [{"name": "n"}]}),
            remote: None,
            push: true,
        }
    }

    #[test]
    fn a_digest_is_quoted_and_comes_back() {
        for md5 in ["12345678901234567890123456789012", "123e4567890123456789012345678901", "abcdefabcdefabcdefabcdefabcdefab"] {
            let text = Pointer::new().with(&out(md5)).write().expect("yaml");
            assert!(text.contains(&format!("md5: '{md5}'")), "{text}");
            assert_eq!(Pointer::parse(&text).expect("pointer").out("a.parquet"), Ok(out(md5)));
        }
    }

    #[test]
    fn what_somebody_else_wrote_stays() {
        let theirs = "outs:\n- md5: 'abcdefabcdefabcdefabcdefabcdefab'\n  size: 1\n  hash: md5\n  path: a.parquet\n  desc: mine\n  labels: [x]\n- md5: '00000000000000000000000000000000'\n  hash: md5\n  path: b\nmeta: {who: me}\n";
        let text = Pointer::parse(theirs).expect("pointer").with(&out("11111111111111111111111111111111")).write().expect("yaml");
        for kept in ["desc: mine", "- x", "path: b", "who: me"] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_said() {
        assert!(Pointer::parse("stages: {}").is_err());
        let old = Pointer::parse("outs:\n- md5: 'abcdefabcdefabcdefabcdefabcdefab'\n  path: a.parquet\n").expect("pointer");
        assert!(old.out("a.parquet").expect_err("DVC 2").contains("dvc cache migrate"));
        let evil = Pointer::parse("outs:\n- {md5: '../../etc/passwd', hash: md5, path: a.parquet}\n").expect("pointer");
        assert!(evil.out("a.parquet").is_err());
    }
}
