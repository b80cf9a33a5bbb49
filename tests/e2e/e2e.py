#!/usr/bin/env python3
"""The built image on both platforms, by real clients: act runs a workflow, gitlab-ci-local a pipeline.

    e2e.py TOOLS IMAGE        (called by `make e2e`, which installs the tools and builds the image)

Green on the flights, red on every broken variant; JUnit, summary, outputs, annotations and comment are read by
independent readers. GitHub's API is a fake behind prism, which judges requests and answers by GitHub's own OpenAPI
description; GitLab's notes are read back with python-gitlab.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import gitlab
import junitparser
import kubernetes_validate
from prometheus_client.openmetrics.parser import text_string_to_metric_families

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS, IMAGE = pathlib.Path(sys.argv[1]), sys.argv[2]
PASSWORD, TOKEN = "s3cret-Pass-word", "tok-3n-not-to-be-seen"
DATABASE = f"postgres://app:{PASSWORD}@postgres:5432/app"
WRONG = "postgres://app:wr0ng-Pass-word@postgres:5432/app"
PATHS = [
    "/repos/{owner}/{repo}/issues/{issue_number}/comments", "/repos/{owner}/{repo}/issues/comments/{comment_id}", "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/check-runs", "/repos/{owner}/{repo}/statuses/{sha}", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", "/user",
]
EVENT = {
    "action": "synchronize", "number": 7,
    "pull_request": {"number": 7, "head": {"ref": "f", "sha": "1" * 40, "repo": {"full_name": "o/r"}}, "base": {"ref": "main", "sha": "2" * 40}},
    "repository": {"full_name": "o/r", "owner": {"login": "o"}, "name": "r", "default_branch": "main"},
}
failures, passed = [], 0


def check(condition, what):
    global passed
    if condition:
        passed += 1
    else:
        failures.append(what)
        print(f"  ✗ {what}", flush=True)


def docker(*args):
    return subprocess.run(["docker", *args], check=True, capture_output=True, text=True).stdout.strip()


def gateway():
    """The address of this machine as containers see it."""
    route = docker("run", "--rm", "--entrypoint", "cat", IMAGE, "/proc/net/route")
    line = next(line.split() for line in route.splitlines()[1:] if line.split()[1] == "00000000")
    return ".".join(str(int(line[2][i : i + 2], 16)) for i in (6, 4, 2, 0))


def trim(spec):
    """GitHub's description, without what is not called: prism starts in 2 seconds instead of 34."""
    def refs(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from refs(value)
        elif isinstance(node, list):
            for value in node:
                yield from refs(value)

    kept = {"openapi": spec["openapi"], "info": spec["info"], "servers": [{"url": "/"}], "components": {}}
    kept["paths"] = {path: spec["paths"][path] for path in PATHS}
    todo, done = list(refs(kept["paths"])), set()
    while todo:
        ref = todo.pop()
        if ref in done:
            continue
        done.add(ref)
        _, _, family, name = ref.split("/", 3)
        name = name.replace("~1", "/").replace("~0", "~")
        value = spec["components"][family][name]
        kept["components"].setdefault(family, {})[name] = value
        todo.extend(refs(value))
    return kept


class Servers:
    """The fake, and prism in front of its GitHub half."""

    def __init__(self, folder):
        self.fake = subprocess.Popen([sys.executable, ROOT / "tests/fakes/forge.py", "0", "0.0.0.0"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.fake.stdout.readline())
        spec = json.loads((TOOLS / "prism/node_modules/@octokit/openapi/generated/api.github.com.json").read_text())
        (folder / "github.json").write_text(json.dumps(trim(spec)))
        self.prism_port = self.port + 1 if self.port < 65000 else self.port - 1
        self.log = open(folder / "prism.log", "w+")
        command = [TOOLS / "prism/node_modules/.bin/prism", "proxy", "-p", str(self.prism_port), "-h", "0.0.0.0", "--errors"]
        self.prism = subprocess.Popen([*command, folder / "github.json", f"http://127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.prism_port}/user")
            except urllib.error.HTTPError:
                break  # 401 or 403: it answers
            except OSError:
                time.sleep(0.2)
        request = urllib.request.Request(f"http://127.0.0.1:{self.prism_port}/repos/o/r/issues/7/comments", data=b'{"text": "x"}', headers={"Content-Type": "application/json", "Authorization": "Bearer x"})
        try:
            urllib.request.urlopen(request)
            check(False, "prism let a wrong request through")
        except urllib.error.HTTPError as error:
            check(error.code == 422, f"prism answers a wrong request with 422 (it was {error.code})")

    def state(self):
        return json.loads(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_state").read())

    def control(self, **what):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_control", data=json.dumps(what).encode())
        urllib.request.urlopen(request).read()

    def comments(self, key, project):
        marker = f"<!-- mlops-action {project}/ "
        return [c for c in self.state()[key] if c["body"].startswith(marker)]

    def stop(self):
        for process in (self.prism, self.fake):
            process.kill()
            process.wait()


def repository(folder, fixture, workflow="service", origin="o/r"):
    """A repository of a team: the project in a folder of its own, as many have it."""
    if folder.exists():
        shutil.rmtree(folder)
    (folder / ".github/workflows").mkdir(parents=True)
    shutil.copytree(ROOT / fixture, folder / "project", ignore=shutil.ignore_patterns("mlops-out", "out", "expect.json"))
    shutil.copy(ROOT / "action.yml", folder)
    shutil.copy(ROOT / ".gitlab-ci-template.yml", folder)
    for platform, path in (("github", ".github/workflows/mlops.yml"), ("gitlab", ".gitlab-ci.yml")):
        source = ROOT / f"tests/e2e/{platform}/{workflow}.yml"
        if source.exists():
            shutil.copy(source, folder / path)
    (folder / "event.json").write_text(json.dumps(EVENT))
    git = ["git", "-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-C", folder]
    for args in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "project"], ["remote", "add", "origin", f"https://github.com/{origin}.git"]):
        subprocess.run([*git, *args], check=True)
    return folder


def act(folder, database, api, event="pull_request"):
    """The workflow's events, one JSON object a line; files appear in the folder."""
    command = [TOOLS / "act/bin/act", event, "-e", "event.json", "-W", ".github/workflows/mlops.yml", "-P", "ubuntu-latest=debian:bookworm-slim"]
    command += ["--pull=false", "--no-cache-server", "--rm", "--bind", "--json", "-s", f"GITHUB_TOKEN={TOKEN}", "-s", f"DATABASE_URL={database}"]
    ended = subprocess.run([*command, "--env", f"GITHUB_API_URL={api}"], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    events = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    # act itself prints what it masks, in clear.
    return ended.returncode, [e for e in events if e.get("command") != "add-mask"], ended.stderr


def gitlab_ci_local(folder, database, api):
    node, script = TOOLS / "gitlab/node_modules/node/bin/node", TOOLS / "gitlab/node_modules/gitlab-ci-local/dist/index.js"
    variables = {
        "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7", "CI_PROJECT_ID": "99",
        "CI_API_V4_URL": api, "DATABASE": database, "GITLAB_TOKEN": TOKEN,
    }
    command = [node, script, "--home", folder / ".home", "--pull-policy", "if-not-present"]
    command += ["--helper-image", "mlops-action/gitlab-ci-local-helper:latest", "--wait-image", "mlops-action/gitlab-ci-local-wait:latest"]
    for name, value in variables.items():
        command += ["--variable", f"{name}={value}"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return ended.returncode, ended.stdout + ended.stderr


def junit(path, exit_code, where):
    """Read by a reader that is not ours: red means a failure or an error, and names are unique."""
    check(path.is_file(), f"{where}: there is a junit.xml")
    if not path.is_file():
        return
    cases = [case for suite in junitparser.JUnitXml.fromfile(str(path)) for case in suite]
    red = [result for case in cases for result in case.result if isinstance(result, (junitparser.Failure, junitparser.Error))]
    check(bool(red) == (exit_code != 0), f"{where}: junit.xml is red exactly when the run is")
    names = [(case.classname, case.name) for case in cases]
    check(names and len(set(names)) == len(names), f"{where}: names in junit.xml are unique")
    check(all(result.text for result in red), f"{where}: GitLab shows the text of the element")


def sarif(path, where):
    """Judged by the validator of those who wrote the format; its advice on style is a warning."""
    tool = TOOLS / "sarif/node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"
    tool.chmod(0o755)
    env = os.environ | {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
    judged = subprocess.run([tool, "validate", path], capture_output=True, text=True, env=env)
    check(judged.returncode == 0 and " error " not in judged.stdout, f"{where}: results.sarif is valid\n{judged.stdout[-1000:]}{judged.stderr[-500:]}")


def openmetrics(path, where):
    """Read by the strict parser of Prometheus' own client."""
    try:
        names = {family.name for family in text_string_to_metric_families(path.read_text())}
        check({"mlops_run_seconds", "mlops_outcomes"} <= names, f"{where}: metrics.prom has its families ({names})")
    except (OSError, ValueError) as error:
        check(False, f"{where}: metrics.prom is OpenMetrics: {error}")


def code_quality(path, where):
    """https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""
    issues = json.loads(path.read_text()) if path.is_file() else None
    check(isinstance(issues, list), f"{where}: there is a code quality report")
    for issue in issues or []:
        wanted = {"description", "check_name", "fingerprint", "severity", "location"} <= set(issue)
        check(wanted and issue["severity"] in ("info", "minor", "major", "critical", "blocker"), f"{where}: {issue} is as GitLab reads it")
        check(not issue["location"]["path"].startswith(("./", "/")) and issue["location"]["lines"]["begin"] > 0, f"{where}: {issue['location']} is a place")
    check(len({issue["fingerprint"] for issue in issues or []}) == len(issues or []), f"{where}: fingerprints are unique")


def no_secret(texts, where):
    for secret in (PASSWORD, "wr0ng-Pass-word", TOKEN):
        check(all(secret not in text for text in texts), f"{where}: {secret} is nowhere")


def written(folder):
    out = folder / "project/mlops-out"
    return [path.read_text() for path in out.rglob("*") if path.is_file()] if out.is_dir() else []


def on_github(folder, servers, host, name, expect, database, project):
    where, code = f"github {name}", expect["exit"]
    before = len(servers.comments("comments", project))
    returned, events, errors = act(folder, database, f"http://{host}:{servers.prism_port}")
    log = "".join(e.get("msg", "") for e in events)
    check((returned == 0) == (code == 0), f"{where}: the job is {'green' if code == 0 else 'red'} (act returned {returned})\n{log[-3000:]}{errors[-500:]}")
    for text in expect.get("says", []):
        check(text in log or text.replace("mlops.yml", "project/mlops.yml") in log, f"{where}: the log says {text!r}")
    outputs = {e["name"]: e["arg"] for e in events if e.get("command") == "set-output" and "name" in e}
    summary = "".join(e["content"] for e in events if e.get("command") == "summary")
    annotations = [e for e in events if e.get("command") in ("error", "warning")]
    no_secret([json.dumps(e) for e in events] + written(folder), where)
    if code == 2:
        check(not (folder / "project/mlops-out").exists() and not outputs, f"{where}: nothing was touched")
        check(any(e["kvPairs"].get("file") == "project/mlops.yml" for e in annotations), f"{where}: the mistake is annotated")
        return
    verdict = {0: "warned", 1: "failed", 3: "broken"}[code]
    check(outputs.get("verdict") == verdict, f"{where}: the output verdict is {outputs.get('verdict')}")
    check((folder / outputs.get("junit", "-")).is_file(), f"{where}: the output junit is a path from the repository")
    check(f"verdict={verdict} outcome={'success' if code == 0 else 'failure'}" in log, f"{where}: the next step sees it")
    check(project in summary and "| check |" in summary.replace("| migrate |", "| check |"), f"{where}: there is a summary")
    levels = {e["command"] for e in annotations}
    check(("error" in levels) == (code != 0), f"{where}: errors are annotated exactly when it is red ({levels})")
    junit(folder / "project/mlops-out/junit.xml", code, where)
    sarif(folder / "project/mlops-out/results.sarif", where)
    openmetrics(folder / "project/mlops-out/metrics.prom", where)
    comments = servers.comments("comments", project)
    check(len(comments) == max(before, 1), f"{where}: one comment ({len(comments)})")
    check(bool(comments) and ("passed with warnings" in comments[-1]["body"]) == (code == 0), f"{where}: the comment follows the verdict")
    check("WARN comment" not in log, f"{where}: GitHub's own description accepts the requests")


def on_gitlab(folder, servers, host, name, expect, database, project):
    where, code = f"gitlab {name}", expect["exit"]
    returned, log = gitlab_ci_local(folder, database, f"http://{host}:{servers.port}/gitlab/api/v4")
    check((returned == 0) == (code == 0), f"{where}: the pipeline is {'green' if code == 0 else 'red'} ({returned})\n{log[-3000:]}")
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log)
    raw = "".join(path.read_text() for path in folder.glob(".gitlab-ci-local/output/*.log"))
    no_secret([raw, *written(folder)], where)
    for text in expect.get("says", []):
        # gitlab-ci-local breaks no lines, but puts the job's name before each.
        check(text in plain or text.replace("mlops.yml", "project/mlops.yml") in plain, f"{where}: the log says {text!r}")
    if code == 2:
        check(not (folder / "project/mlops-out").exists(), f"{where}: nothing was touched")
        return
    verdict = {0: "warned", 1: "failed", 3: "broken"}[code]
    junit(folder / "project/mlops-out/junit.xml", code, where)
    code_quality(folder / "project/mlops-out/gl-code-quality-report.json", where)
    openmetrics(folder / "project/mlops-out/metrics.prom", where)
    dotenv = folder / "project/mlops-out/outputs.env"
    check(dotenv.is_file() and f"MLOPS_VERDICT={verdict}\n" in dotenv.read_text(), f"{where}: the dotenv says {verdict}")
    if code == 0:
        check(f"seen by the next job, verdict={verdict}" in plain, f"{where}: the next job sees it")
    client = gitlab.Gitlab(f"http://127.0.0.1:{servers.port}/gitlab", private_token=TOKEN)
    notes = client.projects.get(99, lazy=True).mergerequests.get(7, lazy=True).notes.list(get_all=True)
    mine = [note for note in notes if note.body.startswith(f"<!-- mlops-action {project}/ ")]
    check(len(mine) == 1, f"{where}: python-gitlab reads one note ({len(mine)})")
    check(bool(mine) and ("passed with warnings" in mine[-1].body) == (code == 0), f"{where}: the note follows the verdict")


def manifests(folder, where):
    import yaml  # comes with the validator

    for kind in ("deployment", "service"):
        path = folder / f"project/mlops-out/deploy/manifests/{kind}.yaml"
        check(path.is_file(), f"{where}: there is a {kind}.yaml")
        if path.is_file():
            try:
                kubernetes_validate.validate(yaml.safe_load(path.read_text()), "1.32", strict=True)
                check(True, "")
            except kubernetes_validate.ValidationError as error:
                check(False, f"{where}: {kind}.yaml is not what Kubernetes 1.32 takes: {error.message}")


def project_of(folder, files):
    """A project of its own, outside of the fixtures."""
    if folder.exists():
        shutil.rmtree(folder)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def payload(event, action=None):
    """As GitHub itself documents it."""
    examples = json.loads((TOOLS / "payloads/node_modules/@octokit/webhooks-examples/api.github.com/index.json").read_text())
    found = next(entry for entry in examples if entry["name"] == event)["examples"]
    return next((example for example in found if action in (None, example.get("action"))), found[0])


def events(scratch, servers, host):
    """What can trigger a job, with the payloads of GitHub's own examples."""
    source = project_of(scratch / "light", {
        "mlops.yml": "version: 1\nproject: light\nreport: {timeout: 20s, check_run: true, commit_status: true}\ngates: {model: {m: {predictions: {file: p.csv, label: y, score: p}, metrics: {roc_auc: 0.9}}}}\n",
        "p.csv": "y,p\n1,0.9\n0,0.1\n",
    })
    change = payload("pull_request", "synchronize")
    origin = change["repository"]["full_name"]
    change["pull_request"]["head"]["repo"]["full_name"] = origin
    fork = json.loads(json.dumps(change))
    fork["pull_request"]["head"]["repo"]["full_name"] = "stranger/fork"
    queue = {"action": "checks_requested", "merge_group": {"head_sha": "3" * 40, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-4", "base_ref": "refs/heads/main", "base_sha": "4" * 40}, "repository": change["repository"]}
    for name, event, body, comments in (("push", "push", payload("push"), 0), ("pull request", "pull_request", change, 1), ("merge queue", "merge_group", queue, 0), ("fork", "pull_request", fork, 0)):
        where = f"github {name}"
        refusal = {"method": "POST", "path": "comments|check-runs|statuses", "status": 403, "times": 99, "message": "Resource not accessible by integration"}
        servers.control(reset=True, fail=refusal if name == "fork" else None)
        folder = repository(scratch / "repository", source, "light", origin)
        (folder / "event.json").write_text(json.dumps(body))
        returned, seen, errors = act(folder, "", f"http://{host}:{servers.prism_port}", event)
        log = "".join(e.get("msg", "") for e in seen)
        check(returned == 0, f"{where}: the job is green ({returned})\n{log[-2000:]}{errors[-500:]}")
        check(len(servers.comments("comments", "light")) == comments, f"{where}: {comments} comments ({len(servers.comments('comments', 'light'))})")
        check(("WARN comment" in log) == (name == "fork"), f"{where}: only a fork's job is warned\n{log[-1500:]}")
        check("✅ light: passed" in "".join(e["content"] for e in seen if e.get("command") == "summary"), f"{where}: there is a summary")
        state = servers.state()
        if name != "fork":
            check([c["conclusion"] for c in state["checks"]] == ["success"], f"{where}: GitHub's description takes the check run ({state['checks']})\n{log[-800:]}")
            check([s["state"] for s in state["statuses"]] == ["success"], f"{where}: and the status ({state['statuses']})")
        if name == "fork":
            check("the change comes from a fork" in log and "docs/ci.md" in log, f"{where}: the log says what to do")
    servers.control(reset=True, fail=None)


def fan_in(scratch, servers, host):
    """Three jobs with a third of the tables each, one comment and one verdict, on both platforms."""
    tables = [f"t{i}" for i in range(6)]
    sql = "".join(f"create table {t} (id int);\ninsert into {t} values ({i});\n" for i, t in enumerate(tables))
    gates = "".join(f"    {t}: {{columns: {{id: {{range: [0, 4]}}}}}}\n" for t in tables)
    config = "version: 1\nproject: fan-in\nreport: {timeout: 20s, dir: \"reports/${PART:-merged}\"}\nmigrate: {dir: db}\ngates:\n  data:\n" + gates
    source = project_of(scratch / "wide", {"mlops.yml": config, "db/1_t.up.sql": sql, "db/1_t.down.sql": "".join(f"drop table {t};" for t in tables)})
    for platform in ("github", "gitlab"):
        folder = repository(scratch / "repository", source, "fan-in" if platform == "github" else "parallel")
        if platform == "github":
            returned, seen, errors = act(folder, "", f"http://{host}:{servers.prism_port}")
            log = "".join(e.get("msg", "") for e in seen) + errors
        else:
            returned, log = gitlab_ci_local(folder, "", f"http://{host}:{servers.port}/gitlab/api/v4")
        where = f"{platform} fan-in"
        check(returned != 0, f"{where}: one failed part makes the whole red\n{log[-2500:]}")
        report = folder / "project/reports/merged/report.json"
        check(report.is_file(), f"{where}: there is a merged report\n{log[-2500:]}")
        if report.is_file():
            merged = json.loads(report.read_text())
            stage = next(s for s in merged["stages"] if s["name"] == "check")
            check({o["subject"].split(".")[0] for o in stage["outcomes"]} == set(tables), f"{where}: every table is in it")
            check(merged["verdict"] == "failed" and merged["counts"]["failed"] == 1, f"{where}: {merged['counts']}")
            junit(folder / "project/reports/merged/junit.xml", 1, where)
        key = "comments" if platform == "github" else "notes"
        found = servers.comments(key, "fan-in")
        check(len(found) == 1 and "❌ fan-in: failed" in found[0]["body"], f"{where}: one comment ({len(found)})")


def entrypoints(scratch):
    """GitLab's runner starts an image with a shell: with or without an override, the script runs and counts."""
    folder = repository(scratch / "repository", project_of(scratch / "empty", {"x.txt": ""}), "entrypoint")
    returned, log = gitlab_ci_local(folder, "", "http://127.0.0.1:9/api/v4")
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log)
    for job in ("overridden", "plain"):
        check(f"ran in {job}" in plain, f"gitlab entrypoint {job}: the script runs\n{plain[-1500:]}")
    check(plain.count("> mlops 0.") >= 2 and returned == 0, f"gitlab entrypoint: exit 10 is a warning ({returned})\n{plain[-1500:]}")


def image():
    """What holds of the image whatever runs it."""
    config = json.loads(docker("image", "inspect", IMAGE))[0]["Config"]
    check(not config.get("User") and not config.get("WorkingDir"), "the image sets no user and no working directory")
    check(config["Labels"]["org.opencontainers.image.title"] == "mlops-action", "the image has its labels")
    for shell in (["sh", "-c", "exit 7"], ["/bin/bash", "-c", "exit 7"]):
        ended = subprocess.run(["docker", "run", "--rm", IMAGE, *shell], capture_output=True)
        check(ended.returncode == 7, f"the image passes {shell[0]} through")
    project = ["-v", f"{ROOT}/fixtures/flights:/work:ro", "-w", "/work"]
    ended = subprocess.run(["docker", "run", "--rm", *project, IMAGE, "run", "--dry-run"], capture_output=True, text=True)
    check(ended.returncode == 0 and "a throwaway PostgreSQL 15" in ended.stdout, f"docker run starts a throwaway server\n{ended.stdout[-500:]}{ended.stderr[-500:]}")
    # Anywhere but in an action, anybody may run it, also one of whom the image knows nothing.
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "fixtures/flights", f"{folder}/flights", ignore=shutil.ignore_patterns("mlops-out"))
        subprocess.run(["chown", "-R", "12345:12345", folder], check=True)
        somebody = ["--user", "12345:12345", "-v", f"{folder}/flights:/work", "-w", "/work"]
        ended = subprocess.run(["docker", "run", "--rm", *somebody, IMAGE, "run"], capture_output=True, text=True)
        check(ended.returncode == 0 and "a throwaway PostgreSQL 15" in ended.stdout, f"docker run --user works\n{ended.stdout[-700:]}{ended.stderr[-500:]}")
        ended = subprocess.run(["docker", "run", "--rm", *somebody, f"{IMAGE}-slim", "run", "--stages", "evaluate"], capture_output=True, text=True)
        check(ended.returncode == 0, f"so does the slim image\n{ended.stdout[-500:]}{ended.stderr[-500:]}")
        owners = {path.stat().st_uid for path in pathlib.Path(folder).rglob("*")}
        check(owners == {12345}, f"and what it writes is theirs ({owners})")
        ended = subprocess.run(["docker", "run", "--rm", "-v", f"{folder}/flights:/work", "-w", "/work", IMAGE, "run", "--stages", "evaluate"], capture_output=True, text=True)
        owners = {path.stat().st_uid for path in pathlib.Path(folder).rglob("*")}
        check(ended.returncode == 0 and owners == {12345}, f"root gives what it writes to the owner of the workspace ({owners})")
    slim = subprocess.run(["docker", "run", "--rm", *project, f"{IMAGE}-slim", "run"], capture_output=True, text=True)
    check(slim.returncode == 3 and "no Postgres server binaries were found" in slim.stdout, f"the slim image says what it has not\n{slim.stdout[-500:]}")
    hint = subprocess.run(["docker", "run", "--rm", *project, "-e", "GITHUB_ACTIONS=true", "-e", "DATABASE_URL=postgres://a@localhost/x", IMAGE, "run", "--stages", "check"], capture_output=True, text=True, timeout=120)
    check(hint.returncode == 3 and "use the label of the service" in hint.stdout, f"localhost inside a container action gets its hint\n{hint.stdout[-500:]}")


def main():
    started = time.monotonic()
    only = os.environ.get("E2E_ONLY", "")
    with tempfile.TemporaryDirectory(prefix="mlops-e2e-") as scratch:
        scratch = pathlib.Path(scratch)
        servers = Servers(scratch)
        try:
            host = gateway()
            if not only:
                image()
            for name, part in (("events", lambda: events(scratch, servers, host)), ("fan-in", lambda: fan_in(scratch, servers, host)), ("entrypoint", lambda: entrypoints(scratch))):
                if not only or only == name:
                    began = time.monotonic()
                    part()
                    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
            fixtures = [("flights", "fixtures/flights", {"exit": 0}, DATABASE, "flight-delays")]
            for folder in sorted((ROOT / "fixtures/broken").iterdir()):
                if folder.is_dir():
                    expect = json.loads((folder / "expect.json").read_text())
                    database = WRONG if expect.get("needs") == "password" else DATABASE
                    fixtures.append((folder.name, folder.relative_to(ROOT), expect, database, f"broken-{folder.name}"))
            for name, fixture, expect, database, project in fixtures:
                if only and only != name:
                    continue
                began = time.monotonic()
                for platform in (on_github, on_gitlab):
                    folder = repository(scratch / "repository", fixture)
                    platform(folder, servers, host, name, expect, database, project)
                    if name == "flights":
                        manifests(folder, platform.__name__)
                print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        finally:
            servers.stop()
    print(f"{passed} passed, {len(failures)} failed in {time.monotonic() - started:.0f} s")
    sys.exit(1 if failures else 0)


main()
