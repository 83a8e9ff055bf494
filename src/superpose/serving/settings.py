"""What the operator of a server allows, as environment variables tell it.

A request decides nothing of this: it names adapters, and these settings say which may be meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import BadSetting
from superpose.files import embedded
from superpose.files.home import with_home
from superpose.formats.vllm import VLLM_DEFAULT_RANK, VLLM_RANKS

__all__ = ["VARIABLES", "ServerSettings"]

FOLDERS = "SUPERPOSE_ADAPTERS"
OWNERS = "SUPERPOSE_HUB_OWNERS"
CACHE = "SUPERPOSE_SUMS"
LIMIT = "SUPERPOSE_SUMS_SIZE"
RANK = "SUPERPOSE_MAX_LORA_RANK"
SAME = "SUPERPOSE_SAME_BASE"

VARIABLES: Mapping[str, str] = {
    FOLDERS: f"folders of adapters, with `{os.pathsep}` between them",
    OWNERS: "owners on the Hugging Face hub, or single repositories `org/name`, with commas",
    CACHE: "the folder that keeps the sums",
    LIMIT: "how much it may hold: 500MB, 10GB",
    RANK: "the server's --max-lora-rank",
    SAME: "1: base models of different names are known to be one",
}
"""All variables, and what each says."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", re.ASCII | re.IGNORECASE)
_OWNER = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class ServerSettings:
    """folders: of adapters. owners: on the hub, `org` or `org/name`, in lower case.

    cache: the folder of the sums. limit: bytes that it may hold. max_rank: that the server takes.
    same_base: base models of different names are known to be one.
    """

    folders: tuple[Path, ...]
    owners: frozenset[str] = frozenset()
    cache: Path = Path("sums")
    limit: int = 10 * 10**9
    max_rank: int = VLLM_DEFAULT_RANK
    same_base: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ServerSettings | None:
        """Read VARIABLES; None where neither folders nor owners are allowed, so nothing is served.

        Raises BadSetting, naming the variable, for one that means nothing.
        """
        folders = tuple(map(_folder, filter(None, environment.get(FOLDERS, "").split(os.pathsep))))
        owners = frozenset(map(_owner, filter(None, environment.get(OWNERS, "").split(","))))
        if not folders and not owners:
            return None
        cache = environment.get(CACHE)
        return cls(
            folders,
            owners,
            Path(cache).absolute() if cache else embedded.cache_folder() / "sums",
            _bytes(environment.get(LIMIT) or "10GB"),
            _rank(environment.get(RANK) or str(VLLM_DEFAULT_RANK)),
            _yes(environment.get(SAME) or "0"),
        )


def _folder(text: str) -> Path:
    path = with_home(text)
    if not path.is_dir():
        raise BadSetting(f"`{text}` is no folder here", where=FOLDERS)
    return path.absolute()


def _owner(text: str) -> str:
    name = text.strip()
    if not _OWNER.fullmatch(name):
        raise BadSetting(
            f"`{text}` is no owner on the hub, and no repository",
            where=OWNERS,
            hint="Give names with commas between them: org,other-org/math",
        )
    return name.lower()


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise BadSetting(f"`{text}` is no size", where=LIMIT, hint="Give 500MB or 10GB.")
    unit = found[2].upper()
    return int(float(found[1]) * _UNITS[unit if not unit or unit.endswith("B") else f"{unit}B"])


def _rank(text: str) -> int:
    if not text.strip().isdecimal() or int(text) not in VLLM_RANKS:
        known = ", ".join(map(str, VLLM_RANKS))
        raise BadSetting(f"`{text}` is no rank that vLLM takes; there are {known}", where=RANK)
    return int(text)


def _yes(text: str) -> bool:
    if text.strip().lower() not in ("0", "1", "true", "false"):
        raise BadSetting(f"`{text}` is neither 0 nor 1", where=SAME)
    return text.strip().lower() in ("1", "true")
