//! Where a version comes from: tables, columns, and the steps between, for people and for other tools.

use serde_json::{Value, json};

use super::{Dataset, Meta};

/// What `lineage.json` says of one version.
pub fn lineage(name: &str, dataset: &Dataset, meta: &Meta, md5: &str) -> Value {
    let mut steps = vec![match &meta.query {
        Some(query) => json!({"step": "query", "file": meta.source, "sql": query, "sha256": meta.query_sha256}),
        None => json!({"step": "table", "table": meta.source}),
    }];
    if let Some(columns) = &dataset.order_by {
        steps.push(json!({"step": "order", "by": columns}));
    }
    if !dataset.partition_by.is_empty() {
        steps.push(json!({"step": "partition", "by": dataset.partition_by}));
    }
    let columns = meta.columns.iter().map(|c| json!({"name": c.name, "type": c.kind, "source_type": c.source, "from": c.from}));
    json!({
        "dataset": name,
        "description": dataset.description,
        "path": &*dataset.out,
        "version": {"md5": md5, "content": meta.content, "rows": meta.rows, "created_at": meta.created_at},
        "upstream_datasets": meta.upstream,
        "transformation_steps": steps,
        "columns": columns.collect::<Vec<_>>(),
        "schema_revision": meta.schema_revision,
        "database": meta.database,
    })
}
