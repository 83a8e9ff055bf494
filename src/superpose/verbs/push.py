"""An adapter to the Hugging Face hub: read first, then its own files and no others."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from superpose.adapter import Adapter
from superpose.adapter.beside import tell_of_trained
from superpose.arguments import typed
from superpose.errors import BadInput, BadSetting, SuperposeWarning
from superpose.files import locate
from superpose.files.file_format import ENDINGS
from superpose.files.hub_errors import hub_page
from superpose.files.hub_name import HubName, parse_hub_name
from superpose.files.hub_upload import upload
from superpose.files.own import own_file
from superpose.formats import load, save
from superpose.formats.shards import INDEX, numbered
from superpose.formats.table import FOLDER, FORMATS
from superpose.shown import Line, Part, Shown
from superpose.verbs.adapters import AdapterName

__all__ = ["Pushed", "own_files", "push"]

CARD = "README.md"

_BASE = re.compile(r"^base_model:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Pushed(Shown):
    """What was sent, or would be.

    url: of the page where it lies. branch: None is the default one. files: path in the repository
    -> bytes. commit: its id; None where nothing was sent.
    """

    name: str
    url: str
    repo: str
    branch: str | None
    files: dict[str, int]
    commit: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give what `push --json` prints."""
        files = [{"path": path, "bytes": size} for path, size in self.files.items()]
        total = sum(self.files.values())
        return {**vars(self), "files": files, "bytes": total, "dry_run": self.commit is None}

    def shown(self) -> tuple[Part, ...]:
        """Give a line of where it lies, and one for each file."""
        done = "would push" if self.commit is None else "pushed"
        files = (f"{size:>14,} bytes  {path}" for path, size in self.files.items())
        lines = (f"{done} {self.name} to {self.url}", *files)
        return tuple(Line(line, whole=True) for line in lines)


@typed
def push(
    adapter: AdapterName,
    to: str,
    *,
    branch: str | None = None,
    private: bool = False,
    message: str | None = None,
    ignore_keys: Collection[str] = (),
    dry_run: bool = False,
) -> Pushed:
    """Read an adapter, and send its own files to a repository of the hub in one commit.

    adapter: what `load` takes, or a loaded one: where it was read from a path, the files there are
    sent, and where it was made in memory, those that `save` writes of it. to: `org/name`, or a
    folder in it; the repository and the branch are made where they are not there. private: make a
    new repository private, and send nothing to a public one. message: of the commit. dry_run: say
    what would be sent, and ask nobody.

    Raises as `load` does for what is no adapter; BadInput for a name or card that the hub does not
    take and for a token that may not write; Missing without a token or an answer.

    >>> superpose.push("both", "org/both", private=True)  # doctest: +SKIP
    """
    target = _target(to, branch)
    with _lying(adapter) as place:
        loaded = load(place, ignore_keys=ignore_keys, dora=True)
        if isinstance(adapter, Adapter):
            loaded = replace(loaded, name=adapter.name)
        files = _placed(own_files(place), target)
        folder = replace(target, path="" if target.path in files else target.path)
        _check_card(files.get(f"{folder.path}/{CARD}".lstrip("/")))
        _warn_of_paths(loaded)
        tell_of_trained(loaded.beside, "which is not sent")
        pushed = Pushed(
            name=loaded.name,
            url=hub_page(folder),
            repo=target.repo,
            branch=target.revision,
            files={path: file.stat().st_size for path, file in files.items()},
        )
        if dry_run:
            return pushed
        said = message or f"superpose push: {loaded.name}"
        return replace(pushed, commit=upload(to, target, files, private=private, message=said))


@contextmanager
def _lying(adapter: AdapterName) -> Iterator[str | os.PathLike[str]]:
    """Give the place of an adapter's files; one that was made in memory is written for a while."""
    if not isinstance(adapter, Adapter):
        yield adapter
    elif adapter.path is not None:
        yield adapter.path
    else:
        with tempfile.TemporaryDirectory() as folder:
            save(adapter, Path(folder, "adapter"))
            yield Path(folder, "adapter")


def own_files(adapter: str | os.PathLike[str]) -> list[Path]:
    """Give the files that an adapter consists of: of a PEFT folder those that superpose writes.

    Its tokenizer is among them, and shards where its weights are several files. A checkpoint's
    optimiser, a pickle beside them or anything else in the folder is none of them.

    Raises Refused for one that is a link out of the folder.
    """
    place = locate(adapter)
    if place.is_dir():
        shards = numbered([path.name for path in place.iterdir()], adapter)
        names = [*FOLDER.file.folder, *sorted(FOLDER.companions)]
        if shards and not (place / FOLDER.file.folder[-1]).is_file():
            names += [INDEX, *shards]
        return [own_file(place / name, place) for name in names if (place / name).is_file()]
    # Of a file that was named the folder may be anybody's; diffusers' folder is its own.
    own = [one for one in FORMATS if one.file.ending and place.name in one.file.folder]
    beside = [place.parent / name for one in own for name in sorted(one.companions)]
    return [place, *(own_file(path, path.parent) for path in beside if path.is_file())]


def _target(to: str, branch: str | None) -> HubName:
    name = parse_hub_name(to)
    if name is None:
        raise BadInput(
            "is no name of a repository on the hub",
            where=to,
            hint="It is ORG/NAME, where ORG is you or an organisation of yours.",
        )
    if branch is None:
        return name
    if name.revision is not None:
        raise BadSetting(f"{to} names a branch already", where="branch")
    named = parse_hub_name(f"{name.repo}@{branch}")
    if named is None:
        raise BadSetting(f"`{branch}` is no name of a branch", where="branch")
    return replace(name, revision=named.revision)


def _placed(files: list[Path], target: HubName) -> dict[str, Path]:
    """Give each file its path in the repository; one file alone may be given another name."""
    if target.path.endswith(ENDINGS):
        ending = PurePath(target.path).suffix
        if len(files) > 1 or files[0].suffix != ending:
            raise BadInput(f"the adapter is no {ending} file", where=str(target))
        return {target.path: files[0]}
    start = f"{target.path}/" if target.path else ""
    return {start + file.name: file for file in files}


def _check_card(card: Path | None) -> None:
    """Refuse a card whose base model is a path: the hub would, after it has made a repository."""
    if card is None:
        return
    text = card.read_text(encoding="utf-8", errors="replace")
    matter = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    base = matter and _BASE.search(matter[1])
    if base and (_is_path(base[1]) or "@" in base[1]):
        raise BadInput(
            f"names its base model by a path or revision ({base[1]}); the hub takes no such card",
            where=card,
            hint="Write the base model's name on the hub there: base_model: org/name",
        )


def _warn_of_paths(adapter: Adapter) -> None:
    """Say which folders of this machine everybody will read of."""
    names = [adapter.base_model, *(parent.path for parent in adapter.parents)]
    found = [name for name in names if name and _is_path(name)]
    if found:
        warnings.warn(
            f"{adapter.name}: its files name folders of this machine ({', '.join(found[:3])}), "
            "which nobody else can load and whoever sees them reads",
            SuperposeWarning,
            stacklevel=3,
        )


def _is_path(name: str) -> bool:
    windows = PureWindowsPath(name)
    return bool(windows.drive or windows.root) or name.startswith((".", "~")) or "\\" in name
