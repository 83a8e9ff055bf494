"""The shared form as one safetensors file, described in its header.

Tensors: `basis.M.output` (out, a) and `basis.M.input` (b, in) of module M; `adapter.K.cores`, all
cores of adapter K behind each other, row by row, in the order of the header's `cores`; what is in
no basis under names of its own. What the numbers mean: `rounding`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from superpose._version import __version__
from superpose.adapter import Place, Replacement, Stored
from superpose.adapter.image_marks import settings_to_json
from superpose.errors import Refused
from superpose.files import write_tensors
from superpose.files.tensors import length_of_file
from superpose.formats.shared_form.mark import MARK, VERSION
from superpose.formats.shared_form.rounding import InShared, SharedForm
from superpose.lowrank import Array


def write_shared_form(path: Path, form: SharedForm) -> None:
    """Write a new file and wait until it is on the disk.

    Raises Refused for a setting that no JSON holds, OSError as the system does.
    """
    tensors, told = _described(form)
    write_tensors(path, tensors, told)


def shared_form_bytes(form: SharedForm) -> int:
    """Give how long the file is, or would be."""
    tensors, told = _described(form)
    return length_of_file(tensors, told)


def _described(form: SharedForm) -> tuple[dict[str, Array], dict[str, str]]:
    tensors: dict[str, Array] = {}
    for number, module in enumerate(form.modules.values()):
        tensors[f"basis.{number}.output"] = module.outputs
        tensors[f"basis.{number}.input"] = module.inputs
    numbers = {key: number for number, key in enumerate(form.modules)}
    adapters = [
        _adapter(member, f"adapter.{at}", numbers, tensors)
        for at, member in enumerate(form.members)
    ]
    told = {
        "version": VERSION,
        "superpose": __version__,
        "dtype": form.dtype,
        "compact": form.compact,
        "modules": list(form.modules),
        "adapters": adapters,
    }
    try:
        text = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise Refused(f"an adapter's configuration is no JSON: {error}") from error
    return tensors, {"format": "np", MARK: text}


def _adapter(
    member: InShared, at: str, numbers: Mapping[str, int], tensors: dict[str, Array]
) -> dict[str, Any]:
    adapter = member.adapter
    deltas = [
        _delta(key, member, f"{at}.delta.{n}", numbers, tensors) for n, key in enumerate(adapter)
    ]
    cores = (member.cores[key] for key in adapter if key in member.cores)
    parts = [x for core in cores for x in core if x is not None]
    if parts:
        tensors[f"{at}.cores"] = np.concatenate([x.ravel() for x in parts])
    stored = [
        _stored(one, f"{at}.stored.{n}", tensors)
        for n, one in enumerate(adapter.replacements.values())
    ]
    for n, copy in enumerate(adapter.copies.values()):
        tensors[f"{at}.copy.{n}"] = copy
    return {
        "name": adapter.name,
        "base_model": adapter.base_model,
        "format": adapter.format,
        "dtype": member.dtype,
        "settings": settings_to_json(adapter.settings),
        "metadata": dict(adapter.metadata),
        "tied": dict(adapter.tied),
        "parents": [parent.to_json() for parent in adapter.parents],
        "made": adapter.made.to_json(),
        "deltas": deltas,
        "stored": stored,
        "copies": list(adapter.copies),
    }


def _delta(
    key: str, member: InShared, at: str, numbers: Mapping[str, int], tensors: dict[str, Array]
) -> dict[str, Any]:
    """Describe one delta: in the basis with the rank of its core, zero, or with tensors."""
    delta = member.adapter[key]
    told: dict[str, Any] = {} if delta.place is None else {"place": _place(delta.place)}
    if key in member.cores:
        core = member.cores[key]
        rank = None if core.input is None else len(core.input)
        return {"module": numbers[key], "rank": rank, **told}
    (term,) = delta.terms
    if not (term.B.any() or term.A.any()):
        return {"key": key, "zero": list(delta.shape), **told}
    tensors[f"{at}.B"], tensors[f"{at}.A"] = term.B, term.A
    return {"key": key, "tensors": at, **told}


def _stored(one: Replacement, at: str, tensors: dict[str, Array]) -> dict[str, Any]:
    coefficients = []
    for n, part in enumerate(one.parts):
        assert isinstance(part.value, Stored)  # the rest was refused
        tensors[f"{at}.{n}"] = part.value.tensor
        coefficients.append(part.coefficient)
    return {
        "tensor": one.tensor,
        "row": one.row,
        "owner": one.owner,
        "place": None if one.place is None else _place(one.place),
        "coefficients": coefficients,
        "tensors": at,
    }


def _place(place: Place) -> dict[str, Any]:
    """Give what differs from the place of a linear layer's weight."""
    plain = asdict(Place(place.module))
    return {k: v for k, v in asdict(place).items() if k == "module" or v != plain[k]}
