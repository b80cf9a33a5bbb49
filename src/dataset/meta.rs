//! What a version says about itself, beside the digest of its bytes: where the rows came from, and what they are.

use serde::{Deserialize, Serialize};

use super::field::Field;
use super::origins::Origins;

/// Under `meta` of the pointer: DVC keeps it and asks nothing about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// The query's file, or the table.
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    pub query_sha256: String,
    pub rows: u64,
    pub columns: Vec<MetaColumn>,
    /// The tables that the rows come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// Of rows and schema, in whatever order.
    pub content: String,
    /// The bytes that all this is about: DVC keeps what stands here when it writes another version.
    pub of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_revision: Option<String>,
    pub database: String,
    pub created_at: String,
}

/// The keys that are ours; what else stands there is somebody's.
pub(super) const KEYS: [&str; 11] =
    ["source", "query", "query_sha256", "rows", "columns", "upstream", "content", "of", "schema_revision", "database", "created_at"];

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaColumn {
    pub name: String,
    /// In the file.
    #[serde(rename = "type")]
    pub kind: String,
    /// On the server.
    pub source: String,
    /// The tables' columns that it is made of, as far as the planner tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

impl MetaColumn {
    pub(super) fn of(field: &Field, origins: &Origins) -> Self {
        let from = origins.columns.get(&field.name).cloned().unwrap_or_default();
        Self { name: field.name.clone(), kind: field.kind.word(), source: field.server_type.clone(), from }
    }
}
