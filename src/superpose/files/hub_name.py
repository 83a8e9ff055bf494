"""What a hub name says: repository, path in it, revision. Nothing is asked of the hub here.

    org/name                                      a repository's default branch
    org/name/folder/inside                        a folder in it, or a file
    org/name/folder@v1                            of a branch, tag or commit; it stands last
    hf://org/name@v1/folder                       the same, as huggingface_hub spells it
    https://huggingface.co/org/name/tree/v1/folder    the same, copied from a browser

Data sets are `hf://datasets/org/name` and `https://huggingface.co/datasets/org/name`, or plain
where only a data set can be meant.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from superpose.errors import BadInput

Kind = Literal["model", "dataset"]

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_OLD = re.compile(r"([A-Za-z0-9][\w.-]*)(?:@([\w.][\w./+#=-]*))?", re.ASCII)
# Windows and the weight behind a colon keep these characters out; the hub's own names have none.
_SEGMENT = re.compile(r'(?!\.+$)[^/\\@:*?"<>|\x00-\x1f\x7f]+')
_REVISION = re.compile(r"[\w.][\w./+#=-]*")
# Of all revisions with a slash, those that the hub itself makes are known before a path follows.
_SPECIAL = re.compile(r"(refs/(?:pr/\d+|convert/[\w.-]+))(?:/|$)")
_TYPES: dict[str, Kind] = {"models": "model", "datasets": "dataset"}
_HOSTS = {"huggingface.co", "www.huggingface.co", "hf.co"}


@dataclass(frozen=True)
class HubName:
    """A place on the hub.

    repo: `org/name`. path: of a folder or file in it, "" for its root. revision: a branch, tag or
    commit; None is the default branch.
    """

    repo: str
    path: str = ""
    revision: str | None = None
    kind: Kind = "model"

    def __str__(self) -> str:
        """The short form: `org/name/path@revision`; of a data set with `hf://datasets/` before."""
        start = "hf://datasets/" if self.kind == "dataset" else ""
        path = f"/{self.path}" if self.path else ""
        at = f"@{self.revision}" if self.revision else ""
        return f"{start}{self.repo}{path}{at}"


def parse_hub_name(given: str, kind: Kind = "model") -> HubName | None:
    """Read a hub name in any of its spellings; None for what can only be a path.

    kind: what a name without `models/` or `datasets/` in it means.

    Raises BadInput for an address that names another kind of thing, or no place in a repository.
    """
    scheme, separator, rest = given.partition("://")
    if separator and scheme == "hf":
        name = _of_uri(rest, kind)
    elif is_hub_address(given):
        name = _of_address(given, kind)
    else:
        return _of_plain(given, kind)
    if name is None:
        raise BadInput(
            "names no place in a repository of the hub",
            where=given,
            hint="Give org/name, org/name/folder or org/name/folder@revision.",
        )
    if name.kind != kind:
        other = "a data set" if name.kind == "dataset" else "a model or an adapter"
        raise BadInput(f"names {other} on the hub", where=given)
    return name


def parse_base_name(given: str) -> HubName | None:
    """Read the hub name of a base model: a few old ones, such as `gpt2`, have no owner."""
    if old := _OLD.fullmatch(given):
        return HubName(old[1], revision=old[2])
    return parse_hub_name(given)


def is_hub_address(given: str) -> bool:
    """Say whether a name can only mean the hub: `hf://...`, or a web address of the hub's own."""
    if given.startswith(("hf://", "http://", "https://")):
        return True
    return given.partition("/")[0].lower() in _HOSTS


def _of_plain(text: str, kind: Kind) -> HubName | None:
    where, at, revision = text.partition("@")
    repo, path = _cut(where.removesuffix("/").split("/"))
    return _checked(repo, path, revision if at else None, kind)


def _of_uri(body: str, kind: Kind) -> HubName | None:
    """Read what follows `hf://`: the revision stands behind the repository, or, as ours, last."""
    first, _, rest = body.partition("/")
    if first in {"spaces", "kernels", "buckets"}:
        return None
    if first in _TYPES:
        kind, body = _TYPES[first], rest
    organisation, _, rest = body.partition("/")
    name, at, tail = rest.partition("@")
    if not at or "/" in name:
        return _of_plain(body, kind)
    revision, path = _revision_first(tail)
    return _checked(f"{organisation}/{name}", path, revision, kind)


def _of_address(given: str, kind: Kind) -> HubName | None:
    """Read a web address: ORG/NAME, and perhaps tree, blob or resolve with a revision and path."""
    parts = urlsplit(given if "://" in given else f"https://{given}")
    mirror = urlsplit(os.environ.get("HF_ENDPOINT", ""))
    path = parts.path
    if (parts.hostname or "") not in _HOSTS:
        if not mirror.netloc or parts.netloc != mirror.netloc:
            return None
        path = path.removeprefix(mirror.path.rstrip("/"))
    segments = [segment for segment in path.split("/") if segment]
    kind = "model"
    if segments and segments[0] in _TYPES:
        kind = _TYPES[segments.pop(0)]
    repo, rest = "/".join(segments[:2]), segments[2:]
    if not rest:
        return _checked(repo, "", None, kind)
    if rest[0] not in {"tree", "blob", "resolve", "raw", "blame"}:
        return None
    revision, place = _revision_first("/".join(rest[1:]))
    return _checked(repo, unquote(place), revision, kind)


def _revision_first(text: str) -> tuple[str, str]:
    """Split REVISION/PATH; a slash in the revision is %2F, or it is one of the hub's own refs."""
    if special := _SPECIAL.match(text):
        return special[1], text[special.end() :]
    revision, _, path = text.partition("/")
    return unquote(revision), path


def _cut(segments: list[str]) -> tuple[str, str]:
    return "/".join(segments[:2]), "/".join(segments[2:])


def _checked(repo: str, path: str, revision: str | None, kind: Kind) -> HubName | None:
    path = path.removesuffix("/")
    if ".." in repo or not _REPO.fullmatch(repo):
        return None
    if path and not all(map(_SEGMENT.fullmatch, path.split("/"))):
        return None
    if revision is not None and (".." in revision or not _REVISION.fullmatch(revision)):
        return None
    return HubName(repo, path, revision, kind)
