#!/usr/bin/env python3
"""Stateful fakes of GitHub's issue comments and GitLab's merge request notes, by their published contracts.

forge.py [PORT [BIND]] prints its port. Used by the tests and by `make e2e`, where GitHub's own OpenAPI description
stands between it and the program and judges both. `GET /_state` shows what happened, `POST /_control` sets things up:
{"fail": {"method", "status"} or null, "comments": [{"author", "body"}], "notes": [{"author", "body"}]}.
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NOW = "2026-01-01T00:00:00Z"
BOT = "github-actions[bot]"
STATE = {"comments": [], "notes": [], "log": [], "fail": None}


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


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value, **headers):
        body = json.dumps(value).encode()
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
        if fail and fail["method"] == self.command:
            return self.answer(fail["status"], {"message": "Refused by the test", "documentation_url": "https://docs.github.com/rest"})
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = url.path.removeprefix("/api/v3")
        if match := re.fullmatch(r"/repos/([^/]+)/([^/]+)/issues/(?:comments/(\d+)|(\d+)/comments)", path):
            return self.github(match, body, query)
        if match := re.fullmatch(r"/(?:.+/)?api/v4/projects/[^/]+/merge_requests/\d+/notes(?:/(\d+))?", url.path):
            return self.gitlab(match, body, query)
        if url.path.endswith("/api/v4/user"):
            return self.answer(200, {"id": 1, "username": "mlops-bot", "name": "mlops", "state": "active"})
        if path == "/user":
            # The token of a job may not ask for its own name.
            return self.answer(403, {"message": "Resource not accessible by integration", "documentation_url": "https://docs.github.com/rest"})
        return self.answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})

    def control(self, body):
        if "fail" in body:
            STATE["fail"] = body["fail"]
        for entry in body.get("comments", []):
            STATE["comments"].append(github_comment(len(STATE["comments"]) + 1, "o", "r", 7, entry["author"], entry["body"]))
        for entry in body.get("notes", []):
            STATE["notes"].append(gitlab_note(len(STATE["notes"]) + 1, entry["author"], entry["body"]))
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
            found, _ = self.page(STATE["comments"], query)
            return self.answer(200, found)
        text = body.get("body")
        if not isinstance(text, str) or not text or len(text) > 65536:
            return self.answer(422, {"message": "Validation Failed", "errors": [{"code": "custom", "message": "Body is too long"}]})
        if self.command == "POST" and issue:
            STATE["comments"].append(github_comment(len(STATE["comments"]) + 1, owner, repo, issue, BOT, text))
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
        text = body.get("body")
        if not isinstance(text, str) or not text or len(text) > 1_000_000:
            return self.answer(400, {"message": {"note": ["can't be blank"]}})
        if self.command == "POST":
            STATE["notes"].append(gitlab_note(len(STATE["notes"]) + 1, "mlops-bot", text))
            return self.answer(201, STATE["notes"][-1])
        known = [n for n in STATE["notes"] if match[1] and n["id"] == int(match[1])]
        if self.command == "PUT" and known:
            known[0]["body"] = text
            return self.answer(200, known[0])
        return self.answer(404, {"message": "404 Not found"})

    do_GET = do_POST = do_PATCH = do_PUT = handle_any


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
