use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::support::bin::{Ended, Mlops};
use crate::support::forge::Forge;
use crate::support::project::{self, Project};

/// Names and values that somebody may have put into a table, a model's name or a migration.
const HOSTILE: [&str; 44] = [
    "::error::pwned",
    "  ::set-output name=verdict::passed",
    "\n::add-mask::a",
    "\r\n::stop-commands::x",
    "##[error]pwned",
    "a ##[group]b",
    "%0A::error::pwned",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}[0Ksection_start:1:x\r\u{1b}[0K",
    "@octocat",
    "@org/team please",
    "mail me@example.com",
    "#1 and closes #2",
    "GH-7",
    "o/r#3",
    "!4 &5 %6 ~bug $7",
    "~\"a label\"",
    "[issue:1]",
    "/close",
    "\n/merge\n",
    "https://evil.example/a?b=c",
    "www.evil.example",
    "[click](https://evil.example)",
    "![x](https://evil.example/i.png)",
    "[x]: javascript:alert(1)",
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "\"><svg onload=window.pwned=1>",
    "' onfocus='window.pwned=1' autofocus='",
    "</td></tr></table><h1>out</h1>",
    "</details></details><b>out</b>",
    "<!-- mlops-action p/ run=9.9 content=x -->",
    "--> <h1>out</h1> <!--",
    "a | b | c",
    "a \\| b \\\\| c",
    "`code` ```fence",
    "\n```\nfence",
    "**bold** __bold__ *i* _i_ ~~s~~",
    "$\\text{math}$ $$x$$",
    "# heading\n\n---\n\n> quote\n\n1. list\n- list\n    code",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "{{project}} {{{html}}} ${{ secrets.TOKEN }}",
    "a,b:c=d;e\"f'g",
    "name<<EOF\nverdict=passed\nEOF",
];

/// Every text of a report is one of them.
fn report(nth: usize) -> Json {
    let text = |i: usize| HOSTILE[(nth + i) % HOSTILE.len()];
    let outcome = |i: usize, status: &str| {
        json!({
            "subject": text(i), "name": text(i + 1), "status": status, "message": text(i + 2), "remedy": text(i + 3), "evidence": [text(i + 4), text(i + 5)],
            "measure": {"value": 0.5, "expected": text(i + 6)}, "location": {"file": text(i + 7).replace('/', "_"), "line": 3, "column": 1}, "elapsed_seconds": 0.1,
        })
    };
    let stage = |name: &str, status: &str| {
        json!({
            "name": name, "status": status, "summary": text(8), "elapsed_seconds": 0.1, "artifacts": [text(9)], "outputs": {"stage": text(43)},
            "outcomes": [outcome(0, "failed"), outcome(10, "warned"), outcome(20, "broken"), outcome(30, "passed")],
            "table": {"title": text(11), "columns": [text(12), text(13)], "rows": [[text(14), text(15)]]},
            "pictures": [{"title": text(16), "about": text(17), "kind": "bars", "value": text(18), "bars": [{"name": text(19), "value": 0.5, "out": true}], "reference": 0.4}],
        })
    };
    json!({
        "format_version": 1, "tool_version": text(21), "project": text(22), "environment": text(23), "database": text(24), "commit": "a".repeat(40),
        "started_at": text(26), "elapsed_seconds": 1.0, "verdict": "failed", "exit_code": 1, "counts": {"failed": 1}, "stages": [stage("check", "broken"), stage(text(27), "broken")],
    })
}

fn delivered(nth: usize, forge: &Forge) -> (Project, Ended) {
    let event = json!({"pull_request": {"number": 7, "head": {"sha": "a".repeat(40), "repo": {"full_name": "o/r"}}}});
    let project = project::with(&[("in/report.json", &report(nth).to_string()), ("event.json", &event.to_string())]);
    let run = Mlops::new(project.path()).args(["report", "merge", "in", "--require-comment", "--token", "ghs_secret-token"]);
    let ended = forge.as_github(run, &project).env("GITHUB_EVENT_NAME", "pull_request").run().expect(1).says("comment posted");
    (project, ended)
}

/// What a reader sees, without what nobody does.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control() && *c != '\u{200d}' && *c != '\u{ad}').collect()
}

fn shown(page: &scraper::Html) -> String {
    plain(&page.root_element().text().collect::<String>())
}

/// As GitHub and GitLab render it: tables, strikethrough, autolinks, raw HTML.
fn rendered(markdown: &str) -> scraper::Html {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.math_dollars = true;
    options.render.r#unsafe = true;
    scraper::Html::parse_document(&comrak::markdown_to_html(markdown, &options))
}

fn elements(page: &scraper::Html) -> (BTreeSet<String>, Vec<String>) {
    let all = scraper::Selector::parse("*").expect("selector");
    let mut names = BTreeSet::new();
    let mut suspicious = Vec::new();
    for element in page.select(&all) {
        names.insert(element.value().name().to_owned());
        for (name, value) in element.value().attrs() {
            if name.starts_with("on") || name == "autofocus" || ((name == "href" || name == "src") && !value.starts_with('#')) {
                suspicious.push(format!("{name}={value}"));
            }
        }
    }
    (names, suspicious)
}

fn subset(names: &BTreeSet<String>, allowed: &[&str], what: &str) {
    let other: Vec<&String> = names.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(other.is_empty(), "{what} has {other:?}");
}

#[test]
fn in_markdown_hostile_text_is_text() {
    let refers = regex::Regex::new(r#"(?:^|[^0-9A-Za-z])(?:[@#!%&~$]["0-9A-Za-z_]|GH-\d)|[a-z]#\d|://|www\.[a-z]"#).expect("regex");
    let forge = Forge::start();
    for nth in (0..HOSTILE.len()).step_by(4) {
        let (project, _) = delivered(nth, &forge);
        let state = forge.state();
        let comment = state["comments"].as_array().expect("comments").last().expect("comment")["body"].as_str().expect("body").to_owned();
        for (what, markdown) in [("comment", comment), ("report.md", project.read("mlops-out/report.md")), ("summary", project.read("summary.md"))] {
            let page = rendered(&markdown);
            let (names, suspicious) = elements(&page);
            let allowed =
                ["html", "head", "body", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "br", "sub", "details", "summary", "b", "a"];
            subset(&names, &allowed, what);
            let links: Vec<&String> = suspicious.iter().filter(|s| *s != "href=https://github.com/o/r/actions/runs/100").collect();
            assert!(links.is_empty(), "{what}: {links:?}");
            let text: String = page.root_element().text().collect();
            let found: Vec<&str> = refers.find_iter(&text).map(|m| m.as_str()).filter(|m| !m.contains("https://github.com")).collect();
            assert!(found.is_empty(), "{what} refers to somebody: {found:?}");
            assert!(!markdown.lines().any(|line| line.trim_start().starts_with('/') || line.contains("::")), "{what} has a command");
            let text = shown(&page);
            for i in 0..4 {
                let hostile = plain(HOSTILE[(nth + i) % HOSTILE.len()]);
                assert!(text.contains(&hostile), "{what} does not show {hostile:?}");
            }
            // One table with findings, one stage list, and so on: nothing has been closed or begun by a value.
            let count = |name: &str| page.select(&scraper::Selector::parse(name).expect("selector")).count();
            assert_eq!((count("h2"), markdown.matches("<details").count()), (1, markdown.matches("</details>").count()), "{what}");
        }
    }
}

#[test]
fn in_html_hostile_text_is_text() {
    let forge = Forge::start();
    for nth in (0..HOSTILE.len()).step_by(4) {
        let (project, _) = delivered(nth, &forge);
        let html = project.read("mlops-out/report.html");
        let page = scraper::Html::parse_document(&html);
        let (names, suspicious) = elements(&page);
        let allowed = [
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "a",
            "header",
            "h1",
            "h2",
            "p",
            "span",
            "nav",
            "ul",
            "li",
            "main",
            "section",
            "div",
            "table",
            "caption",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "figure",
            "figcaption",
            "b",
            "details",
            "summary",
            "svg",
            "g",
            "rect",
            "line",
            "text",
            "path",
            "defs",
            "clippath",
            "clipPath",
            "polyline",
            "circle",
            "title",
            "tspan",
        ];
        subset(&names, &allowed, "report.html");
        assert_eq!(suspicious, Vec::<String>::new());
        assert!(html.starts_with("<!doctype html>") && html.contains("default-src 'none'"));
        let text = shown(&page);
        for i in 0..4 {
            let hostile = plain(HOSTILE[(nth + i) % HOSTILE.len()]);
            assert!(text.contains(&hostile), "report.html does not show {hostile:?}");
        }
    }
}

#[test]
fn in_logs_and_files_of_the_runner_hostile_text_gives_no_command() {
    let sample = regex::Regex::new(r#"^(# (HELP|TYPE|UNIT|EOF).*|mlops_[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)*\})? [-0-9.e]+)$"#).expect("regex");
    let forge = Forge::start();
    for nth in (0..HOSTILE.len()).step_by(4) {
        let (project, ended) = delivered(nth, &forge);
        let ours = ["::group::", "::endgroup::", "::error file=", "::warning file="];
        for line in ended.out.lines().chain(ended.err.lines()) {
            assert!(!line.contains("##["), "{line}");
            assert!(!line.trim_start().starts_with("::") || ours.iter().any(|start| line.starts_with(start)), "{line}");
            assert!(!line.contains('\u{1b}') && !line.contains('\r'), "{line:?}");
        }
        assert_eq!(ended.out.lines().filter(|line| line.starts_with("::error")).count(), 4, "two stages, each with a failure and a break");
        let mut keys = Vec::new();
        let (output, mut lines) = (project.read("output.txt"), project.read("output.txt").lines().map(str::to_owned).collect::<Vec<_>>().into_iter());
        while let Some(line) = lines.next() {
            match line.split_once("<<") {
                Some((key, delimiter)) if !key.contains('=') => {
                    keys.push(key.to_owned());
                    assert!(lines.by_ref().any(|l| l == delimiter), "{output}");
                }
                _ => keys.push(line.split_once('=').expect("key").0.to_owned()),
            }
        }
        let expected = [
            "verdict",
            "passed",
            "warned",
            "failed",
            "broken",
            "skipped",
            "report",
            "junit",
            "model-version",
            "stage",
            "previous-version",
            "manifests",
        ];
        assert_eq!(keys, expected);
        assert_eq!(project.read("mlops-out/outputs.env").lines().count(), expected.len());
        for file in ["report.json", "results.sarif", "gl-code-quality-report.json"] {
            let _: Json = serde_json::from_str(&project.read(&format!("mlops-out/{file}"))).unwrap_or_else(|e| panic!("{file}: {e}"));
        }
        let metrics = project.read("mlops-out/metrics.prom");
        assert!(metrics.contains("mlops_measure{") && metrics.lines().all(|l| sample.is_match(l)), "{metrics}");
    }
}
