"""A base model on disk: its safetensors files opened by header, its tensors read one at a time.

The tensors are not looked at (a base model has gigabytes), only counted: what the index promises
must stand in the shard that it names, and no tensor may stand in two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput, Refused
from superpose.files.diffusers_model import CLASS, STEM
from superpose.files.header import SIZES, TensorEntry
from superpose.files.index import weight_map
from superpose.files.json_values import read_json
from superpose.files.tensors import EIGHT_BITS, FLOATS, numpy_dtype, read_header
from superpose.files.text import with_an_end
from superpose.names.identity import by_identity, parse
from superpose.names.stored import candidates, is_conv1d, model_types, tied_partner

Array = NDArray[Any]

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_OTHERS = {"U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32"}
_OTHERS |= {"I32": "int32", "U64": "uint64", "I64": "int64", "BOOL": "bool", "C64": "complex64"}


class Location(NamedTuple):
    """Where one tensor lies: the file's name in the folder, its first byte there, its entry."""

    file: str
    offset: int
    entry: TensorEntry


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A transformers (or diffusers) folder with safetensors weights; only headers are held.

    folder: where it lies. config: config.json, parsed. locations: by tensor name, in the order of
    the files and of the bytes in each. files: names of the weight files, in order. index: the
    parsed index, None for a single file. metadata: of each file.
    """

    folder: Path
    config: Mapping[str, Any]
    files: tuple[str, ...]
    locations: Mapping[str, Location]
    index: Mapping[str, Any] | None
    metadata: Mapping[str, Mapping[str, str]]

    @classmethod
    def open(cls, folder: str | Path, *, diffusers: bool = False) -> Checkpoint:
        """Open a base model's folder. diffusers: take one of a single model of diffusers' as well.

        Raises BadInput, naming the file and the tensor, when configuration or weights are missing,
        damaged or disagree with the index; Refused when the weights are quantised or no safetensors
        files.
        """
        path = Path(folder)
        if not with_an_end(path / CONFIG).is_file():
            raise BadInput(
                f"holds no {CONFIG}: it is no base model's folder",
                where=path,
                hint="A base model is a folder as transformers' save_pretrained writes it.",
            )
        config = read_json(path / CONFIG)
        _check_plain(config, path)
        single, listed = _called(config, path, diffusers)
        index = None if (path / single).exists() else _index(path, single, listed)
        files = (single,) if index is None else tuple(sorted(set(index["weight_map"].values())))
        locations: dict[str, Location] = {}
        metadata: dict[str, Mapping[str, str]] = {}
        for file in files:
            metadata[file] = _add_file(path / file, locations)
        if index is not None:
            _check_index(path / listed, index["weight_map"], locations)
        return cls(path, config, files, locations, index, metadata)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all stored tensors."""
        return tuple(self.locations)

    def entry(self, name: str) -> TensorEntry:
        """Give dtype and shape of a stored tensor, without reading it."""
        return self._location(name).entry

    def path(self, name: str) -> Path:
        """Give the file that holds a tensor."""
        return self.folder / self._location(name).file

    def read(self, name: str) -> Array:
        """Give a copy of one tensor, in the dtype it is stored in.

        Raises BadInput, naming file and tensor, when the file does not give it.
        """
        location = self._location(name)
        count = location.entry.end - location.entry.begin
        return self._bytes(name, location, 0, count).reshape(location.entry.shape)

    def read_rows(self, name: str, begin: int, end: int) -> Array:
        """Give a copy of the rows begin to end of one tensor; its other bytes are not read."""
        rest = self._location(name).entry.shape[1:]
        width = math.prod(rest)
        return self.read_part(name, begin * width, end * width).reshape((end - begin, *rest))

    def read_part(self, name: str, begin: int, end: int, into: Array | None = None) -> Array:
        """Give a copy of the values begin to end of one tensor in row-major order.

        into: bytes (uint8) to hold them, exactly as many as they take; None for new ones.
        """
        location = self._location(name)
        width = SIZES[location.entry.dtype]
        return self._bytes(name, location, begin * width, (end - begin) * width, into)

    def resolve(self, parameter: str) -> str | None:
        """Give the stored name of a parameter that an adapter calls by its name in the module tree.

        Tried in this order: the name itself; with or without the prefix of the base model (GPT-2's
        files say `h.0...`); names that transformers changed between versions; and for an output
        layer tied to the embedding the embedding's, or the other way round. None: it is not there.
        """
        found = self.stored_as(parameter)
        if found is not None or not self.tied:
            return found
        return self.other_end(parameter)

    def stored_as(self, parameter: str) -> str | None:
        """Give the stored name of a parameter's own tensor: `resolve`, but not through tying."""
        for names in candidates(parameter, self._tops):
            there = [name for name in names if name in self.locations]
            if len(there) == 1:
                return there[0]
        return self._by_identity.get(parse(parameter).identity)

    def other_end(self, parameter: str) -> str | None:
        """Give the stored tensor of an embedding's output layer, or of that one's embedding.

        None when the files hold none, as where the two are tied, or `parameter` is neither.
        """
        return tied_partner(parameter, self.stored_as)

    @property
    def tied(self) -> bool:
        """Whether the configuration ties the output layer to the embedding; so by default.

        transformers leaves the key out of a file where it is true.
        """
        for part in (self.config, self.config.get("text_config")):
            if isinstance(part, Mapping) and "tie_word_embeddings" in part:
                return bool(part["tie_word_embeddings"])
        return True

    def is_conv1d(self, module: str) -> bool:
        """Say whether a module is a Conv1D, whose weight is stored (in_features, out_features).

        The architecture tells: a square weight looks the same either way.
        """
        return is_conv1d(module, self.model_types)

    @cached_property
    def model_types(self) -> frozenset[str]:
        """Model types of the configuration and of its parts."""
        return model_types(self.config)

    @cached_property
    def _by_identity(self) -> Mapping[str, str]:
        return by_identity(self.locations)

    @cached_property
    def _tops(self) -> list[str]:
        return sorted({name.partition(".")[0] for name in self.locations if "." in name})

    def _location(self, name: str) -> Location:
        if name not in self.locations:
            raise BadInput(f"holds no tensor `{name}`", where=self.folder)
        return self.locations[name]

    def _bytes(
        self, name: str, location: Location, skip: int, count: int, into: Array | None = None
    ) -> Array:
        path = self.folder / location.file
        data = np.empty(count, dtype=np.uint8) if into is None else into
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(location.offset + skip)
                if file.readinto(data.data) < count:
                    raise BadInput(f"became shorter while `{name}` was read", where=path)
        except OSError as error:
            raise BadInput(
                f"`{name}` cannot be read: {error.strerror or error}", where=path
            ) from error
        return data.view(stored_dtype(location.entry.dtype))


def stored_dtype(name: str) -> np.dtype[Any]:
    """Give NumPy's dtype for a safetensors dtype such as BF16."""
    if name in FLOATS:
        return numpy_dtype(FLOATS[name])
    if name in _OTHERS:
        return np.dtype(_OTHERS[name]).newbyteorder("<")
    return numpy_dtype({**EIGHT_BITS, "F8_E8M0": "float8_e8m0fnu"}[name])


def weights_missing(folder: Path, single: str, listed: str) -> BadInput:
    """Say what lies in a folder in place of safetensors weights."""
    try:
        found = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        return BadInput(f"cannot be read: {error.strerror or error}", where=folder)
    pickles = [name for name in found if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".h5"))]
    others = [name for name in found if name.endswith((".safetensors", ".gguf"))]
    if pickles or others:
        return Refused(
            f"its weights are {', '.join((pickles or others)[:3])}, not {single} or shards "
            f"with {listed}",
            where=folder,
            hint="Load it with from_pretrained and write it anew with save_pretrained.",
        )
    return BadInput(f"holds neither {single} nor {listed}", where=folder)


def _check_plain(config: Mapping[str, Any], folder: Path) -> None:
    for part in (config, config.get("text_config")):
        said = part.get("quantization_config") if isinstance(part, Mapping) else None
        if said:
            method = said.get("quant_method") if isinstance(said, Mapping) else None
            raise Refused(
                f"its weights are quantised (quantization_config: {method or 'unnamed'})",
                where=folder / CONFIG,
                hint="A delta is added to the weights themselves: give the model that was "
                "quantised, in float32, bfloat16 or float16.",
            )


def _called(config: Mapping[str, Any], folder: Path, diffusers: bool) -> tuple[str, str]:
    """Give the names of a single file and of an index."""
    if CLASS not in config:
        return SINGLE, INDEX
    if not diffusers:
        raise Refused(
            f"is a model of diffusers' ({config[CLASS]}), and this takes transformers' models",
            where=folder,
            hint="superpose extract reads diffusers' models; check and add need no base model.",
        )
    return f"{STEM}.safetensors", f"{STEM}.safetensors.index.json"


def _index(folder: Path, single: str, listed: str) -> dict[str, Any]:
    if not (folder / listed).exists():
        raise weights_missing(folder, single, listed)
    index = read_json(folder / listed)
    weight_map(index, folder / listed)
    return index


def _add_file(path: Path, locations: dict[str, Location]) -> Mapping[str, str]:
    """Note where each tensor of one file lies, and give the file's metadata."""
    header = read_header(path)
    data = path.stat().st_size - max((e.end for e in header.entries.values()), default=0)
    for name, entry in header.entries.items():
        if name in locations:
            raise BadInput(f"holds `{name}`, which {locations[name].file} holds too", where=path)
        locations[name] = Location(path.name, data + entry.begin, entry)
    return header.metadata


def _check_index(path: Path, files: Mapping[str, str], locations: Mapping[str, Location]) -> None:
    for name, file in files.items():
        if name not in locations or locations[name].file != file:
            raise BadInput(f"says that {file} holds `{name}`, and it does not", where=path)
