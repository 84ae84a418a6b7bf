"""A hub of one process: as much of the Hugging Face hub's HTTP interface as data sets and models take to go and come.

    python tests/small_hub.py FOLDER

Prints its address. Repositories are folders of FOLDER, each revision in one of its own; every request is a line of
``FOLDER/requests.jsonl``. It shares no code with the client that talks to it.
"""

import base64
import hashlib
import json
import re
import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secret"
FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
LOCK = Lock()


class Hub(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_any()

    do_HEAD = do_POST = do_GET

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        with LOCK:
            with open(FOLDER / "requests.jsonl", "a") as file:
                file.write(json.dumps([self.command, self.path]) + "\n")
            for pattern, answer in ROUTES:
                found = re.fullmatch(pattern, path)
                if found:
                    return answer(self, *found.groups())
        return self.say(404, {"error": "Not found"}, {"X-Error-Code": "RepoNotFound"})

    def say(self, status, content, headers=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def allowed(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def create(self):
        if not self.allowed():
            return self.say(401, {"error": "Invalid username or password."})
        asked = json.loads(self.body)
        kind = "datasets/" if asked.get("type") == "dataset" else ""
        repo = FOLDER / (f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"])
        if repo.exists():
            return self.say(
                409,
                {"error": "You already created this repo", "url": f"{address()}/{kind}{repo.relative_to(FOLDER)}"},
            )
        (repo / "0").mkdir(parents=True)
        (repo / "asked.json").write_text(json.dumps(asked))
        return self.say(200, {"url": f"{address()}/{kind}{repo.relative_to(FOLDER)}"})

    def branch(self, repo, name):
        """A branch is a name for the newest revision, which commits to it move on."""
        if not self.allowed():
            return self.say(401, {"error": "Invalid username or password."})
        if (FOLDER / repo / f"branch-{name}").exists():
            return self.say(409, {"error": "Reference already exists"})
        (FOLDER / repo / f"branch-{name}").write_text(head(repo).name)
        return self.say(200, {})

    def info(self, repo, revision=None):
        place = head(repo, revision)
        if place is None:
            return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        names = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]
        siblings = [{"rfilename": name} for name in names]
        asked = json.loads((FOLDER / repo / "asked.json").read_text())
        private = asked.get("visibility") == "private" or asked.get("private", False)
        facts = {"id": repo, "sha": sha(place), "siblings": siblings, "private": private, "tags": []}
        return self.say(200, facts)

    def tree(self, repo, revision, _=None):
        place = head(repo, revision)
        if place is None:
            return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        files = [path for path in sorted(place.rglob("*")) if path.is_file()]
        rows = [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": etag(path.read_bytes())}
            for path in files
        ]
        return self.say(200, rows)

    def preupload(self, repo, revision):
        asked = json.loads(self.body)["files"]
        return self.say(
            200, {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]}
        )

    def commit(self, repo, revision):
        if not self.allowed():
            return self.say(401, {"error": "Invalid username or password."})
        before = head(repo, revision)
        after = FOLDER / repo / str(max(int(path.name) for path in (FOLDER / repo).glob("[0-9]*")) + 1)
        shutil.copytree(before, after)
        branch = FOLDER / repo / f"branch-{revision}"
        (branch if branch.exists() else FOLDER / repo / "main").write_text(after.name)
        for line in map(json.loads, self.body.splitlines()):
            if line["key"] == "file":
                (after / line["value"]["path"]).write_bytes(base64.b64decode(line["value"]["content"]))
            elif line["key"] == "deletedFile":
                (after / line["value"]["path"]).unlink()
        return self.say(
            200,
            {"success": True, "commitOid": sha(after), "commitUrl": f"{address()}/datasets/{repo}/commit/{sha(after)}"},
        )

    def file(self, repo, revision, name):
        place = head(repo, revision)
        if place is None or not (place / name).is_file():
            return self.say(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        content = (place / name).read_bytes()
        headers = {
            "ETag": f'"{etag(content)}"',
            "X-Repo-Commit": sha(place),
            "Content-Type": "application/octet-stream",
        }
        return self.say(200, content, headers)


def head(repo, revision=None):
    """The folder of a revision."""
    revisions = sorted((path for path in (FOLDER / repo).glob("[0-9]*")), key=lambda path: int(path.name))
    named = FOLDER / repo / ("main" if revision in (None, "main") else f"branch-{revision}")
    if named.is_file():
        return FOLDER / repo / named.read_text()
    if revision in (None, "main"):
        return revisions[0] if revisions else None
    return next((place for place in revisions if revision in (sha(place), f"v{place.name}")), None)


def sha(place):
    return hashlib.sha1(str(place.relative_to(FOLDER)).encode()).hexdigest()


def etag(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


NAME = r"([^/]+/[^/]+)"
API = r"/api/(?:datasets|models)"
ROUTES = [
    (r"/api/repos/create", Hub.create),
    (r"/api/validate-yaml", lambda hub: hub.say(200, {"errors": [], "warnings": []})),
    (rf"{API}/{NAME}/preupload/([^/]+)", Hub.preupload),
    (rf"{API}/{NAME}/commit/([^/]+)", Hub.commit),
    (rf"{API}/{NAME}/branch/([^/]+)", Hub.branch),
    (rf"{API}/{NAME}/tree/([^/]+)(/.*)?", Hub.tree),
    (rf"{API}/{NAME}/revision/([^/]+)", Hub.info),
    (rf"{API}/{NAME}", Hub.info),
    (rf"(?:/datasets)?/{NAME}/resolve/([^/]+)/(.+)", Hub.file),
]


def address():
    return f"http://127.0.0.1:{SERVER.server_port}"


if __name__ == "__main__":
    SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    print(address(), flush=True)
    SERVER.serve_forever()
