"""The weights of an adapter in one file, or in numbered ones that together are one.

transformers cuts large adapters into `adapter_model-00001-of-00002.safetensors` and so on, with an
index beside them that names the file of each tensor.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from superpose.errors import BadInput, listed
from superpose.files import TensorFile, open_tensors
from superpose.files.file_format import PEFT
from superpose.files.header import Header, TensorEntry
from superpose.files.index import weight_map
from superpose.files.json_values import read_json

INDEX = str(PEFT.index)
"""What names the file of each tensor; given in place of a file it means all of them."""

_NUMBERED = re.compile(r"adapter_model-(\d{5})-of-(\d{5})\.safetensors")


def open_weights(weights: Path) -> TensorFile:
    """Open a file, or all shards of an index; raises as `open_tensors` does."""
    if weights.name != INDEX:
        return open_tensors(weights)
    announced = weight_map(read_json(weights), weights) if weights.is_file() else None
    whole = TensorFile(Header({}, {}), ())
    for path in _shards(weights, announced):
        file = open_tensors(path)
        _check_new(file.header.entries, whole.header.entries, path)
        entries = whole.header.entries | file.header.entries
        header = Header(entries, whole.metadata | file.metadata)
        whole = TensorFile(header, whole.parts + file.parts)
    if announced is not None:
        _check_index(weights, announced, whole.header.entries)
    return whole


def check_not_a_part(weights: Path) -> None:
    """Raise BadInput for one shard of several: alone it is a part of an adapter."""
    match = _NUMBERED.fullmatch(weights.name)
    if match is not None and int(match[2]) > 1:
        raise BadInput(
            f"is one of {int(match[2])} shards",
            where=weights,
            hint=f"Give the folder: {shlex.quote(str(weights.absolute().parent))}",
        )


def numbered(names: Sequence[str], where: object) -> list[str]:
    """Give those of a folder's names that are an adapter's shards, in order.

    Raises BadInput, naming what is missing, when they are not all of one number.
    """
    found = {n: m for n in sorted(names) if (m := _NUMBERED.fullmatch(n)) is not None}
    counts = {int(match[2]) for match in found.values()}
    if len(counts) > 1:
        totals = " and of ".join(map(str, sorted(counts)))
        raise BadInput(f"holds shards of {totals} in all", where=where)
    for count in counts:
        wanted = [f"adapter_model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
        missing = [name for name in wanted if name not in found]
        if missing:
            raise _incomplete(missing, where)
    return list(found)


def _shards(index: Path, announced: Mapping[str, str] | None) -> list[Path]:
    """Give the files that an index stands for; their numbers say it where there is none."""
    folder = index.parent
    if announced is None:
        names = [path.name for path in folder.iterdir()]
        return [folder / name for name in numbered(names, folder)]
    shards = sorted(set(announced.values()))
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing:
        raise _incomplete(missing, index)
    return [folder / name for name in shards]


def _incomplete(missing: Sequence[str], where: object) -> BadInput:
    return BadInput(
        f"the shard {listed(missing, form='{}')} is missing",
        where=where,
        hint="Without it a part of the adapter would be lost. Was the download cut off? Fetch it "
        "again.",
    )


def _check_new(names: Mapping[str, object], before: Mapping[str, object], path: Path) -> None:
    twice = next((name for name in names if name in before), None)
    if twice is not None:
        raise BadInput(f"holds `{twice}`, which another shard holds too", where=path)


def _check_index(
    index: Path, announced: Mapping[str, str], entries: Mapping[str, TensorEntry]
) -> None:
    for name, file in announced.items():
        if name not in entries:
            raise BadInput(f"says that {file} holds `{name}`, and it does not", where=index)
    for name in entries:
        if name not in announced:
            raise BadInput(f"does not name `{name}`, which a shard holds", where=index)
