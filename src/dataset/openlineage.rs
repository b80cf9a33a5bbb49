//! Events that lineage tools understand: <https://openlineage.io/spec/2-0-2/OpenLineage.json>.

use serde_json::{Map, Value, json};

use super::{Dataset, Meta, Written};

const PRODUCER: &str = "https://github.com/org/mlops-action";

/// What all events of a run share.
pub struct Emitter {
    /// Of the jobs.
    pub project: String,
    /// `user@host:port/database`.
    pub endpoint: String,
}

/// One dataset's way through a run.
pub struct Job<'a> {
    pub run_id: String,
    pub name: &'a str,
    pub dataset: &'a Dataset,
}

/// What a gate said about a table.
pub struct Assertion {
    pub table: String,
    pub column: Option<String>,
    pub check: String,
    pub success: bool,
    pub message: String,
}

impl Emitter {
    pub fn start(&self, job: &Job<'_>, time: &str) -> Value {
        self.event("START", job, time, json!({}), vec![], vec![], None)
    }

    pub fn fail(&self, job: &Job<'_>, time: &str, message: &str) -> Value {
        let run = json!({"errorMessage": facet("1-0-1", "ErrorMessageRunFacet", json!({"message": message, "programmingLanguage": "SQL"}))});
        self.event("FAIL", job, time, run, vec![], vec![], None)
    }

    pub fn complete(&self, job: &Job<'_>, time: &str, written: &Written, assertions: &[Assertion]) -> Value {
        let inputs = written.meta.upstream.iter().map(|table| self.input(table, assertions)).collect();
        self.event("COMPLETE", job, time, json!({}), inputs, vec![self.output(job.dataset, written)], Some(&written.meta))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of an event")]
    fn event(&self, kind: &str, job: &Job<'_>, time: &str, run: Value, inputs: Vec<Value>, outputs: Vec<Value>, meta: Option<&Meta>) -> Value {
        let kinds = json!({"processingType": "BATCH", "integration": "MLOPS", "jobType": "EXPORT"});
        let mut facets = Map::from_iter([("jobType".to_owned(), facet("2-0-4", "JobTypeJobFacet", kinds))]);
        if let Some(query) = meta.and_then(|m| m.query.as_ref()) {
            facets.insert("sql".into(), facet("1-1-0", "SQLJobFacet", json!({"query": query, "dialect": "postgres"})));
        }
        json!({
            "eventType": kind,
            "eventTime": time,
            "producer": PRODUCER,
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": job.run_id, "facets": run},
            "job": {"namespace": self.project, "name": job.name, "facets": facets},
            "inputs": inputs,
            "outputs": outputs,
        })
    }

    /// `postgres://host:port`, and the database.
    fn server(&self) -> (String, &str) {
        let (host, database) = self.endpoint.rsplit_once('/').unwrap_or((&self.endpoint, ""));
        (format!("postgres://{}", host.split_once('@').map_or(host, |(_, host)| host)), database)
    }

    fn name(&self, table: &str) -> String {
        let schema = if table.contains('.') { "" } else { "public." };
        format!("{}.{schema}{table}", self.server().1)
    }

    fn input(&self, table: &str, assertions: &[Assertion]) -> Value {
        let (namespace, _) = self.server();
        let bare = table.rsplit('.').next().unwrap_or(table);
        let of_table = assertions.iter().filter(|a| a.table == table || (a.table == bare && !a.table.contains('.')));
        let rows: Vec<Value> = of_table
            .map(|a| {
                let mut row = json!({"assertion": a.check, "success": a.success, "description": a.message});
                if let (Some(column), Some(row)) = (&a.column, row.as_object_mut()) {
                    row.insert("column".into(), column.clone().into());
                }
                row
            })
            .collect();
        let mut input = json!({
            "namespace": namespace,
            "name": self.name(table),
            "facets": {"dataSource": facet("1-0-1", "DatasourceDatasetFacet", json!({"name": namespace, "uri": namespace}))},
        });
        if !rows.is_empty() {
            input["inputFacets"] = json!({"dataQualityAssertions": facet("1-1-0", "DataQualityAssertionsDatasetFacet", json!({"assertions": rows}))});
        }
        input
    }

    fn output(&self, dataset: &Dataset, written: &Written) -> Value {
        let meta = &written.meta;
        let (namespace, _) = self.server();
        let fields: Vec<Value> = meta.columns.iter().map(|c| json!({"name": c.name, "type": c.kind})).collect();
        let input = |column: &String| {
            let (table, field) = column.rsplit_once('.').unwrap_or(("", column));
            json!({"namespace": namespace, "name": self.name(table), "field": field})
        };
        let from = meta.columns.iter().filter(|c| !c.from.is_empty());
        let columns: Map<String, Value> =
            from.map(|c| (c.name.clone(), json!({"inputFields": c.from.iter().map(input).collect::<Vec<_>>()}))).collect();
        json!({
            "namespace": "file",
            "name": &*dataset.out,
            "facets": {
                "schema": facet("1-2-0", "SchemaDatasetFacet", json!({"fields": fields})),
                "dataSource": facet("1-0-1", "DatasourceDatasetFacet", json!({"name": &*dataset.out, "uri": format!("file:{}", &*dataset.out)})),
                "version": facet("1-0-1", "DatasetVersionDatasetFacet", json!({"datasetVersion": written.md5})),
                "columnLineage": facet("1-2-0", "ColumnLineageDatasetFacet", json!({"fields": columns})),
            },
            "outputFacets": {
                "outputStatistics": facet("1-0-2", "OutputStatisticsOutputDatasetFacet", json!({
                    "rowCount": meta.rows,
                    "size": written.bytes,
                    "fileCount": written.version.files().unwrap_or(1),
                })),
            },
        })
    }
}

fn facet(version: &str, name: &str, mut content: Value) -> Value {
    if let Some(map) = content.as_object_mut() {
        map.insert("_producer".into(), PRODUCER.into());
        map.insert("_schemaURL".into(), format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}").into());
    }
    content
}
