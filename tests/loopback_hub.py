"""A Hugging Face hub of our own on the loopback device, for the real client to talk to.

It speaks the calls that huggingface_hub, transformers and datasets make to read and to write
repositories, with the hub's own status codes and error headers, and keeps a list of what was asked.
Files that end in safetensors or gguf are large ones: they are uploaded by LFS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_of_the_tests"
LARGE = (".safetensors", ".gguf")


@dataclass
class Answer:
    """What goes back: a body, and headers beside its length."""

    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An answer that is none: a status, code and message in the hub's own headers, a body."""

    def __init__(self, status: int, code: str = "", message: str = "", **body: Any) -> None:
        super().__init__(status, code, message)
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        told = {key: value for key, value in headers.items() if value}
        self.status, self.answer = status, Answer(json.dumps(body).encode(), told)


@dataclass
class Repository:
    """Branches, each with its files. private: shown to holders of the token only."""

    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    private: bool = False
    gated: bool = False

    def at(self, revision: str) -> dict[str, bytes]:
        """The files of a branch or commit; raises Refusal for one that is not there."""
        for branch, files in self.branches.items():
            if revision in (branch, self.commit(branch)):
                return files
        raise Refusal(404, "RevisionNotFound")

    def commit(self, branch: str) -> str:
        """The id of the state that a branch is in."""
        state = sorted((path, content.hex()) for path, content in self.branches[branch].items())
        return hashlib.sha1(json.dumps(state).encode()).hexdigest()


class Hub:
    """The hub. asked: method and path of each request. broken: the status of every answer."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[tuple[str, str]] = []
        self.large: dict[str, bytes] = {}
        self.broken = 0
        self.address = ""

    def put(self, name: str, files: Mapping[str, bytes], branch: str = "main") -> Repository:
        """Make a repository, or a branch of one; of a data set with `datasets/` before."""
        made = self.repositories.setdefault(name, Repository())
        made.branches[branch] = dict(files)
        return made

    @property
    def fetched(self) -> list[str]:
        """The files whose content went out, as REPOSITORY/PATH, sorted."""
        pattern = re.compile(r"/(.+)/resolve/[^/]+/(.+)")
        found = [pattern.fullmatch(path) for method, path in self.asked if method == "GET"]
        return sorted(f"{match[1]}/{match[2]}" for match in found if match)

    def answer(self, method: str, path: str, body: bytes, token: str | None) -> Answer:
        """Answer one request; raises Refusal."""
        self.asked.append((method, unquote(path)))
        if self.broken:
            raise Refusal(self.broken)
        if token is not None and token != TOKEN:
            raise Refusal(401, message="Invalid credentials in Authorization header")
        if path.startswith("/lfs/"):
            return self._large(method, path.removeprefix("/lfs/"), body)
        if path == "/api/validate-yaml":
            return _checked_card(json.loads(body)["content"])
        if path == "/api/repos/create":
            return self._create(json.loads(body), token)
        name, place = self._split(path)
        repository = self.repositories.get(name)
        if repository is None or (repository.private and token is None):
            raise Refusal(404, "RepoNotFound") if token else Refusal(401, message="Who are you?")
        if method == "POST" and not place.startswith("paths-info/"):
            return self._write(name, repository, place, body, token)
        return _read(repository, name, place, body)

    def _split(self, path: str) -> tuple[str, str]:
        """Split a path into the name of a repository and what is asked of it."""
        path = path.removeprefix("/api/models/").removeprefix("/api/").removeprefix("/")
        path = path.replace(".git/info/", "/info/", 1)
        for name in self.repositories:
            if path == name or path.startswith(f"{name}/"):
                return name, path.removeprefix(name).removeprefix("/")
        return path, ""

    def _create(self, asked: Any, token: str | None) -> Answer:
        name = f"{asked['organization']}/{asked['name']}"
        if token is None:
            raise Refusal(401, message="Invalid username or password.")
        if asked["organization"] != "org":
            raise Refusal(403, message="You don't have the rights to create a model here")
        if name in self.repositories:
            raise Refusal(409, url=f"{self.address}/{name}", error="You already created it")
        made = self.put(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        made.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        return Answer(json.dumps({"url": f"{self.address}/{name}", "name": name}).encode())

    def _write(
        self, name: str, repository: Repository, place: str, body: bytes, token: str | None
    ) -> Answer:
        if token is None:
            raise Refusal(401, message="Invalid username or password.")
        if not name.startswith("org/"):
            raise Refusal(403, message="This token may not write here")
        verb, _, revision = place.partition("/")
        revision = unquote(revision)
        if place == "info/lfs/objects/batch":
            return self._batch(json.loads(body))
        if verb == "branch":
            if revision in repository.branches:
                raise Refusal(409, message="Reference already exists")
            repository.branches[revision] = dict(repository.branches["main"])
            return Answer()
        files = repository.at(revision)
        if verb == "preupload":
            asked = json.loads(body)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in asked
            ]
            return Answer(json.dumps({"files": modes}).encode())
        assert verb == "commit", place
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.large[line["value"]["oid"]]
        commit = repository.commit(revision)
        url = f"{self.address}/{name}/commit/{commit}"
        return Answer(json.dumps({"commitUrl": url, "commitOid": commit}).encode())

    def _batch(self, asked: Any) -> Answer:
        objects = []
        for one in asked["objects"]:
            actions = {
                "upload": {"href": f"{self.address}/lfs/{one['oid']}"},
                "verify": {"href": f"{self.address}/lfs/verify"},
            }
            new = one["oid"] not in self.large
            objects.append({**one, **({"actions": actions} if new else {})})
        return Answer(json.dumps({"transfer": "basic", "objects": objects}).encode())

    def _large(self, method: str, oid: str, body: bytes) -> Answer:
        if method == "PUT":
            assert hashlib.sha256(body).hexdigest() == oid, "another file than was announced"
            self.large[oid] = body
        else:
            assert json.loads(body)["oid"] in self.large, "verified before it was sent"
        return Answer()


def _read(repository: Repository, name: str, place: str, body: bytes) -> Answer:
    """Answer what is known of a repository: itself, its tree, one of its files."""
    verb, _, rest = place.partition("/")
    revision, path = map(unquote, (rest or "main").partition("/")[::2])
    files = repository.at(revision)
    if verb in {"", "revision"}:
        siblings = [{"rfilename": path} for path in files]
        told = {"id": name, "sha": _commit(repository, revision), "siblings": siblings}
        return _json({**told, "private": repository.private})
    if verb == "tree":
        inside = f"{path}/" if path else ""
        here = {p: content for p, content in files.items() if p.startswith(inside)}
        return _json([*_folders(here), *(_entry(p, c) for p, c in here.items())])
    if verb == "paths-info":
        asked = json.loads(body)["paths"]
        return _json([_entry(p, c) for p, c in files.items() if p in asked])
    if verb == "refs":
        return _json({"branches": [], "tags": [], "converts": []})
    assert verb == "resolve", place
    if repository.gated:
        raise Refusal(403, "GatedRepo", "Access to it is restricted")
    if path not in files:
        raise Refusal(404, "EntryNotFound")
    etag = hashlib.sha256(files[path]).hexdigest()
    commit = _commit(repository, revision)
    return Answer(files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": commit})


def _commit(repository: Repository, revision: str) -> str:
    branches = repository.branches
    return repository.commit(revision) if revision in branches else revision


def _entry(path: str, content: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": path, "size": len(content), "oid": oid}


def _folders(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The folders that files lie in, as the hub lists them."""
    paths = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    return [_entry(path, b"") | {"type": "directory"} for path in sorted(paths - {"."})]


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode())


def _checked_card(content: str) -> Answer:
    """The hub's own check of a model card: its base model has to be a name of the hub."""
    base = re.search(r'^base_model: "?(.*?)"?$', content, re.MULTILINE)
    if base and not re.fullmatch(r"[\w.-]+/[\w.-]+", base[1]):
        message = f'"base_model" with value "{base[1]}" is not valid. Use a model id.'
        raise Refusal(400, errors=[{"message": message}])
    return Answer()


@contextmanager
def served(hub: Hub) -> Iterator[str]:
    """Serve a hub while the block runs; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            path = self.path.partition("?")[0]
            try:
                given = hub.answer(self.command, path, _body(self), bearer or None)
                status = 200
            except Refusal as no:
                status, given = no.status, no.answer
            self.send_response(status)
            for key, value in {**given.headers, "Content-Length": str(len(given.body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(given.body)

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub.address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """What a request carries, announced by its length or in chunks."""
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    parts = []
    while size := int(request.rfile.readline(), 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)
