"""A Hugging Face Hub of one's own: a server on this machine that keeps repositories in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TOKEN = "hf_" + "a" * 34


class Hub:
    """What the server has, and what it has been asked for."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.requests: list[str] = []
        self.sizes: dict[str, int] = {}
        """By file, that are told instead of the real ones."""
        self.refuses = False

    def commit(self, repo: str) -> str:
        """Returns the name of the newest state."""
        parts = [name.encode() + data for name, data in sorted(self.repos[repo].items())]
        return hashlib.sha1(b"".join(parts)).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _missing(self) -> None:
        self._answer(404, headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": "no repo"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        words = path.strip("/").split("/")
        if path == "/api/whoami-v2":
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                self._answer(200, {"type": "user", "name": "me", "orgs": []})
            else:
                self._answer(401, {"error": "Invalid user token."})
            return
        if words[:2] == ["api", "models"]:
            repo = "/".join(words[2:4])
            if repo not in self.hub.repos:
                self._missing()
                return
            files = [
                {"rfilename": name, "size": self.hub.sizes.get(name, len(data))}
                for name, data in self.hub.repos[repo].items()
            ]
            self._answer(200, {"id": repo, "sha": self.hub.commit(repo), "siblings": files})
            return
        repo, name = "/".join(words[:2]), "/".join(words[4:])
        if repo not in self.hub.repos:
            self._missing()
            return
        data = self.hub.repos[repo].get(name)
        if data is None:
            self._answer(404, headers={"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha1(data).hexdigest()
        self._answer(200, data, {"X-Repo-Commit": self.hub.commit(repo), "ETag": f'"{etag}"'})

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"POST {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        words = path.strip("/").split("/")
        if self.hub.refuses:
            self._answer(403, {"error": "You don't have the rights"})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.hub.repos.setdefault(repo, {})
            if asked.get("private") or asked.get("visibility") == "private":
                self.hub.private.add(repo)
            self._answer(200, {"url": f"http://{self.headers['Host']}/{repo}", "id": repo})
        elif "preupload" in words:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif "commit" in words:
            repo = "/".join(words[2:4])
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    data = base64.b64decode(entry["value"]["content"])
                    self.hub.repos[repo][entry["value"]["path"]] = data
            commit = self.hub.commit(repo)
            address = f"http://{self.headers['Host']}/{repo}/commit/{commit}"
            self._answer(200, {"commitUrl": address, "commitOid": commit, "success": True})
        else:
            self._answer(200, {})


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Serves `hub`; yields the address."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    """Lets huggingface_hub ask `address`, with a login and a cache of its own."""
    pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")
    from warpzone.training import hub

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    hub._fetched.cache_clear()
