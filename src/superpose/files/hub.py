"""Adapters and files by their name on the Hugging Face hub.

Only what will be read is fetched, into the hub's own cache: never code, never a pickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from glob import escape
from pathlib import Path

from superpose.errors import BadInput, Missing, missing_extra, placed
from superpose.files.file_format import ENDINGS, IN_FOLDERS, PEFT
from superpose.files.hub_errors import hub_errors
from superpose.files.hub_name import HubName, parse_hub_name
from superpose.files.index import weight_map
from superpose.files.json_values import read_json

FILES = PEFT.folder
"""All that is fetched of a PEFT adapter, where its weights are one file."""

_INDEX = str(PEFT.index)


def fetch(given: str) -> Path:
    """Bring an adapter's own files into the hub's cache and give the local folder, or file.

    given: a hub name as `files.hub_name` reads it. A folder's FILES are fetched (of sharded weights
    those that the index names), or the one file of
    diffusers where those are not; of a file's name, that file. A copy in the cache is used when the
    hub is out of reach; HF_HUB_OFFLINE=1 asks for that at once.

    The repository may hold none of FILES, and the folder not exist then: `hub_files` tells what
    it holds instead.

    Raises MissingExtra without huggingface_hub, BadInput when the hub has no such repository,
    revision or file or does not give it to us, Missing when it cannot be asked.
    """
    name = _parsed(given)
    last = name.path.rpartition("/")[2]
    if last in FILES:  # the address of one of them, from a browser
        name = replace(name, path=name.path.removesuffix(last).rstrip("/"))
    elif last.endswith(ENDINGS):
        return fetch_file(given, name)
    root = snapshot(given, name, [*FILES, _INDEX])
    if (root / FILES[0]).exists() and not (root / FILES[1]).exists():
        return snapshot(given, at_commit(name, root), [*FILES, *_otherwise(given, name, root)])
    if (root / FILES[0]).exists():
        return root
    held = [file for file in IN_FOLDERS if (root / file).exists()]
    for file in held or set(IN_FOLDERS).intersection(_listed(given, name)):
        return snapshot(given, at_commit(name, root), [file]) / file
    return root


def _otherwise(given: str, name: HubName, root: Path) -> list[str]:
    """Give the files that hold an adapter's weights where FILES are not all: shards, or MLX's."""
    index = root / _INDEX
    if index.exists():
        return [_INDEX, *shards_of_index(index, given)]
    return [file for file in _listed(given, name) if PEFT.is_other_weights(file)]


def fetch_beside(given: str, files: Iterable[str]) -> Path:
    """Bring those of `files` that lie beside an adapter on the hub; raises as `fetch` does."""
    name = _parsed(given)
    last = name.path.rpartition("/")[2]
    if last in FILES or last.endswith(ENDINGS):
        name = replace(name, path=name.path.removesuffix(last).rstrip("/"))
    return snapshot(given, name, files)


def fetch_file(given: str, name: HubName) -> Path:
    """Bring the one file that a hub name names, and give where it lies; raises as `fetch` does."""
    inside, _, last = name.path.rpartition("/")
    folder = replace(name, path=inside)
    path = snapshot(given, folder, [last]) / last
    if path.exists():
        return path
    ending = Path(last).suffix
    found = [file for file in _listed(given, folder) if file.endswith(ending)]
    raise BadInput(
        f"{name.repo} has no file {name.path}",
        where=given,
        hint=f"It holds {', '.join(found[:6])}." if found else None,
    )


def hub_files(given: str) -> list[str]:
    """Give the paths of all files in a hub repository (or its folder), relative and sorted.

    given: as for `fetch`. Raises as `fetch` does.
    """
    return _files_of(given, _parsed(given))


def _files_of(given: str, name: HubName) -> list[str]:
    from huggingface_hub import HfApi

    start = f"{name.path}/" if name.path else ""
    with hub_errors(given, name):
        paths = HfApi().list_repo_files(name.repo, repo_type=name.kind, revision=name.revision)
    return sorted(path.removeprefix(start) for path in paths if path.startswith(start))


def download_command(given: str) -> str:
    """Give the shell command that brings all files of a hub name, not just FILES, into FOLDER."""
    name = _parsed(given)
    at = f" --revision {name.revision}" if name.revision else ""
    only = f" --include '{name.path}/*'" if name.path else ""
    return f"hf download {name.repo}{at}{only} --local-dir FOLDER"


def snapshot(given: str, name: HubName, files: Iterable[str]) -> Path:
    """Fetch those of `files` that the named folder holds, and give it as it lies in the cache."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        what = "is no folder here, and a hub name"
        raise missing_extra("huggingface_hub", what, where=given) from error
    paths = [f"{name.path}/{file}" if name.path else file for file in files]
    with hub_errors(given, name):
        root = snapshot_download(
            name.repo,
            repo_type=name.kind,
            revision=name.revision,
            allow_patterns=[escape(path) for path in paths],
        )
    return Path(root) / name.path


def _parsed(given: str) -> HubName:
    name = parse_hub_name(given)
    if name is None:
        raise BadInput("is not a hub name (org/name)", where=given)
    return name


def at_commit(name: HubName, folder: Path) -> HubName:
    """Give the name with the commit that `folder`, its snapshot, is of: branches may move."""
    commit = folder.parts[-1 - len(Path(name.path).parts)]
    return replace(name, revision=commit)


def _listed(given: str, name: HubName) -> list[str]:
    """The files of a repository, or none where the hub does not tell."""
    try:
        return _files_of(given, name)
    except (BadInput, Missing):
        return []


def shards_of_index(index: Path, given: str) -> list[str]:
    """Read which files a model's index names: each lies beside it."""
    with placed(given, f"its {index.name}"):
        shards = sorted(set(weight_map(read_json(index), given).values()))
    if not all(map(re.compile(r"[\w-][\w.-]*\.safetensors").fullmatch, shards)):
        raise BadInput(f"its {index.name} names other files than safetensors", where=given)
    return shards
