#!/usr/bin/env python3
"""Stateful fakes of what GitHub and GitLab offer a guest, by their published contracts: comments and notes, check runs,
statuses, the changes of a commit.

forge.py [PORT [BIND]] prints its port. Used by the tests and by `make e2e`, where GitHub's own OpenAPI description
stands between it and the program and judges both. `GET /_state` shows what happened, `POST /_control` sets things up:
{"fail": {"method", "status", "path"?, "headers"?, "message"?, "times"?, "after"?} or null, "pulls": [{"number", "sha", "repo", "branch"}],
"comments": [{"author", "body"}], "notes": [{"author", "body"}], "reset": true, "moved": "https://…" or "same" or null}.
Status 0 hangs up, -1 never answers. `after`: the call is done, and then its answer is lost. `racer`: a body that another job posts while ours is being posted.
"""

import json
import re
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NOW = "2026-01-01T00:00:00Z"
BOT = "github-actions[bot]"
STATE = {
    "comments": [], "notes": [], "log": [], "fail": None, "checks": [], "statuses": [], "pulls": [], "minimized": [], "moved": None,
    "racer": None, "last": 0,
}


def github_user(login):
    url = "https://api.github.com/users/x"
    links = ["followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events", "received_events"]
    user = {f"{name}_url": url for name in links}
    return user | {
        "login": login, "id": 41898282, "node_id": "U_1", "avatar_url": "https://avatars.example/1", "gravatar_id": "",
        "url": url, "html_url": "https://github.com/x", "type": "Bot", "site_admin": False,
    }


def github_comment(number, owner, repo, issue, author, body):
    base = f"https://api.github.com/repos/{owner}/{repo}/issues"
    return {
        "id": number, "node_id": f"IC_{number}", "url": f"{base}/comments/{number}", "issue_url": f"{base}/{issue}",
        "html_url": f"https://github.com/{owner}/{repo}/issues/{issue}#issuecomment-{number}", "body": body,
        "user": github_user(author), "created_at": NOW, "updated_at": NOW, "author_association": "NONE",
    }


def gitlab_note(number, author, body):
    return {
        "id": number, "body": body, "system": author == "system", "created_at": NOW, "updated_at": NOW,
        "author": {"id": 1, "username": author, "name": author, "state": "active"}, "noteable_type": "MergeRequest",
    }


def number():
    """Ids are never used again."""
    STATE["last"] += 1
    return STATE["last"]


def github_check(body):
    url = "https://api.github.com/x"
    output = body.get("output", {})
    return {
        "id": 5, "node_id": "CR_1", "head_sha": body.get("head_sha", "1" * 40), "external_id": "", "url": url, "html_url": url, "details_url": url,
        "status": "completed", "conclusion": body.get("conclusion", "success"), "started_at": NOW, "completed_at": NOW, "name": body.get("name", "x"),
        "output": {"title": output.get("title"), "summary": output.get("summary"), "text": None, "annotations_count": 0, "annotations_url": url},
        "check_suite": {"id": 1}, "app": None, "pull_requests": [],
    }


def github_status(body):
    url = "https://api.github.com/x"
    return {
        "url": url, "avatar_url": url, "id": 1, "node_id": "S_1", "state": body["state"], "description": body.get("description"), "context": body.get("context"),
        "target_url": body.get("target_url"), "created_at": NOW, "updated_at": NOW, "creator": github_user(BOT),
    }


def github_pull(pull):
    links = ["html", "diff", "patch", "issue", "commits", "review_comments", "comments", "statuses"]
    url = f"https://api.github.com/repos/o/r/pulls/{pull['number']}"
    owner = pull["repo"].split("/")[0]
    repo = {"id": 1, "full_name": pull["repo"], "name": pull["repo"].split("/")[1], "owner": {"login": owner}}
    head = {"ref": pull["branch"], "sha": pull["sha"], "label": f"{owner}:{pull['branch']}", "repo": repo, "user": github_user(owner)}
    base = {"ref": "main", "sha": "2" * 40, "label": "o:main", "repo": repo, "user": github_user("o")}
    return {f"{name}_url": url for name in links} | {
        "id": pull["number"], "node_id": "PR_1", "number": pull["number"], "state": pull.get("state", "open"), "url": url, "head": head, "base": base,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    quiet = False

    def answer(self, status, value, **headers):
        if self.quiet:
            return
        body = b"" if status == 204 else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(length)) if length else {}
        except ValueError:
            return self.answer(400, {"message": "Problems parsing JSON"})
        url = urlparse(self.path)
        if url.path == "/_state":
            return self.answer(200, STATE)
        if url.path == "/_control":
            return self.control(body)
        STATE["log"].append({"method": self.command, "path": self.path, "body": body})
        fail = STATE["fail"]
        if fail and fail["method"] in (self.command, "*") and re.search(fail.get("path", ""), self.path) and fail.get("times", 1) != 0:
            fail["times"] = fail.get("times", 0) - 1
            if fail.get("after"):
                self.quiet = True
                self.route(url, body)
                self.quiet = False
            if fail["status"] == 0:
                return self.connection.shutdown(socket.SHUT_RDWR)
            if fail["status"] < 0:
                return time.sleep(60)
            text = {"message": fail.get("message", "Refused by the test"), "documentation_url": "https://docs.github.com/rest"}
            return self.answer(fail["status"], text, **fail.get("headers", {}))
        if STATE["moved"] and url.path.startswith("/repos/o/r/"):
            where = "" if STATE["moved"] == "same" else STATE["moved"]
            return self.answer(307, {"message": "Moved"}, Location=f"{where}{self.path.replace('/repos/o/r/', '/repositories/1/')}")
        return self.route(url, body)

    def route(self, url, body):
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = re.sub("^/repositories/1/", "/repos/o/r/", url.path.removeprefix("/api/v3"))
        if url.path.endswith("/graphql"):
            return self.graphql(body)
        if match := re.fullmatch(r"/repos/([^/]+)/([^/]+)/issues/(?:comments/(\d+)|(\d+)/comments)", path):
            return self.github(match, body, query)
        if match := re.fullmatch(r"/repos/[^/]+/[^/]+/(check-runs(?:/\d+)?|statuses/\w+|commits/(\w+)/pulls|pulls)", path):
            return self.github_more(match, body, query)
        if match := re.fullmatch(r"/(?:.+/)?api/v4/projects/[^/]+/merge_requests/\d+/notes(?:/(\d+))?", url.path):
            return self.gitlab(match, body, query)
        if match := re.fullmatch(r"/(?:.+/)?api/v4/projects/[^/]+/(?:statuses/(\w+)|repository/commits/(\w+)/merge_requests)", url.path):
            return self.gitlab_more(match, body)
        if url.path.endswith("/api/v4/user"):
            return self.answer(200, {"id": 1, "username": "mlops-bot", "name": "mlops", "state": "active"})
        return self.answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})

    def graphql(self, body):
        if "viewer" in body["query"]:
            return self.answer(200, {"data": {"viewer": {"login": BOT}}})
        STATE["minimized"].append(body["variables"]["id"])
        return self.answer(200, {"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}})

    def github_more(self, match, body, query):
        what = match[1]
        if what.startswith("check-runs"):
            if len(body.get("output", {}).get("annotations", [])) > 50:
                return self.answer(422, {"message": "Validation Failed"})
            STATE["checks"].append(body)
            return self.answer(201 if self.command == "POST" else 200, github_check(body))
        if what.startswith("statuses/"):
            STATE["statuses"].append(body)
            return self.answer(201, github_status(body))
        found = [p for p in STATE["pulls"] if match[2] == p["sha"] and p["repo"] == "o/r" or query.get("head") == f"{p['repo'].split('/')[0]}:{p['branch']}"]
        return self.answer(200, [github_pull(p) for p in found])

    def gitlab_more(self, match, body):
        if match[1]:
            if any(s["name"] == body["name"] and s["state"] == body["state"] for s in STATE["statuses"]):
                return self.answer(400, {"message": f"Cannot transition status via :enqueue from :{body['state']} (Reason(s): Status cannot transition via \"enqueue\")"})
            STATE["statuses"].append(body)
            return self.answer(201, {"id": 1, "sha": match[1], "status": body["state"], "name": body["name"]})
        return self.answer(200, [{"id": 1, "iid": p["number"], "state": p.get("state", "opened"), "sha": p["sha"]} for p in STATE["pulls"] if p["sha"] == match[2]])

    def control(self, body):
        if body.get("reset"):
            STATE.update(comments=[], notes=[], checks=[], statuses=[], log=[])
        for name in ("fail", "moved", "racer", "pulls"):
            if name in body:
                STATE[name] = body[name]
        for entry in body.get("comments", []):
            STATE["comments"].append(github_comment(number(), "o", "r", 7, entry["author"], entry["body"]))
        for entry in body.get("notes", []):
            STATE["notes"].append(gitlab_note(number(), entry["author"], entry["body"]))
        return self.answer(200, {})

    def page(self, all_of_them, query):
        """GitHub and GitLab: 30 and 20 a page unless asked, 100 at the most."""
        size = min(int(query.get("per_page", 20)), 100)
        page = int(query.get("page", 1))
        following = str(page + 1) if page * size < len(all_of_them) else ""
        return all_of_them[(page - 1) * size : page * size], following

    def github(self, match, body, query):
        owner, repo, comment, issue = match.groups()
        if not (self.headers.get("Authorization") or "").startswith("Bearer "):
            return self.answer(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"})
        if self.command == "GET" and issue:
            found, following = self.page(STATE["comments"], query)
            more = {"Link": f'<https://api.github.com{self.path}&page={following}>; rel="next", <https://api.github.com/x>; rel="last"'} if following else {}
            return self.answer(200, found, **more)
        if self.command == "DELETE" and comment:
            kept = [c for c in STATE["comments"] if c["id"] != int(comment)]
            gone, STATE["comments"] = len(kept) < len(STATE["comments"]), kept
            return self.answer(204, None) if gone else self.answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})
        text = body.get("body")
        if not isinstance(text, str) or not text or len(text) > 65536:
            return self.answer(422, {"message": "Validation Failed", "errors": [{"code": "custom", "message": "Body is too long"}]})
        if self.command == "POST" and issue:
            if STATE["racer"]:
                STATE["comments"].append(github_comment(number(), owner, repo, issue, BOT, STATE["racer"]))
                STATE["racer"] = None
            STATE["comments"].append(github_comment(number(), owner, repo, issue, BOT, text))
            return self.answer(201, STATE["comments"][-1])
        known = [c for c in STATE["comments"] if comment and c["id"] == int(comment)]
        if self.command == "PATCH" and known:
            if known[0]["user"]["login"] != BOT:
                return self.answer(403, {"message": "Must have admin rights to Repository.", "documentation_url": "https://docs.github.com/rest"})
            known[0]["body"] = text
            return self.answer(200, known[0])
        return self.answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})

    def gitlab(self, match, body, query):
        if not self.headers.get("PRIVATE-TOKEN"):
            return self.answer(401, {"message": "401 Unauthorized"})
        if self.command == "GET":
            found, following = self.page(STATE["notes"], query)
            return self.answer(200, found, X_Next_Page=following)
        if self.command == "DELETE":
            STATE["notes"] = [n for n in STATE["notes"] if n["id"] != int(match[1])]
            return self.answer(204, None)
        text = body.get("body")
        if not isinstance(text, str) or not text or len(text) > 1_000_000:
            return self.answer(400, {"message": {"note": ["can't be blank"]}})
        if self.command == "POST":
            STATE["notes"].append(gitlab_note(number(), "mlops-bot", text))
            return self.answer(201, STATE["notes"][-1])
        known = [n for n in STATE["notes"] if match[1] and n["id"] == int(match[1])]
        if self.command == "PUT" and known:
            known[0]["body"] = text
            return self.answer(200, known[0])
        return self.answer(404, {"message": "404 Not found"})

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
