#!/usr/bin/env python3
"""What people look at, in a real browser: report.html and the comment.

    pages.py TOOLS MLOPS SHOTS        (called by `make e2e`; `make screenshots` keeps the pictures in docs/)

The flights are run three times, so that there is a history; a report in which every text is hostile comes from the corpus of
tests/it/injection.rs. The comment is rendered by the library that GitHub renders it with.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import cmarkgfm
from cmarkgfm.cmark import Options

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS, MLOPS, SHOTS = (pathlib.Path(arg).resolve() for arg in sys.argv[1:4])
NODE = TOOLS / "gitlab/node_modules/node/bin/node"


def mlops(*args, cwd, code, **env):
    ended = subprocess.run([MLOPS, *args], cwd=cwd, env=os.environ | env, capture_output=True, text=True)
    if ended.returncode != code:
        sys.exit(f"mlops {' '.join(map(str, args))} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")


def flights(folder):
    """Three versions in a registry, and rows that have changed since the baseline."""
    project = folder / "flights"
    shutil.copytree(ROOT / "fixtures/flights", project, ignore=shutil.ignore_patterns("mlops-out", "training.parquet*"))
    port = str(51000 + os.getpid() % 1000)
    name = f"mlops-pages-{port}"
    subprocess.run(["docker", "run", "-d", "--rm", "--network", "host", "--name", name, "-e", "POSTGRES_HOST_AUTH_METHOD=trust", "postgres:15", "postgres", "-p", port], check=True, capture_output=True)
    try:
        url = f"postgres://postgres@127.0.0.1:{port}/postgres"
        env = {"DATABASE_URL": url, "REGISTRY_URL": url}
        mlops("run", cwd=project, code=0, **env)
        mlops("data", "profile", "flights", cwd=project, code=0, **env)
        config = (project / "mlops.yml").read_text()
        gate = "drift: {psi: {max: 0.25, warn: 0.1}, columns: [dep_delay, arr_delay, distance, air_time, origin, carrier, dest], except: {dest: {cramers_v: 0.2}}}"
        (project / "mlops.yml").write_text(config.replace("    flights:\n", f"    flights:\n      {gate}\n", 1))
        changes = "update flights set distance = distance * 1.2 where distance < 2500 and origin = 'EWR'; update flights set dep_delay = dep_delay + 9 where flight_id % 3 = 0"
        subprocess.run(["docker", "exec", name, "psql", "-qp", port, "-U", "postgres", "-c", changes], check=True, capture_output=True)
        for label in ("0.2.0", "0.3.0"):
            mlops("run", cwd=project, code=0, MODEL_VERSION=label, **env)
    finally:
        subprocess.run(["docker", "kill", name], capture_output=True)
    return project


def hostile(folder):
    corpus = (ROOT / "tests/it/injection.rs").read_text().split("= [", 1)[1].split("];", 1)[0]
    texts = [json.loads(f'"{text}"') for text in re.findall(r'^    "((?:[^"\\]|\\.)*)",$', re.sub(r"\\u\{(\w+)\}", lambda m: f"\\u{int(m[1], 16):04x}", corpus), re.M)]
    assert len(texts) >= 40, len(texts)
    outcomes = [
        {"subject": text, "name": text, "status": status, "message": text, "remedy": text, "evidence": [text], "elapsed_seconds": 0.1}
        for text in texts for status in ("failed", "passed")
    ]
    picture = {"title": texts[25], "about": texts[26], "kind": "bars", "value": texts[27], "bars": [{"name": t, "value": 0.5, "out": True} for t in texts[:20]], "reference": None}
    stage = {"name": texts[25], "status": "failed", "summary": texts[26], "elapsed_seconds": 0.1, "outcomes": outcomes, "pictures": [picture],
             "table": {"title": texts[25], "columns": texts[24:28], "rows": [texts[i : i + 4] for i in range(0, 40, 4)]}}
    report = {"format_version": 1, "tool_version": texts[25], "project": texts[25], "database": texts[26], "commit": texts[27], "started_at": texts[28],
              "elapsed_seconds": 1.0, "verdict": "failed", "exit_code": 1, "counts": {"failed": len(texts)}, "stages": [stage]}
    (folder / "in").mkdir()
    (folder / "in/report.json").write_text(json.dumps(report))
    mlops("report", "merge", "in", cwd=folder, code=1)
    return folder / "mlops-out/report.html"


def comment(markdown):
    """Inside what surrounds a comment on GitHub, by its own style sheet."""
    style = (TOOLS / "browser/node_modules/github-markdown-css/github-markdown.css").read_text()
    html = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
    box = "max-width: 56rem; margin: 1rem auto; padding: 1rem; border: 1px solid #8886; border-radius: 6px; box-sizing: border-box"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>comment</title><style>{style}'
    return f'<!doctype html><html lang="en"><head>{head} body {{ margin: 0; padding: 0 .5rem; }} @media (prefers-color-scheme: dark) {{ body {{ background: #0d1117; }} }}</style></head><body><main class="markdown-body" style="{box}">{html}</main></body></html>'


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mlops-pages-") as scratch:
        scratch = pathlib.Path(scratch)
        pages = scratch / "pages"
        pages.mkdir()
        project = flights(scratch)
        history = scratch / "history"
        history.mkdir()
        shutil.copy(project / "mlops-out/report.html", pages / "report.html")
        (pages / "comment.html").write_text(comment((project / "mlops-out/report.md").read_text()))
        shutil.copy(hostile(history), pages / "hostile.html")
        sys.exit(subprocess.run([NODE, ROOT / "tests/e2e/browser.mjs", TOOLS, shutil.which("chromium"), pages, SHOTS]).returncode)


main()
