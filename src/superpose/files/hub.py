"""Adapters by their name on the Hugging Face hub: `org/name`, `org/name/folder`, `...@revision`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
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

    The repository may hold none of FILES, and the folder not exist then: `hub_files` tells what
    it holds instead.

    Raises MissingExtra without huggingface_hub, BadInput when the hub has no such repository, does
    not give it to us, or cannot be reached.
    """
    repo, folder, revision = _parts(given)
    patterns = [f"{folder}/{name}" if folder else name for name in FILES]
    return Path(_snapshot(given, repo, revision, patterns)) / folder


def hub_files(given: str) -> list[str]:
    """Give the paths of all files in a hub repository (or its folder), relative and sorted.

    given: as for `fetch`. Raises BadInput when the hub does not tell or is out of reach.
    """
    from huggingface_hub import HfApi

    repo, folder, revision = _parts(given)
    start = f"{folder}/" if folder else ""
    with _hub_errors(given):
        paths = HfApi().list_repo_files(repo, revision=revision)
    return sorted(path.removeprefix(start) for path in paths if path.startswith(start))


def download_command(given: str) -> str:
    """Give the shell command that brings all files of a hub name, not just FILES, into FOLDER."""
    repo, folder, revision = _parts(given)
    at = f" --revision {revision}" if revision else ""
    only = f" --include '{folder}/*'" if folder else ""
    return f"hf download {repo}{at}{only} --local-dir FOLDER"


def _parts(given: str) -> tuple[str, str, str | None]:
    """Split a hub name into repository, folder ("" for none) and revision."""
    match = _NAME.fullmatch(given)
    if match is None:
        raise BadInput("is not a hub name (org/name)", where=given)
    return match["repo"], match["folder"].strip("/"), match["revision"]


def _snapshot(given: str, repo: str, revision: str | None, patterns: list[str]) -> str:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(
            "is no folder here, and hub names need huggingface_hub, which is not installed",
            where=given,
            hint='Install it with: pip install "superpose[hub]"',
        ) from error
    with _hub_errors(given):
        return snapshot_download(repo, revision=revision, allow_patterns=patterns)


@contextmanager
def _hub_errors(given: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the client's errors have no common base
        raise BadInput(
            f"is no folder here, and the hub does not give it ({type(error).__name__})",
            where=given,
            hint="Check the spelling; a private or gated one needs `hf auth login`.",
        ) from error
