"""A request's name -> a folder that the server loads: the exact sum, made once and kept.

Names are read as everywhere (`names.sums`), adapters found in what the operator allows
(`serving.confined`). A sum is known by its content: the adapters' own bytes, the task weights, the
base model and the version that made it. An adapter that was trained anew is another sum.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from superpose._version import __version__
from superpose.errors import (
    BadInput,
    DifferentBase,
    Refused,
    SuperposeError,
    bullets,
    placed,
)
from superpose.files.checksum import sha256 as file_digest
from superpose.names.sums import is_sum, parse_terms
from superpose.serving.confined import Found, check_text, find_adapter, find_by_whole_name
from superpose.serving.settings import RANK, SAME, ServerSettings
from superpose.serving.sum_cache import Hold, SumCache

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.files.checkpoint import Checkpoint

__all__ = ["AdapterServer", "Served", "UnknownAdapter"]

_READ = (".safetensors", ".gguf", ".index.json", "adapter_config.json")
"""Endings of the files that an adapter's deltas are read from."""

_BESIDE = 1 << 18
"""Bytes of configuration, card and header beside the factors, generously."""


class UnknownAdapter(BadInput):
    """A sum names an adapter that this server does not have."""


@dataclass(frozen=True)
class Served:
    """A sum that can be loaded. path: the folder; it stays there until `release`.

    made: whether it was made for this request, or lay there already.
    """

    path: Path
    made: bool
    held: Hold

    def release(self) -> None:
        """Say that the folder is no longer used; to be called once."""
        self.held.release()


@dataclass(frozen=True)
class AdapterServer:
    """What a server asks for the adapters that requests name. Threads and processes may share."""

    settings: ServerSettings

    @cached_property
    def _cache(self) -> SumCache:
        return SumCache(self.settings.cache, self.settings.limit)

    def serve(self, base: str, request: str) -> Served | None:
        """Give the sum that a request's name means; None for one plain name that is none of ours.

        base: what the server calls its model.

        Raises UnknownAdapter, and BadInput for what is no sum, leads out of the folders, is of
        another base model, or cannot be served; CacheTrouble where the sums' folder is the
        reason.
        """
        check_text(request)
        parts = self._parts(request)
        if parts is None:
            return None
        weights = [weight for _, weight in parts]
        digests = [_digest(found) for found, _ in parts]
        making = _Making(self.settings, base, [found for found, _ in parts], weights, digests)
        held = self._cache.hold(self._key(base, digests, weights), making.size, making.write)
        return Served(held.path, held.made, held)

    def _parts(self, request: str) -> list[tuple[Found, float]] | None:
        """Give the adapters of a request and their task weights."""
        whole = find_by_whole_name(request, self.settings)
        if whole is not None:
            return [(whole, 1.0)]
        try:
            terms = parse_terms(request)
        except BadInput:
            if is_sum(request):
                raise
            return None
        found = [(find_adapter(name, self.settings), name, weight) for name, weight in terms]
        unknown = [name for place, name, _ in found if place is None]
        if unknown and len(found) == 1 and found[0][2] is None:
            return None
        if unknown:
            raise UnknownAdapter(
                f"this server has no adapter called {', '.join(f'`{n}`' for n in unknown)}",
                where=request,
            )
        return [(place, 1.0 if w is None else w) for place, _, w in found if place is not None]

    def _key(self, base: str, digests: Sequence[str], weights: Sequence[float]) -> str:
        """Give the name of a sum by its content; in whatever order it is asked for."""
        terms = sorted(zip(digests, map(repr, weights), strict=True))
        settings = [__version__, base, self.settings.max_rank, self.settings.same_base]
        return sha256(json.dumps([settings, terms]).encode()).hexdigest()


@dataclass(frozen=True)
class _Making:
    """What it takes to make one sum; nothing is read before it is asked for."""

    settings: ServerSettings
    base: str
    found: Sequence[Found]
    weights: Sequence[float]
    digests: Sequence[str]

    @cached_property
    def total(self) -> Adapter:
        """Load the adapters and add them. Raises BadInput for what cannot be served."""
        from superpose.adapter.beside import tell_of_trained
        from superpose.compose import exact_sum
        from superpose.formats.expanded import with_factors
        from superpose.verbs.at_hand import base_of

        parts = [self._part(found) for found in self.found]
        for found, digest in zip(self.found, self.digests, strict=True):
            if _digest(found) != digest:
                raise BadInput("changed while it was read; ask again", where=found.called)
        here = base_of(parts, self.base)
        tree = None
        if here is not None:
            from superpose.baking.found import tree_of_base

            tree = tree_of_base(here)
        total = exact_sum(parts, self.weights, same_base=self.settings.same_base, tree=tree)
        tell_of_trained(total.beside, "which is not served")
        if here is not None:
            _check_found(total, here, self.base)
        return with_factors(replace(total, beside=()))

    def size(self) -> int:
        """Give the bytes that it takes on disk. Raises Refused for a rank over the server's."""
        from superpose.files.tensors import numpy_dtype
        from superpose.formats.folded import widest_dtype
        from superpose.formats.vllm import vllm_max_rank

        rank = vllm_max_rank(self.total.rank)
        if rank is None or rank > self.settings.max_rank:
            raise Refused(
                f"the sum has rank {self.total.rank}, and the server takes at most "
                f"{self.settings.max_rank}",
                hint=f"Its operator can start it with a larger --max-lora-rank, and {RANK} alike.",
            )
        width = sum(sum(delta.shape) for delta in self.total.values())
        return rank * width * numpy_dtype(widest_dtype(self.total)).itemsize + _BESIDE

    def write(self, path: Path) -> None:
        """Write it as vLLM reads it. Raises Refused, with every reason, for what it does not."""
        from superpose.formats import save

        save(self.total, path, engine="vllm")

    def _part(self, found: Found) -> Adapter:
        """Load an adapter, which is called from here on as the request calls it."""
        from superpose.adapter.same_base import plain_name
        from superpose.files import short_name
        from superpose.formats import load

        with _called(found):
            adapter = load(found.path)
        theirs, ours = plain_name(adapter.base_model), plain_name(self.base)
        if theirs and ours and theirs != ours and not self.settings.same_base:
            raise DifferentBase(
                f"is an adapter of {adapter.base_model}, and the server's model is {self.base}",
                where=found.called,
                hint=f"Where both are one model, its operator says so with {SAME}=1.",
            )
        return replace(adapter, name=short_name(found.called), path=found.called)


def _check_found(total: Adapter, here: Checkpoint, base: str) -> None:
    """Raise Refused where the server's model, whose files are here, does not have a part of it."""
    from superpose.baking.found import found_in

    missing = found_in(total, here, base).missing
    if missing:
        reasons = [f"`{key}`: {why}" for key, why in missing.items()]
        raise Refused(f"does not fit the server's model:{bullets(reasons, 5)}", where=total.name)


@contextmanager
def _called(found: Found) -> Iterator[None]:
    """Let errors from inside name an adapter as the request does, not where it lies here."""
    try:
        with placed(found.called):
            yield
    except SuperposeError as error:
        here, name = str(found.path), found.called
        error.problem = error.problem.replace(here, name)
        error.where = name if error.where is None else error.where.replace(here, name)
        error.hint = None if error.hint is None else error.hint.replace(here, name)
        raise


def _digest(found: Found) -> str:
    """Give what an adapter's deltas are read from as one digest; of a file, of that alone.

    Raises UnknownAdapter where nothing is: a hub's repository without an adapter.
    """
    path = found.path
    if not path.exists():
        raise UnknownAdapter("there is no adapter in this repository", where=found.called)
    with _called(found):
        if path.is_file():
            return _digest_of(str(path), *_state(path))
        files = sorted(file for file in path.iterdir() if file.name.endswith(_READ))
        parts = [(file.name, _digest_of(str(file), *_state(file))) for file in files]
    return sha256(json.dumps(parts).encode()).hexdigest()


def _state(file: Path) -> tuple[int, int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


@lru_cache(maxsize=4096)
def _digest_of(file: str, *state: int) -> str:
    """Give a file's digest, computed anew when its state changes."""
    return file_digest(Path(file))
