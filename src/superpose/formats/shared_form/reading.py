"""The shared form read back: the ordinary adapters in it, to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from superpose.adapter import Adapter, Delta, Part, Replacement, Stored
from superpose.adapter.image_marks import settings_of_json
from superpose.adapter.one_basis import BasisCore, SharedModule
from superpose.adapter.place import place_of_json
from superpose.errors import BadInput, placed
from superpose.files import open_tensors
from superpose.files.file_format import FILE_FORMATS
from superpose.formats.folded import DTYPES
from superpose.formats.noted import KEY, noted
from superpose.formats.shared_form.mark import MARK, VERSION, is_shared_form
from superpose.formats.shared_form.rounding import (
    InShared,
    SharedForm,
    ordinary_delta,
    zero_delta,
)
from superpose.lowrank import Array, Term

_MOST_OF_ZEROS = 1 << 27
"""Entries of all factors of zeros: they are told by their shapes alone. 512 MB in float32; all
modules of a model of 70 billion parameters have 20 million."""

_DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


def read_shared_form(path: Path) -> SharedForm:
    """Read the file of a shared form.

    Raises BadInput, naming it, for a file that is none, is of another version, or is damaged.
    """
    file = open_tensors(path)
    if not is_shared_form(file.header):
        raise BadInput(
            "is no shared form of several adapters",
            where=path,
            hint="superpose compress --shared writes one.",
        )
    try:
        told = json.loads(file.metadata[MARK])
        version = told["version"]
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    if version != VERSION:
        raise BadInput(
            f"is a shared form of version {version!r}; this superpose reads version {VERSION}",
            where=path,
            hint="Read it with the superpose that wrote it"
            + (f", {told['superpose']}." if isinstance(told.get("superpose"), str) else "."),
        )
    tensors = file.read().tensors
    try:
        with placed(path):
            return _form(told, tensors)
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BadInput:
    said = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
    return BadInput(f"is damaged: its description does not fit what it holds ({said})", where=path)


def _form(told: Mapping[str, Any], tensors: Mapping[str, Array]) -> SharedForm:
    keys: list[str] = told["modules"]
    _check_places(keys, [one for each in told["adapters"] for one in each["deltas"]])
    bases = [
        SharedModule(tensors[f"basis.{n}.output"], tensors[f"basis.{n}.input"])
        for n in range(len(keys))
    ]
    members = tuple(
        _member(one, f"adapter.{at}", keys, bases, tensors)
        for at, one in enumerate(told["adapters"])
    )
    modules = dict(zip(keys, bases, strict=True))
    return SharedForm(modules, members, told["dtype"], bool(told["compact"]))


def _check_places(keys: object, deltas: list[Mapping[str, Any]]) -> None:
    """Raise ValueError unless each delta is in a basis that there is, or of a size that can be."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("modules are no list of names")
    if len(set(keys)) < len(keys):
        raise ValueError("a module stands twice")
    places = [one["module"] for one in deltas if "module" in one]
    if wrong := [at for at in places if type(at) is not int or not 0 <= at < len(keys)]:
        raise ValueError(f"there is no module {wrong[0]!r}")
    zeros = [size for one in deltas for size in one.get("zero", ())]
    if not all(type(size) is int and size > 0 for size in zeros) or sum(zeros) > _MOST_OF_ZEROS:
        raise ValueError("deltas of zeros of no sensible size")


def _member(
    told: Mapping[str, Any],
    at: str,
    keys: list[str],
    bases: list[SharedModule],
    tensors: Mapping[str, Array],
) -> InShared:
    _check_fields(told)
    flat = tensors.get(f"{at}.cores", np.zeros(0, np.float32))
    cores: dict[str, BasisCore] = {}
    deltas: dict[str, Delta] = {}
    begin = 0
    for one in told["deltas"]:
        if "module" not in one:
            deltas[one["key"]] = _own(one, told["dtype"], tensors)
            continue
        key, basis = keys[one["module"]], bases[one["module"]]
        cores[key], begin = _core(flat, begin, basis, one["rank"])
        deltas[key] = ordinary_delta(_like(one), basis, cores[key], told["dtype"])
    if begin != len(flat):
        raise ValueError(f"{len(flat) - begin} numbers of {at}.cores belong to no module")
    return InShared(_adapter(told, at, deltas, tensors), cores, told["dtype"])


def _check_fields(told: Mapping[str, Any]) -> None:
    """Raise ValueError for a field of an adapter that superpose does not write."""
    texts = (told["name"], told["base_model"] or "", *told["metadata"].values())
    tied = (*told["tied"], *told["tied"].values())
    if not all(isinstance(text, str) for text in (*texts, *tied)):
        raise ValueError("a name is no text")
    if told["dtype"] not in DTYPES:
        raise ValueError(f"dtype {told['dtype']!r}")
    if told["format"] not in [one.name for one in FILE_FORMATS]:
        raise ValueError(f"format {told['format']!r}")


def _core(flat: Array, begin: int, basis: SharedModule, rank: int | None) -> tuple[BasisCore, int]:
    """Give the core that begins there, and where the next one does."""
    a, b = basis.outputs.shape[1], basis.inputs.shape[0]
    q = b if rank is None else rank
    middle, end = begin + a * q, begin + a * q + (0 if rank is None else q * b)
    output = flat[begin:middle].reshape(a, q)
    return BasisCore(output, None if rank is None else flat[middle:end].reshape(q, b)), end


def _own(told: Mapping[str, Any], dtype: str, tensors: Mapping[str, Array]) -> Delta:
    if "zero" in told:
        high, wide = told["zero"]
        return zero_delta((high, wide), _like(told), dtype)
    B, A = (tensors[f"{told['tensors']}.{side}"] for side in "BA")
    return Delta((Term(1.0, B, A),), place=place_of_json(told.get("place")))


def _like(told: Mapping[str, Any]) -> Delta:
    """Give a delta that has nothing but the place."""
    one = np.zeros((1, 1), np.float32)
    return Delta((Term(1.0, one, one),), place=place_of_json(told.get("place")))


def _adapter(
    told: Mapping[str, Any], at: str, deltas: Mapping[str, Delta], tensors: Mapping[str, Array]
) -> Adapter:
    replacements = dict(_replacements(told["stored"], tensors))
    made = noted({KEY: json.dumps({"parents": told["parents"], "made": told["made"]})})
    if not made:
        raise ValueError(f"how {told['name']} was made")
    return Adapter(
        deltas,
        name=told["name"],
        base_model=told["base_model"],
        settings=settings_of_json(told["settings"]),
        replacements=replacements,
        copies={name: tensors[f"{at}.copy.{n}"] for n, name in enumerate(told["copies"])},
        tied=told["tied"],
        format=told["format"],
        metadata=told["metadata"],
        **made,
    )


def _replacements(
    told: list[Mapping[str, Any]], tensors: Mapping[str, Array]
) -> Iterator[tuple[str, Replacement]]:
    for one in told:
        parts = tuple(
            Part(float(coefficient), Stored(tensors[f"{one['tensors']}.{n}"]))
            for n, coefficient in enumerate(one["coefficients"])
        )
        found = Replacement(
            parts, one["tensor"], one["row"], one["owner"], place_of_json(one["place"])
        )
        yield found.key, found
