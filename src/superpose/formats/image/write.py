"""An adapter to an image LoRA file, in the format and the spelling that its parents came in.

alpha equals rank in every module, so that the scale is 1 to the bit by kohya's rule and by
diffusers'; the coefficients are in `up`. A component (a UNet, a text encoder) has one rank, and in
kohya's format another for its convolutions of a larger kernel, as kohya's training has it; smaller
modules are padded with zeros. For diffusers takes the alpha of most modules for all attention
layers of a kohya file, and its older versions the first module's for all (0.42.1,
`utils/peft_utils.py`, get_peft_kwargs).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from superpose.adapter import Adapter, place_of
from superpose.adapter.image_marks import marks_of
from superpose.errors import BadInput, Refused
from superpose.files import check_free, check_free_file, new_file, new_folder, write_tensors
from superpose.files.file_format import DIFFUSERS, GGUF, KOHYA
from superpose.formats.expanded import Array
from superpose.formats.folded import checked_dtype, fold, padded_to, widest_dtype
from superpose.formats.image.known import as_loaders_know_it
from superpose.formats.image.layout import (
    check_for_image,
    image_tensors,
    peft_configuration,
    stays_whole,
    writable,
)
from superpose.formats.image.metadata import in_file_order, written_metadata
from superpose.formats.image.names import component_of, image_factor_name
from superpose.formats.image.passed_over import tell_of_loaders
from superpose.formats.written import Written, written_bytes
from superpose.names.image import is_kohya

ENDING = KOHYA.ending
DIFFUSERS_FILE = DIFFUSERS.folder[0]


def write_image(
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    compact: bool = False,
    force: bool = False,
) -> Written:
    """Write an adapter that came from an image LoRA, whole or not at all.

    path: a file that ends in `.safetensors`; of diffusers' format also a folder, for its
    `pytorch_lora_weights.safetensors`. dtype: of the factors; None is the narrowest that holds
    every parent's. compact: each module's own rank, which kohya's tools read, and newer versions of
    diffusers in its own format. force: replace what stands at `path`.

    Raises OutputExists before any work is done; Refused for what the format cannot hold; BadInput
    when a value does not fit the dtype or the disk does not take the file.
    """
    target = Path(path)
    check_image_output(target, adapter.format, force=force)
    adapter = as_loaders_know_it(adapter)
    check_for_image(adapter)
    chosen = checked_dtype(dtype or widest_dtype(adapter))
    whole = stays_whole(adapter)
    deltas = {key: writable(d, chosen, whole=key in whole) for key, d in adapter.items()}
    lean = replace(adapter, deltas=deltas)
    factors = fold(lean, chosen, compact=True, name=partial(_name, marks_of(adapter).spellings))
    pairs = {key: pair for key, pair in factors.pairs.items() if key not in whole}
    if not compact:
        pairs = _padded(lean, pairs)
    ranks = {key: int(A.shape[0]) for key, (_, A) in pairs.items()}
    found = image_tensors(lean, {**factors.pairs, **pairs}, factors.biases, whole)
    tensors = in_file_order(found)
    written = Written(
        path=target,
        rank=max(ranks.values(), default=0),
        dtype=chosen,
        rounding_error=factors.rounding_error,
        bytes=written_bytes(tensors),
        modules=len({key.removesuffix(".bias") for key in adapter}),
    )
    configuration = peft_configuration(lean, ranks) if adapter.format != KOHYA.name else {}
    metadata = written_metadata(adapter, ranks, tensors, factors.rounding_error, configuration)
    sorts = {(_sort(lean, key), rank) for key, rank in ranks.items()}
    uneven = len(sorts) > len({sort for sort, _ in sorts})
    tell_of_loaders(tensors, kohya=adapter.format == KOHYA.name, uneven=uneven)
    _write(target, tensors, metadata, force)
    return written


def _name(spellings: Mapping[str, str], key: str, side: str) -> str:
    return image_factor_name(key, {"A": "down", "B": "up"}[side], spellings)


def check_image_output(path: Path, kind: str, *, force: bool) -> None:
    """Raise OutputExists or BadInput when an image LoRA of this format cannot go to `path`."""
    if GGUF.takes(path):
        raise Refused("GGUF holds no image LoRA; give a name that ends in .safetensors", where=path)
    if path.suffix == ENDING:
        check_free_file(path, force=force)
    elif kind == KOHYA.name:
        raise BadInput(
            "kohya's format is one file, whose name ends in .safetensors",
            where=path,
            hint=f"Give for example -o {path.name or 'sum'}{ENDING}",
        )
    else:
        check_free(path, force=force, replaceable=(DIFFUSERS_FILE,))


def _padded(
    adapter: Adapter, pairs: Mapping[str, tuple[Array, Array]]
) -> dict[str, tuple[Array, Array]]:
    """Give the factors of one sort (`_sort`) one rank, with zeros."""
    sorts = {key: _sort(adapter, key) for key in pairs}
    most: dict[tuple[str, bool], int] = {}
    for key, (_, A) in pairs.items():
        most[sorts[key]] = max(most.get(sorts[key], 0), A.shape[0])
    return {key: padded_to(most[sorts[key]], *pair) for key, pair in pairs.items()}


def _sort(adapter: Adapter, key: str) -> tuple[str, bool]:
    """Give a module's component, and whether it has the rank of the convolutions."""
    kernel = place_of(key, adapter[key].place).kernel
    return component_of(key), is_kohya(key) and math.prod(kernel) > 1


def _write(
    target: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str], force: bool
) -> None:
    if target.suffix == ENDING:
        with new_file(target) as part:
            write_tensors(part, tensors, metadata)
        return
    with new_folder(target, force=force, replaceable=(DIFFUSERS_FILE,)) as folder:
        write_tensors(folder / DIFFUSERS_FILE, tensors, metadata)
