//! MLflow follows the registry: a real server, its own client, and cuts at every write.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::bin::{Ended, Mlops};
use crate::support::http;
use crate::support::mlflow::Mlflow;
use crate::support::project::{self, Project};
use crate::support::server::Db;

/// A table `t` of three numbers, a dataset of it, and a model that is `artifact`.
fn with(db: &Db, artifact: &str, uri: &str, model: &str, registry: &str) -> Project {
    db.sql("create table if not exists t (a double precision, b double precision, c int); truncate t; insert into t select g, g / 2.0, g % 3 from generate_series(1, 60) g");
    let yml = format!(
        "version: 1\nproject: shop\ndatabase: {{url: \"{}\"}}\ngates:\n  data:\n    t: {{rows: 10}}\n\
         datasets:\n  training: {{table: t, order_by: [a], out: training.parquet}}\n\
         model: {{name: churn, version: \"${{LABEL:-1.0}}\", artifact: {artifact}, params: {{depth: 3}}{model}}}\n\
         registry:\n  artifacts: ./kept\n  mlflow: {{uri: \"{uri}\", experiment: trials, timeout: 20s}}\n  promote: {{to: staging}}\n{registry}",
        db.url()
    );
    project::with(&[("mlops.yml", &yml), ("model.bin", "bytes")])
}

fn run(project: &Project, args: &str) -> Ended {
    Mlops::new(project.path()).args(args.split(' ')).env("USER", "anna").run()
}

fn json_of(text: &str) -> Json {
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// How many runs, logged models and versions there are.
const COUNTS: &str = r#"
import mlflow, json
c = mlflow.MlflowClient()
e = c.get_experiment_by_name("trials")
runs = c.search_runs([e.experiment_id]) if e else []
models = c.search_logged_models([e.experiment_id]) if e and hasattr(c, "search_logged_models") else []
versions = c.search_model_versions("name = 'churn'")
aliases = dict(c.get_registered_model("churn").aliases) if versions else {}
print(json.dumps({"runs": len(runs), "finished": sum(r.info.status == "FINISHED" for r in runs), "models": len(models),
                  "versions": len(versions), "aliases": {k: str(v) for k, v in aliases.items()}}))
"#;

fn onnx_is_told(which: &'static str) {
    let (server, db) = (Mlflow::started(which), Db::new());
    let project = with(&db, "model/linear.onnx", &server.url(), "", "");
    let golden = crate::support::root().join("fixtures/golden/onnx");
    std::fs::create_dir(project.path().join("model")).expect("folder");
    std::fs::copy(golden.join("boosted_regressor.onnx"), project.path().join("model/linear.onnx")).expect("copy");
    run(&project, "run").expect(0).says("version 1 stands in staging now").says("1 change told to http://127.0.0.1");
    let md5 = db.sql("select md5 from mlops.version_dataset");
    let script = format!(
        r#"
import mlflow, json, pandas as pd, numpy as np
c = mlflow.MlflowClient()
v = c.get_model_version_by_alias("churn", "staging")
found = c.search_model_versions("name = 'churn' and tags.training_data_version = '{md5}' and tags.database_source LIKE 'PostgreSQL%'")
r = c.get_run(v.run_id)
d = r.inputs.dataset_inputs[0]
m = mlflow.pyfunc.load_model("models:/churn@staging")
rows = pd.read_parquet("{}")
inputs = rows.drop(columns=["label", "expected"]).to_numpy(np.float32)
out = m.predict(inputs)
out = list(out.values())[0] if isinstance(out, dict) else out
expected = rows["expected"].to_numpy()
print(json.dumps({{"version": str(v.version), "found": [str(f.version) for f in found], "params": r.data.params, "status": r.info.status,
  "dataset": [d.dataset.name, d.dataset.digest, json.loads(d.dataset.profile)], "context": d.tags[0].value, "tags": v.tags,
  "difference": float(np.abs(np.asarray(out).reshape(-1) - expected).max()), "rows": len(rows), "user": r.data.tags.get("mlflow.user"),
  "signature": m.metadata.signature.inputs.to_dict()}}))
"#,
        golden.join("boosted_regressor.parquet").display()
    );
    let told = json_of(&server.python(&script));
    assert_eq!((&told["version"], &told["found"], &told["status"]), (&json!("1"), &json!(["1"]), &json!("FINISHED")), "{told:#}");
    assert!(told["difference"].as_f64().expect("difference") < 1e-3 && told["rows"].as_u64() > Some(50), "{told:#}");
    for (name, value) in [
        ("depth", "3"),
        ("database_type", "postgresql"),
        ("table_name", "t"),
        ("training_data_size", "60"),
        ("num_features", "3"),
        ("data_version", &md5),
        ("feature_types", r#"{"a":"float64","b":"float64","c":"int32"}"#),
    ] {
        assert_eq!(told["params"][name], value, "{name}: {told:#}");
    }
    assert!(told["params"]["database_version"].as_str().is_some_and(|v| v.starts_with("PostgreSQL 1")));
    assert_eq!(told["dataset"], json!(["training", md5, {"num_rows": 60}]));
    assert_eq!((&told["context"], &told["user"], &told["tags"]["mlops.gates"]), (&json!("training"), &json!("anna"), &json!("passed")));
    assert_eq!(told["signature"][0]["tensor-spec"], json!({"dtype": "float32", "shape": [-1, 10]}));
    // A second run tells nothing new.
    run(&project, "run").expect(0).says("knows everything already");
    let counts = json_of(&server.python(COUNTS));
    let models = u64::from(which == "mlflow");
    assert_eq!(counts, json!({"runs": 1, "finished": 1, "models": models, "versions": 1, "aliases": {"staging": "1"}}));
    // What somebody changes by hand is found, and set right.
    run(&project, "model sync --check").expect(0).says("MLflow says of churn what the registry says");
    server.python("import mlflow\nc = mlflow.MlflowClient()\nc.set_registered_model_alias('churn', 'production', '1')\nc.delete_registered_model_alias('churn', 'staging')\nc.set_model_version_tag('churn', '1', 'mlops.artifact_sha256', 'x')");
    let found = run(&project, "model sync --check").expect(1);
    for said in [
        "@staging: MLflow has no such alias",
        "@production: MLflow's alias leads to its version 1; here nothing stands",
        "MLflow's tag mlops.artifact_sha256 is x",
    ] {
        assert!(found.out.contains(said), "{said:?} is not in\n{}", found.out);
    }
    run(&project, "model sync").expect(0);
    assert_eq!(json_of(&server.python(COUNTS))["aliases"]["staging"], "1");
    // A mark becomes a tag.
    run(&project, "model quarantine 1 --reason biased").expect(0).says("1 change told");
    let status = "import mlflow\nprint(mlflow.MlflowClient().get_model_version('churn', '1').tags['mlops.status'])";
    assert_eq!(server.python(status), "quarantined: biased");
    run(&project, "model release 1").expect(0);
    assert_eq!(server.python(status), "released");
}

#[test]
fn the_newest_server_takes_an_onnx_model_and_its_client_predicts_with_it() {
    onnx_is_told("mlflow");
}

#[test]
fn version_2_takes_an_onnx_model_and_its_client_predicts_with_it() {
    onnx_is_told("mlflow2");
}

/// A pickle of scikit-learn's, alone and as a folder that MLflow has written.
fn sklearn_is_told(which: &'static str) {
    let (server, db) = (Mlflow::started(which), Db::new());
    let project = with(&db, "model.pkl", &server.url(), ", features: [a, b, c]", "");
    let folder = project.path().display();
    server.python(&format!(
        "import pickle, numpy as np, pandas as pd\nfrom sklearn.linear_model import LogisticRegression\n\
         g = np.arange(1, 61); x = pd.DataFrame({{'a': g.astype(float), 'b': g / 2.0, 'c': (g % 3).astype('int32')}})\n\
         m = LogisticRegression().fit(x, g > 30); pickle.dump(m, open('{folder}/model.pkl', 'wb'))\n\
         import mlflow.sklearn; mlflow.sklearn.save_model(m, '{folder}/saved')"
    ));
    run(&project, "run").expect(0);
    let predict = |alias: &str| {
        server.python(&format!(
            "import mlflow, numpy as np, pandas as pd, pickle\nm = mlflow.pyfunc.load_model('models:/churn@{alias}')\n\
             g = np.arange(1, 61); x = pd.DataFrame({{'a': g.astype(float), 'b': g / 2.0, 'c': (g % 3).astype('int32')}})\n\
             own = pickle.load(open('{folder}/model.pkl', 'rb'))\nassert (m.predict(x) == own.predict(x)).all()\n\
             print(m.metadata.signature.inputs.input_names() if m.metadata.signature else 'none')"
        ))
    };
    assert_eq!(predict("staging").lines().last(), Some("['a', 'b', 'c']"));
    // A table that does not fit is refused by MLflow itself, as the signature says.
    let refused = "import mlflow, pandas as pd\nm = mlflow.pyfunc.load_model('models:/churn@staging')\n\
                   try:\n    m.predict(pd.DataFrame({'a': [1.0], 'b': [1.0]}))\n    print('taken')\nexcept Exception as e:\n    print('refused' if 'c' in str(e) else e)";
    assert_eq!(server.python(refused).lines().last(), Some("refused"));
    project.replace("mlops.yml", "artifact: model.pkl", "artifact: saved");
    Mlops::new(project.path()).args(["run"]).env("LABEL", "2.0").run().expect(0).says("version 2 stands in staging now, instead of version 1");
    predict("staging");
    assert_eq!(db.sql("select framework from mlops.model_version order by version").replace('\n', " "), "sklearn mlflow");
}

#[test]
fn the_newest_server_takes_a_pickle_and_its_client_predicts_with_it() {
    sklearn_is_told("mlflow");
}

#[test]
fn version_2_takes_a_pickle_and_its_client_predicts_with_it() {
    sklearn_is_told("mlflow2");
}

#[test]
fn a_server_that_is_down_hears_of_everything_once_when_it_is_back() {
    let (server, db) = (Mlflow::new("mlflow"), Db::new());
    let project = with(&db, "model.bin", &server.url(), "", "");
    // The run passes; what waits is told.
    run(&project, "run").expect(0).says("cannot be reached").says("1 waits in the outbox");
    run(&project, "model sync --check").expect(3);
    project.write("model.bin", "other bytes");
    Mlops::new(project.path()).args(["run"]).env("LABEL", "2.0").run().expect(0).says("wait in the outbox");
    assert_eq!(db.sql("select count(*) from mlops.outbox where done_at is null"), "4");
    server.start();
    // Two that deliver at once leave nothing twice.
    let start = || {
        let mut command = Mlops::new(project.path()).args(["model", "sync"]).command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let both = [start(), start()].map(|child| Ended::from(child.wait_with_output().expect("it ends")));
    assert!(both.iter().any(|e| e.code == 0), "{both:#?}");
    run(&project, "model sync").expect(0);
    let counts = json_of(&server.python(COUNTS));
    assert_eq!(counts, json!({"runs": 2, "finished": 2, "models": 2, "versions": 2, "aliases": {"staging": "2"}}));
    assert_eq!(db.sql("select count(*) from mlops.outbox where done_at is null"), "0");
    run(&project, "model sync --check").expect(0);
}

/// The server is killed at each of these writes, before it hears of them or before its answer arrives; when it is back,
/// everything is there once.
fn cut(which: &'static str, cuts: &[(&'static str, bool)]) {
    let (server, db) = (Arc::new(Mlflow::started(which)), Db::new());
    let project = with(&db, "model.bin", &server.url(), "", "");
    let mut uri = server.url();
    for (n, (at, after)) in (1..).zip(cuts) {
        let next = format!("http://127.0.0.1:{}", server.cut_at(at, *after));
        project.replace("mlops.yml", &uri, &next);
        uri = next;
        project.write("model.bin", &format!("bytes of {n}"));
        Mlops::new(project.path()).args(["run"]).env("LABEL", &n.to_string()).run().expect(0).says("in the outbox");
        assert_ne!(db.sql("select count(*) from mlops.outbox where done_at is null"), "0", "{at} was never called");
        server.start();
        run(&project, "model sync").expect(0);
        let counts = json_of(&server.python(COUNTS));
        let models = if which == "mlflow" { n } else { 0 };
        let wanted = json!({"runs": n, "finished": n, "models": models, "versions": n, "aliases": {"staging": n.to_string()}});
        assert_eq!(counts, wanted, "{at} {after}");
        run(&project, "model sync --check").expect(0);
    }
}

#[test]
fn a_cut_between_two_writes_leaves_nothing_twice() {
    cut(
        "mlflow",
        &[
            ("runs/create", true),
            ("2.0/mlflow/logged-models ", true),
            ("artifacts/", false),
            ("runs/log-batch", true),
            ("runs/outputs", true),
            ("model-versions/create", false),
            ("model-versions/create", true),
            ("registered-models/alias", true),
        ],
    );
}

#[test]
fn a_cut_between_two_writes_of_version_2_leaves_nothing_twice() {
    cut("mlflow2", &[("runs/create", true), ("model-versions/create", true), ("model-versions/create", false)]);
}

#[test]
fn mlflows_artifact_proxy_is_a_store_too() {
    let (server, db) = (Mlflow::started("mlflow"), Db::new());
    let project = with(&db, "model.bin", &server.url(), "", "");
    project.replace("mlops.yml", "artifacts: ./kept", "artifacts: mlflow");
    run(&project, "run").expect(0);
    assert!(db.sql("select artifact_uri from mlops.model_version").starts_with("mlflow-artifacts:/mlops/sha256/"));
    project.write("model.bin", "something else");
    run(&project, "model fetch 1 --to back.bin").expect(0).says("verified");
    assert_eq!(project.read("back.bin"), "bytes");
    run(&project, "model verify").expect(0).says("1 artifact verified");
}

#[test]
fn what_a_server_refuses_is_explained() {
    let said = |status: u16, body: &'static str, words: &str| {
        let db = Db::new();
        let uri = http::serve(move |_, _| (status, body.to_owned(), Duration::ZERO));
        let project = with(&db, "model.bin", &uri, "", "");
        run(&project, "run").expect(0).says(words);
        run(&project, "model sync").expect(3).says(words);
    };
    said(
        401,
        "You are not authenticated. Please see https://www.mlflow.org/docs/latest/auth",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    );
    said(403, "Invalid Host header - possible DNS rebinding attack detected", "MLFLOW_SERVER_ALLOWED_HOSTS");
    said(403, "Permission denied", "this user may not do that");
    said(429, "slow down", "the server asks for less");
    said(302, "http://elsewhere.example", "the server sends elsewhere");
    said(200, "<html>hello</html>", "is this the address of an MLflow server, with its path where it has one?");
    // A certificate that nobody trusts, and one that `ca` does.
    let db = Db::new();
    let folder = tempfile::tempdir().expect("folder");
    let uri = http::serve_tls(folder.path(), |_, _| (401, String::new(), Duration::ZERO));
    let project = with(&db, "model.bin", &uri, "", "");
    run(&project, "run").expect(0).says("certificate");
    project.replace("mlops.yml", "experiment: trials", &format!("experiment: trials, ca: {}", folder.path().join("ca.pem").display()));
    run(&project, "model sync").expect(3).says("answers 401");
    // A password in the address stays in it.
    let project = with(&db, "model.bin", &uri.replace("https://", "https://u:hunter22222@"), "", "");
    let ended = run(&project, "model sync").expect(3);
    assert!(!format!("{}{}{}", ended.out, ended.err, db.sql("select string_agg(last_error, '') from mlops.outbox")).contains("hunter22222"));
}

#[test]
fn what_mlflow_never_heard_of_or_has_lost_is_told_again() {
    let (server, db) = (Mlflow::started("mlflow"), Db::new());
    let project = with(&db, "model.bin", "", "", "");
    // From before there was an MLflow, and already under quarantine; with names that MLflow does not take as they are.
    project.replace("mlops.yml", "name: churn", "name: churn.eu");
    project.replace("mlops.yml", "params: {depth: 3}", "params: {\"a+b\": 1, \"a*b\": 2, \"../x\": 3, \"\": 4}");
    run(&project, "run").expect(0);
    project.replace("mlops.yml", "mlflow: {uri: \"\"", &format!("mlflow: {{uri: \"{}\"", server.url()));
    run(&project, "model quarantine 1 --reason biased").expect(0).says("1 change told");
    let status = "import mlflow\nc = mlflow.MlflowClient()\nv = c.get_model_version('churn.eu', '1')\nprint(v.tags['mlops.status'], sorted(c.get_run(v.run_id).data.params.items())[:4])";
    assert_eq!(server.python(status), "quarantined: biased [('_', '4'), ('_x', '3'), ('a_b', '2'), ('a_b_2', '1')]");
    run(&project, "model release 1").expect(0);
    run(&project, "model sync").expect(0);
    run(&project, "model sync --check").expect(0);
    // Deleted there by hand.
    server.python("import mlflow\nc = mlflow.MlflowClient()\nc.delete_model_version('churn.eu', '1')");
    run(&project, "model sync --check").expect(1).says("MLflow has no version 1 any more");
    run(&project, "model sync").expect(0);
    run(&project, "model sync --check").expect(0);
    server.python("import mlflow\nc = mlflow.MlflowClient()\nc.delete_registered_model('churn.eu')");
    run(&project, "model sync --check").expect(1).says("MLflow has no model `churn.eu` any more");
    run(&project, "model sync --all").expect(0);
    run(&project, "model sync --check").expect(0);
    // Tags, versions and runs of somebody's.
    for (by_hand, said) in [
        ("c.set_model_version_tag('churn.eu', v, 'mlops.gates', 'failed')", "MLflow's tag mlops.gates is failed, not passed"),
        ("c.set_model_version_tag('churn.eu', v, 'mlops.status', 'fine')", "MLflow's tag mlops.status is fine, not released"),
        (
            "r = c.get_run(c.get_model_version('churn.eu', v).run_id)\nc.create_model_version('churn.eu', r.info.artifact_uri + '/x', r.info.run_id)",
            "this registry did not make it",
        ),
        ("c.delete_run(c.get_model_version('churn.eu', v).run_id)", "was deleted in MLflow"),
    ] {
        server
            .python(&format!("import mlflow\nc = mlflow.MlflowClient()\nv = str(c.get_registered_model('churn.eu').aliases['staging'])\n{by_hand}"));
        run(&project, "model sync --check").expect(1).says(said);
    }
}

#[test]
fn what_mlflow_refuses_holds_nothing_up() {
    let (server, db) = (Mlflow::started("mlflow"), Db::new());
    let project = with(&db, "model.bin", "http://127.0.0.1:9", "", "");
    // The bytes of the first version are nowhere any more when MLflow is there.
    project.replace("mlops.yml", "  artifacts: ./kept\n", "");
    run(&project, "run").expect(0).says("cannot be reached");
    project.write("model.bin", "other bytes");
    project.replace("mlops.yml", "http://127.0.0.1:9", &server.url());
    let second = Mlops::new(project.path()).args(["run"]).env("LABEL", "2.0").run().expect(0);
    second.says("was never stored, and is not here").says("`mlops model sync` tries again");
    assert_eq!(json_of(&server.python(COUNTS))["aliases"]["staging"], "1", "the second version is MLflow's first");
    run(&project, "model sync").expect(3).says("was never stored");
    project.write("model.bin", "bytes");
    run(&project, "model sync").expect(0);
    assert_eq!(json_of(&server.python(COUNTS))["versions"], 2);
}

#[test]
fn below_a_prefix_files_arrive_whole_and_two_registries_have_versions_of_their_own() {
    let (server, one, other) = (Mlflow::below("mlflow", "/ml"), Db::new(), Db::new());
    server.start();
    let project = with(&one, "model.bin", &server.url(), "", "");
    project.replace("mlops.yml", "artifacts: ./kept", "artifacts: mlflow");
    run(&project, "run").expect(0).says("1 change told");
    project.write("model.bin", "something else");
    run(&project, "model fetch 1 --to back.bin").expect(0);
    assert_eq!(project.read("back.bin"), "bytes");
    let read = "import mlflow\nprint(open(mlflow.artifacts.download_artifacts('models:/churn@staging') + '/model.bin').read())";
    assert_eq!(server.python(read).lines().last(), Some("bytes"));
    // The store is another one now; what was kept before is found.
    project.replace("mlops.yml", "artifacts: mlflow", "artifacts: ./kept");
    run(&project, "model verify").expect(0).says("1 artifact verified");
    let second = with(&other, "model.bin", &server.url(), "", "");
    run(&second, "run").expect(0);
    assert_eq!(json_of(&server.python(COUNTS))["versions"], 2);
}
