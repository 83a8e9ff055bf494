"""What a domain's inputs to each module look like: second moments, kept beside an adapter.

A merge by regression needs of a domain no question and no answer, only the second moment of what
goes into the target modules. Base model and adapter hardly change it, so it can be made once, by
whoever has the rows, and travel with the adapter: a safetensors file that PEFT and engines ignore.
A module's inputs are one tensor for several modules (q, k and v), and are kept once.

What it tells of the data: the directions and sizes of hidden states averaged over all tokens. No
order of words is in it, but with the base model at hand the first layer's inputs tell which tokens
are frequent: of hundreds of rows stop words and the like, of four their subject, of a single one
most of its words. Whether two domains are alike can be read off too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from superpose.errors import BadInput
from superpose.files.file_format import INPUT_STATISTICS
from superpose.files.tensors import open_tensors, write_tensors
from superpose.lowrank.second_moment import SecondMoment
from superpose.names.identity import by_identity, parse

__all__ = ["InputStatistics"]

_FORMAT = "superpose-input-statistics"
_VERSION = 1

_ASKEW = 0.01
"""How far, entry by entry, products of directions may be from those of orthonormal ones: of unit
vectors in float16 they are off by at most a thousandth."""

_LARGEST = float(np.finfo(np.float32).max)
"""Of the mean of the directions left out, which is no larger than a kept one, in float32."""

_ANEW = "Make the statistics anew: superpose statistics BASE ROWS.jsonl -o ADAPTER --force."


@dataclass(frozen=True, eq=False)
class InputStatistics(Mapping[str, SecondMoment]):
    """The second moment of the inputs of each module, over the tokens of a domain's rows.

    moments: by module; modules that read one tensor share one object. base_model: whose hidden
    states they are. rows, tokens: how many they were made from.

    A module is found by what it is, whatever a file calls it: `model.layers.0.mlp.up_proj` by
    `layers.0.mlp.up_proj` too, where no other has that identity.
    """

    moments: Mapping[str, SecondMoment]
    base_model: str | None
    rows: int
    tokens: int

    def __getitem__(self, module: str) -> SecondMoment:
        if module in self.moments:
            return self.moments[module]
        name = self._by_identity.get(parse(f"{module}.weight").identity)
        if name is None:
            raise KeyError(module)
        return self.moments[name.removesuffix(".weight")]

    @cached_property
    def _by_identity(self) -> dict[str, str]:
        return by_identity(f"{module}.weight" for module in self.moments)

    def __iter__(self) -> Iterator[str]:
        return iter(self.moments)

    def __len__(self) -> int:
        return len(self.moments)

    def sketched(self, directions: int) -> InputStatistics:
        """Keep of each moment the strongest directions and the mean of the rest."""
        cut = {id(m): m.sketched(directions) for m in self.moments.values()}
        moments = {module: cut[id(moment)] for module, moment in self.moments.items()}
        return InputStatistics(moments, self.base_model, self.rows, self.tokens)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, new: directions in float16, moments in float32.

        Raises BadInput where a moment is whole: `sketched` gives what fits beside an adapter.
        """
        tensors: dict[str, Any] = {}
        inputs: list[dict[str, object]] = []
        places: dict[int, int] = {}
        for module, moment in self.moments.items():
            if moment.whole is not None:
                raise BadInput("a whole second moment is not written; sketch it", where=module)
            at = places.setdefault(id(moment), len(places))
            if at == len(inputs):
                inputs.append({"modules": [], "rest": moment.rest})
                tensors[f"{at}.vectors"] = moment.vectors.astype(np.float16)
                tensors[f"{at}.values"] = moment.values.astype(np.float32)
            inputs[at]["modules"].append(module)  # type: ignore[attr-defined]
        note = {
            "version": _VERSION,
            "base_model": self.base_model,
            "rows": self.rows,
            "tokens": self.tokens,
            "inputs": inputs,
        }
        write_tensors(Path(path), tensors, {_FORMAT: json.dumps(note)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> InputStatistics:
        """Read what `save` wrote: the file, or that in an adapter's folder.

        Raises BadInput, naming file and tensor, for anything else.
        """
        file = Path(path)
        file = file / INPUT_STATISTICS if file.is_dir() else file
        try:
            found = open_tensors(file).read()
        except BadInput as error:  # whose hint is for a training's weights
            raise BadInput(error.problem, where=error.where or file, hint=_ANEW) from None
        note = _note(found.metadata.get(_FORMAT), file)
        moments: dict[str, SecondMoment] = {}
        for at, entry in enumerate(note["inputs"]):
            moment = _moment(found.tensors, at, float(entry["rest"]), file)
            moments |= dict.fromkeys(entry["modules"], moment)
        return cls(moments, note["base_model"], note["rows"], note["tokens"])


def _note(text: str | None, file: Path) -> dict[str, Any]:
    """Read the header's note, and check that it holds what it must."""
    if text is None:
        raise BadInput("these are no input statistics of superpose", where=file, hint=_ANEW)
    try:
        note = json.loads(text)
        version = note["version"]
        if version == _VERSION and _is_whole(note):
            return dict(note)
    except (ValueError, TypeError, KeyError, RecursionError):
        version = None
    if isinstance(version, int) and version > _VERSION:
        raise BadInput(
            f"input statistics of version {version}, and this superpose reads {_VERSION}",
            where=file,
            hint="pip install --upgrade superpose",
        )
    raise BadInput("the note of these input statistics is damaged", where=file, hint=_ANEW)


def _is_whole(note: Mapping[str, Any]) -> bool:
    """Say whether a note holds what `save` writes. Raises KeyError or TypeError for some that not.

    No module stands twice, and every mean one that float32 holds.
    """
    counts = (note["rows"], note["tokens"])
    if not all(type(count) is int and count > 0 for count in counts):
        return False
    if not isinstance(note["base_model"], str | None) or not isinstance(note["inputs"], list):
        return False
    modules = [module for entry in note["inputs"] for module in entry["modules"]]
    if not all(isinstance(module, str) for module in modules):
        return False
    rests = [entry["rest"] for entry in note["inputs"]]
    known = all(type(rest) in (int, float) and 0 <= rest <= _LARGEST for rest in rests)
    return known and 0 < len(modules) == len(set(modules))


def _moment(tensors: Mapping[str, Any], at: int, rest: float, file: Path) -> SecondMoment:
    """Read one moment; raises BadInput for tensors that are missing or do not fit together."""
    names = f"{at}.vectors", f"{at}.values"
    for name in names:
        if name not in tensors:
            raise BadInput(f"there is no tensor `{name}`", where=file, hint=_ANEW)
    with np.errstate(over="ignore"):  # of what is beyond float32, and refused
        vectors, values = (np.asarray(tensors[name], np.float32) for name in names)
    fit = vectors.ndim == 2 and values.shape == vectors.shape[1:]
    if not fit or not ((values >= 0) & np.isfinite(values)).all():
        raise BadInput(
            f"`{names[0]}` and `{names[1]}` are no second moment", where=file, hint=_ANEW
        )
    unit = np.isfinite(vectors).all() and np.abs(vectors).max(initial=0.0) <= 1.0 + _ASKEW
    if not unit or np.abs(vectors.T @ vectors - np.eye(len(values))).max(initial=0.0) > _ASKEW:
        raise BadInput(f"`{names[0]}` holds no orthonormal directions", where=file, hint=_ANEW)
    return SecondMoment(vectors, values, rest)
