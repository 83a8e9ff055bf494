"""One base model under every kind of name that a base model may be given by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.loopback_hub import Hub

KINDS = ("folder", "smollm2", "hub", "revision")


class Named(NamedTuple):
    """A base model's name, and what an adapter of it has to say: its name and its revision."""

    given: str
    name: str
    revision: str | None


def named(kind: str, model: Path, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Named:
    """Lay a model's folder where a kind of name means it, and give that name.

    cache: an empty place for what superpose converted. The hub's default branch holds no model
    where a revision is named.
    """
    from superpose.files import embedded
    from superpose.files.checksum import sha256

    files = {path.name: path.read_bytes() for path in model.iterdir()}
    if kind == "folder":
        return Named(str(model), str(model), None)
    if kind == "hub":
        hub.put("org/base", files)
        return Named("org/base", "org/base", None)
    if kind == "revision":
        hub.put("org/base", {"config.json": b"{}"})
        hub.put("org/base", files, branch="v1")
        return Named("org/base@v1", "org/base", "v1")
    monkeypatch.setenv("SUPERPOSE_CACHE", str(cache))
    made = cache / f"smollm2-{embedded.GGUF_SHA256[:12]}"
    made.mkdir(parents=True)
    for name, content in files.items():
        (made / name).write_bytes(content)
    noted = {"files": {name: sha256(made / name) for name in files}}
    (made / "superpose.json").write_text(json.dumps(noted))
    return Named("smollm2", embedded.HUB_NAME, None)
