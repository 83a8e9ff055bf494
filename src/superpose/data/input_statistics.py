"""What a domain's inputs to each module look like: second moments, kept beside an adapter.

A merge by regression needs of a domain no question and no answer, only the second moment of what
goes into the target modules. Base model and adapter hardly change it, so it can be made once, by
whoever has the rows, and travel with the adapter: a safetensors file that PEFT and engines ignore.
A module's inputs are one tensor for several modules (q, k and v), and are kept once.

What it tells of the data: the directions and sizes of hidden states averaged over all tokens; no
row, token or order can be read off, but whether two domains are alike can.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superpose.errors import BadInput
from superpose.files.file_format import INPUT_STATISTICS
from superpose.files.tensors import open_tensors, write_tensors
from superpose.lowrank.second_moment import SecondMoment

__all__ = ["InputStatistics"]

_FORMAT = "superpose-input-statistics"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class InputStatistics(Mapping[str, SecondMoment]):
    """The second moment of the inputs of each module, over the tokens of a domain's rows.

    moments: by module; modules that read one tensor share one object. base_model: whose hidden
    states they are. rows, tokens: how many they were made from.
    """

    moments: Mapping[str, SecondMoment]
    base_model: str | None
    rows: int
    tokens: int

    def __getitem__(self, module: str) -> SecondMoment:
        return self.moments[module]

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
        found = open_tensors(file).read()
        note = _note(found.metadata.get(_FORMAT), file)
        moments = {}
        for at, entry in enumerate(note["inputs"]):
            moment = _moment(found.tensors, at, entry, file)
            moments.update(dict.fromkeys(entry["modules"], moment))
        return cls(moments, note["base_model"], note["rows"], note["tokens"])


def _note(text: str | None, file: Path) -> dict[str, Any]:
    """Read the header's note, and check that it holds what it must."""
    if text is None:
        raise BadInput("these are no input statistics of superpose", where=file)
    try:
        note = json.loads(text)
        version = note["version"]
        if version == _VERSION:
            lists = all(isinstance(e["modules"], list) and e["rest"] >= 0 for e in note["inputs"])
            if lists and note["rows"] > 0 and note["tokens"] > 0 and "base_model" in note:
                return dict(note)
    except (ValueError, TypeError, KeyError, RecursionError):
        version = None
    if isinstance(version, int) and version > _VERSION:
        raise BadInput(
            f"input statistics of version {version}, and this superpose reads {_VERSION}",
            where=file,
            hint="pip install --upgrade superpose",
        )
    raise BadInput("the note of these input statistics is damaged", where=file)


def _moment(
    tensors: Mapping[str, Any], at: int, entry: Mapping[str, Any], file: Path
) -> SecondMoment:
    """Read one moment; raises BadInput for tensors that are missing or do not fit together."""
    names = f"{at}.vectors", f"{at}.values"
    for name in names:
        if name not in tensors:
            raise BadInput(f"there is no tensor `{name}`", where=file)
    vectors, values = (np.asarray(tensors[name], np.float32) for name in names)
    if vectors.ndim != 2 or values.shape != vectors.shape[1:] or (values < 0).any():
        raise BadInput(f"`{names[0]}` and `{names[1]}` are no second moment", where=file)
    if not math.isfinite(entry["rest"]):
        raise BadInput(f"the rest of `{names[1]}` is not finite", where=file)
    return SecondMoment(vectors, values, float(entry["rest"]))
