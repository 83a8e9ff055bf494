"""Adapters by their name on the Hugging Face hub: `org/name`, `org/name/folder`, `...@revision`."""

from __future__ import annotations

import re
from pathlib import Path

from superpose.errors import BadInput, MissingExtra

FILES = ("adapter_config.json", "adapter_model.safetensors")
"""All that is fetched of a repository: never code, never a pickle."""

_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?P<folder>(/[\w.-]+)*)(@(?P<revision>[\w./-]+))?"
)


def is_hub_name(given: str) -> bool:
    """Say whether `given` could name an adapter on the hub (it may be a mistyped path as well)."""
    match = _NAME.fullmatch(given)
    return match is not None and ".." not in given


def fetch(given: str) -> Path:
    """Bring an adapter's files into the hub's own cache and give the local folder.

    given: `org/name`, with `/folder` for one that lies deeper and `@revision` for a branch, tag or
    commit; without it, the default branch. A copy in the cache is used when the hub is out of
    reach; HF_HUB_OFFLINE=1 asks for that at once.

    Raises MissingExtra without huggingface_hub, BadInput when the hub has no such adapter, does not
    give it to us, or cannot be reached.
    """
    match = _NAME.fullmatch(given)
    if match is None:
        raise BadInput("is not a hub name (org/name)", where=given)
    folder = match["folder"].strip("/")
    patterns = [f"{folder}/{name}" if folder else name for name in FILES]
    local = Path(_snapshot(given, match["repo"], match["revision"], patterns)) / folder
    if not (local / FILES[0]).exists():
        raise BadInput(f"this hub repository holds no {FILES[0]} there", where=given)
    return local


def _snapshot(given: str, repo: str, revision: str | None, patterns: list[str]) -> str:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(
            "is no folder here, and hub names need huggingface_hub, which is not installed",
            where=given,
            hint='Install it with: pip install "superpose[hub]"',
        ) from error
    try:
        return snapshot_download(repo, revision=revision, allow_patterns=patterns)
    except Exception as error:  # the client's errors have no common base
        raise BadInput(
            f"is no folder here, and the hub does not give it ({type(error).__name__})",
            where=given,
            hint="Check the spelling; a private or gated one needs `hf auth login`.",
        ) from error
