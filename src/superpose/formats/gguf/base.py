"""What has to be known of the base model to write or read a GGUF adapter: a few numbers.

They stand in config.json, or in the metadata of the base's own GGUF file; weights are never read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter
from superpose.adapter.same_base import base_with_revision
from superpose.errors import BadInput, MissingBase, Refused
from superpose.files.base import named_base, read_base_name
from superpose.files.checkpoint import CONFIG
from superpose.files.embedded import HUB_NAME
from superpose.files.file_format import GGUF
from superpose.files.json_values import read_json
from superpose.formats.gguf.architectures import ARCHITECTURES, Architecture, of_gguf
from superpose.formats.gguf.header import MetadataValue, read_gguf_header

_KNOWN = (HUB_NAME, "HuggingFaceTB/SmolLM2-135M")
"""Names of the embedded base model, and of the one it was made from: their numbers need no file."""

NOTED = "superpose.base"
"""Key of an adapter's metadata under which the base's numbers go with it."""

HINT = (
    "Give it with --base (in Python: base=...): a folder with the base's config.json, its GGUF "
    "file, or its hub name."
)


@dataclass(frozen=True)
class Base:
    """A base model in numbers. heads: of queries; kv_heads: of keys and values; None: not known.

    tied: whether output and embedding are one tensor; None when not known. experts: of a layer, 0
    for none or not known.
    """

    architecture: Architecture
    heads: int | None = None
    kv_heads: int | None = None
    tied: bool | None = None
    experts: int = 0

    def to_json(self) -> str:
        """Give it as text that `from_json` reads."""
        fields = {**vars(self), "architecture": self.architecture.name}
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Base | None:
        """Read what `to_json` gave; None for anything else."""
        try:
            fields = json.loads(text)
            known = ARCHITECTURES[fields["architecture"]]
            heads, kv, tied, experts = (fields[k] for k in ("heads", "kv_heads", "tied", "experts"))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        good = all(n is None or _is_count(n) for n in (heads, kv)) and isinstance(tied, bool | None)
        if not good or not (experts == 0 or _is_count(experts)):
            return None
        return cls(known, heads, kv, tied, experts)


def read_base(given: str | os.PathLike[str]) -> Base:
    """Read the numbers of a base model.

    given: `smollm2`, a folder with its config.json, that file, the model's GGUF file, or a hub
    name, of which config.json alone is fetched.

    Raises MissingBase when it is not here, BadInput when what is there tells nothing usable,
    Refused, naming it, when superpose does not know its architecture in llama.cpp.
    """
    meant = read_base_name(given)
    path = meant.path
    if path is None:
        return _numbers_of(meant.name) or _of_config(meant.config())
    if path.is_file():
        return _of_gguf(path) if GGUF.takes(path) else _of_config(path)
    if not (path / CONFIG).is_file():
        raise BadInput(f"holds no {CONFIG}", where=given, hint=HINT)
    return _of_config(path / CONFIG)


def base_numbers(adapter: Adapter, given: str | os.PathLike[str] | None) -> Base:
    """Give the base model's numbers: of `given`, or of the base that the adapter itself names.

    A base that the adapter names is looked for on this machine only. Raises as `read_base`, and
    MissingBase, saying what to give, when there is none.
    """
    if given is not None:
        return read_base(given)
    noted = Base.from_json(adapter.metadata.get(NOTED, ""))
    if noted is not None:
        return noted
    name = base_with_revision(adapter)
    meant = None if name is None else named_base(name)
    if meant is not None:
        if meant.path is not None:
            return read_base(meant.path)
        if (known := _numbers_of(meant.name)) is not None:
            return known
        if (folder := meant.at_hand()) is not None:
            return _of_config(folder / CONFIG)
    raise MissingBase(
        "a GGUF adapter is written for an architecture, and "
        + (f"the base model `{name}` is not here" if name else "the adapters name no base model"),
        hint=HINT,
    )


def _numbers_of(name: str) -> Base | None:
    """Give the numbers of a base model that superpose knows by its name."""
    if name not in _KNOWN:
        return None
    return Base(ARCHITECTURES["LlamaForCausalLM"], heads=9, kv_heads=3, tied=True)


def _of_config(path: Path) -> Base:
    config = read_json(path)
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    if not isinstance(name, str):
        raise BadInput("names no architecture", where=path, hint=HINT)
    if name not in ARCHITECTURES:
        raise _unknown(name, path)
    architecture = ARCHITECTURES[name]
    inner = config.get("text_config")
    own = {**config, **inner} if isinstance(inner, dict) else config
    heads = _count(own, "num_attention_heads", path)
    tied = config.get("tie_word_embeddings", own.get("tie_word_embeddings"))
    return Base(
        architecture,
        heads=heads,
        kv_heads=_count(own, "num_key_value_heads", path) or heads,
        tied=tied if isinstance(tied, bool) else architecture.tied,
        experts=_count(own, "num_local_experts", path) or _count(own, "num_experts", path) or 0,
    )


def _of_gguf(path: Path) -> Base:
    header = read_gguf_header(path)
    if header.metadata.get("general.type", "model") != "model":
        raise BadInput("is no model's GGUF file", where=path, hint=HINT)
    name = header.metadata.get("general.architecture")
    known = of_gguf(str(name))
    if not known:
        raise _unknown(str(name)[:80], path)
    experts = _own(header.metadata, f"{name}.expert_count")
    stacked = "model.layers.N.mlp.experts.down_proj"
    architecture = next((a for a in known if (stacked in a.names) == bool(experts)), known[0])
    heads = _own(header.metadata, f"{name}.attention.head_count")
    return Base(
        architecture,
        heads=heads,
        kv_heads=_own(header.metadata, f"{name}.attention.head_count_kv") or heads,
        tied="output.weight" not in header.tensors,
        experts=experts or 0,
    )


def _count(config: Mapping[str, Any], key: str, path: Path) -> int | None:
    value = config.get(key)
    if value is None or _is_count(value):
        return value
    raise BadInput(f"{key} is {str(value)[:40]}, no count", where=path)


def _own(metadata: Mapping[str, MetadataValue], key: str) -> int | None:
    """Give a count; None where there is none, or one for each layer."""
    value = metadata.get(key)
    return value if isinstance(value, int) and _is_count(value) else None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value < 1 << 20


def _unknown(name: str, path: Path) -> Refused:
    known = ", ".join(sorted(ARCHITECTURES))
    return Refused(
        f"is of the architecture {name}, of which superpose does not know what llama.cpp makes of "
        "its layers",
        where=path,
        hint=f"It knows {known}. Write a PEFT folder, and convert that with llama.cpp's "
        "convert_lora_to_gguf.py.",
    )
