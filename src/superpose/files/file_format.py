"""What the files of each format are called, and whose names its target modules go by.

One row a format, for all that only names files: what a name means, what is fetched from the hub,
what is the adapter's own in a folder. How each is read and written stands in `formats.table`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath


class Family(StrEnum):
    """Whose names the target modules of an adapter go by."""

    BASE = "peft"  # the base model's own in transformers, as PEFT writes them
    LLAMA_CPP = "llama.cpp"
    IMAGE = "image"


INPUT_STATISTICS = "input_statistics.safetensors"
"""Beside an adapter: second moments of its domain's inputs, which engines pass over."""


@dataclass(frozen=True)
class FileFormat:
    """How an adapter of one format lies on disk.

    name: a value of `Adapter.format`. ending: of the name of its one file; "" where it has none.
    folder: files by which a folder of it is known, the first of which has to be there; all of them
    are fetched. index: what names the files of its weights where they are several. otherwise:
    pattern of other names that its weights are read under. weights: of all names that tools give
    its weights, readable or not: such a file beside an adapter is no part that a sum would miss.
    """

    name: str
    family: Family
    ending: str = ""
    folder: tuple[str, ...] = ()
    index: str | None = None
    otherwise: str = ""
    weights: str = ""

    @property
    def endings(self) -> tuple[str, ...]:
        """How a path to write may end; "" is a folder."""
        return (*([self.ending] if self.ending else []), *([""] if self.folder else []))

    def takes(self, path: PurePath) -> bool:
        """Say whether a path to write is one of this format's, by its ending."""
        return (path.suffix if path.suffix in ENDINGS else "") in self.endings

    def is_other_weights(self, name: str) -> bool:
        """Say whether a file's name is one of `otherwise`."""
        return bool(self.otherwise) and re.fullmatch(self.otherwise, name) is not None


PEFT = FileFormat(
    "peft",
    Family.BASE,
    folder=("adapter_config.json", "adapter_model.safetensors"),
    index="adapter_model.safetensors.index.json",
    # Shards without an index, and MLX's.
    otherwise=r"adapter_model-\d{5}-of-\d{5}\.safetensors|adapters\.safetensors",
    weights=r"(adapter_model|adapters)(-\d+-of-\d+)?\.(safetensors|bin)"
    r"|\d+_adapters\.safetensors",
)

GGUF = FileFormat("gguf", Family.BASE, ".gguf", weights=r"ggml-adapter-model.*")
"""A GGUF file whose modules got the base model's own names; `LLAMA_CPP` where nobody told them."""

LLAMA_CPP = FileFormat("llama.cpp", Family.LLAMA_CPP, ".gguf")

KOHYA = FileFormat("kohya", Family.IMAGE, ".safetensors")

DIFFUSERS = FileFormat(
    "diffusers",
    Family.IMAGE,
    ".safetensors",
    folder=("pytorch_lora_weights.safetensors",),
    weights=r"pytorch_lora_weights\.(safetensors|bin)",
)

FILE_FORMATS = (PEFT, GGUF, LLAMA_CPP, KOHYA, DIFFUSERS)

ENDINGS = tuple(dict.fromkeys(f.ending for f in reversed(FILE_FORMATS) if f.ending))
"""How the name of an adapter ends that is one file."""

IN_FOLDERS = tuple(f.folder[0] for f in FILE_FORMATS if f.ending and f.folder)
"""Files that are a whole adapter, in a folder that stands for them."""

_FAMILIES = {f.name: f.family for f in FILE_FORMATS}


def family_of_format(name: str) -> str:
    """Give the family of a value of `Adapter.format`; one that nobody knows is its own."""
    return _FAMILIES.get(name, name)


def weights_pattern() -> str:
    """Give the pattern of every name that tools give an adapter's weights."""
    return "|".join(f.weights for f in FILE_FORMATS if f.weights)
