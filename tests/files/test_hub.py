"""A hub repository that holds no PEFT adapter is named as what it is, from its list of files.

The hub here is a server of our own on the loopback device: huggingface_hub asks it as it asks the
real one.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

import superpose
from superpose.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import WriteAdapter

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = b'{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q"]}'


class Hub:
    """The repository org/math. files: its paths and what they hold. asked: paths of requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.lists_files = True

    def answer(self, path: str) -> tuple[int, bytes]:
        """Give status and body, as far as huggingface_hub needs the hub's API."""
        self.asked.append(path)
        if path.startswith("/api/models/org/math/tree/"):
            found = [
                {"type": "file", "path": name, "size": len(content), "oid": f"{i:040x}"}
                for i, (name, content) in enumerate(self.files.items())
            ]
            return (200, json.dumps(found).encode()) if self.lists_files else (503, b"{}")
        if path.startswith("/api/models/org/math"):
            listed = [{"rfilename": name} for name in self.files]
            return 200, json.dumps({"id": "org/math", "sha": COMMIT, "siblings": listed}).encode()
        name = path.removeprefix(f"/org/math/resolve/{COMMIT}/")
        return (200, self.files[name]) if name in self.files else (404, b"{}")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = hub.answer(unquote(self.path).partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    at = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", at)
    template = at + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_adapter_on_the_hub_is_read_and_nothing_else_is_fetched(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    hub.files = {path.name: path.read_bytes() for path in write_adapter("a").iterdir()}
    hub.files["adapter_model.bin"] = b"\x80\x02"
    assert len(superpose.load("org/math")) == 2
    fetched = {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}
    assert fetched == {"adapter_config.json", "adapter_model.safetensors"}


NAMED: dict[str, tuple[str, dict[str, bytes], list[str]]] = {
    "pickle": (
        "org/math",
        {"adapter_config.json": CONFIG, "adapter_model.bin": b"\x80\x02"},
        ["as a pickle", "hf download org/math --local-dir FOLDER\n", "torch.load", " FOLDER"],
    ),
    "pickle in a folder of a revision": (
        "org/math/best@v1",
        {"best/adapter_config.json": CONFIG, "best/adapter_model.bin": b"\x80\x02"},
        ["--revision v1 --include 'best/*' --local-dir FOLDER", " FOLDER/best"],
    ),
    "mlx": ("org/math", {"adapters.safetensors": b"", "config.json": b"{}"}, ["an MLX adapter"]),
    "diffusers": ("org/math", {"pytorch_lora_weights.safetensors": b""}, ["a diffusers LoRA"]),
    "full model": (
        "org/math",
        {"config.json": b"{}", "model.safetensors": b""},
        ["is a full model, not an adapter"],
    ),
    "no config": ("org/math", {"adapter_model.safetensors": b""}, ["adapter_config.json is miss"]),
    "adapters inside": (
        "org/math@v1",
        {"runs/best/adapter_config.json": CONFIG, "README.md": b""},
        ["holds some", "Give one: org/math/runs/best@v1"],
    ),
    "other": ("org/math", {"README.md": b"", "x.py": b""}, ["it holds README.md, x.py"]),
    "no such folder": ("org/math/best", {"README.md": b""}, ["it holds nothing"]),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_repository_that_holds_something_else_is_named_as_what_it_is(case: str, hub: Hub) -> None:
    name, hub.files, words = NAMED[case]
    with pytest.raises(BadInput) as caught:
        superpose.load(name)
    assert str(caught.value).startswith(f"{name}: ")
    for part in words:
        assert part in str(caught.value)
    assert not [path for path in hub.asked if path.endswith(".bin")], "a pickle was fetched"


def test_a_hub_that_cannot_be_asked_again_leaves_what_was_fetched_to_tell(hub: Hub) -> None:
    """The second question fails: the answer says what is missing, and is no traceback."""
    hub.files = {"adapter_config.json": CONFIG, "adapter_model.bin": b"\x80\x02"}
    with pytest.raises(BadInput, match="as a pickle"):
        superpose.load("org/math")
    hub.lists_files = False
    with pytest.raises(BadInput, match=r"adapter_model\.safetensors is missing"):
        superpose.load("org/math")
