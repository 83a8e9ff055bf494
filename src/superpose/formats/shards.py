"""The weights of an adapter in one file, or in numbered ones that together are one.

transformers cuts large adapters into `adapter_model-00001-of-00002.safetensors` and so on, with an
index beside them that names the file of each tensor.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from superpose.errors import BadInput
from superpose.files import TensorFile, read_header, read_tensors
from superpose.files.file_format import PEFT
from superpose.files.header import Entry, Header
from superpose.files.index import weight_map

INDEX = str(PEFT.index)
"""What names the file of each tensor; given in place of a file it means all of them."""

_NUMBERED = re.compile(r"adapter_model-(\d{5})-of-(\d{5})\.safetensors")


def read_header_of(weights: Path) -> Header:
    """Read what a file announces, or all shards of an index; raises as `read_header` does."""
    shards = _shards(weights)
    if shards is None:
        return read_header(weights)
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for path in shards:
        header = read_header(path)
        _check_new(header.entries, entries, path)
        entries |= header.entries
        metadata |= header.metadata
    _check_index(weights, entries)
    return Header(entries, metadata)


def read_tensors_of(weights: Path, *, integers: bool = False) -> TensorFile:
    """Read every tensor of a file, or of all shards of an index; raises as `read_tensors` does."""
    shards = _shards(weights)
    if shards is None:
        return read_tensors(weights, integers=integers)
    whole = TensorFile({}, {})
    for path in shards:
        file = read_tensors(path, integers=integers)
        _check_new(file.tensors, whole.tensors, path)
        whole.tensors.update(file.tensors)
        whole.metadata.update(file.metadata)
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


def _shards(weights: Path) -> list[Path] | None:
    """Give the files that `weights` stands for; None where it is a file of its own."""
    folder = weights.parent
    if weights.name != INDEX:
        return None
    if not weights.is_file():  # their numbers say that they are all there
        names = [path.name for path in folder.iterdir()]
        return [folder / name for name in numbered(names, folder)]
    shards = sorted(set(_weight_map(weights).values()))
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing:
        raise _incomplete(missing, weights)
    return [folder / name for name in shards]


def _incomplete(missing: Sequence[str], where: object) -> BadInput:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return BadInput(
        f"the shard {missing[0]}{more} is missing",
        where=where,
        hint="Without it a part of the adapter would be lost. Was the download cut off? Fetch it "
        "again.",
    )


def _weight_map(index: Path) -> Mapping[str, str]:
    try:
        parsed = json.loads(index.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"is no index of weights ({error})", where=index) from error
    return weight_map(parsed if isinstance(parsed, dict) else {}, index)


def _check_new(names: Mapping[str, object], before: Mapping[str, object], path: Path) -> None:
    twice = next((name for name in names if name in before), None)
    if twice is not None:
        raise BadInput(f"holds `{twice}`, which another shard holds too", where=path)


def _check_index(index: Path, entries: Mapping[str, Entry]) -> None:
    if not index.is_file():
        return
    announced = _weight_map(index)
    for name, file in announced.items():
        if name not in entries:
            raise BadInput(f"says that {file} holds `{name}`, and it does not", where=index)
    for name in entries:
        if name not in announced:
            raise BadInput(f"does not name `{name}`, which a shard holds", where=index)
