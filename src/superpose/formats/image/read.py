"""An image LoRA, one safetensors file of kohya's or diffusers' kind, to an adapter."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from superpose.adapter import Adapter
from superpose.adapter.image_marks import MARKS, Marks
from superpose.errors import BadInput, SuperposeWarning, placed
from superpose.files import open_tensors, short_name
from superpose.files.file_format import DIFFUSERS, KOHYA
from superpose.files.header import Header
from superpose.files.tensors import INTEGERS
from superpose.formats.expanded import Array, small_formed
from superpose.formats.image.deltas import image_deltas
from superpose.formats.image.names import component_of
from superpose.formats.image.parts import ImageParts, ModuleTensors, find_parts
from superpose.formats.image.scaling import (
    alpha_of,
    component_and_rest,
    configurations,
    kohya_scale,
)
from superpose.formats.noted import KEY, noted
from superpose.formats.peft.config import LoraConfig
from superpose.formats.peft.whole import unannounced_bias
from superpose.formats.stubs import check_stubs
from superpose.lowrank import is_zero
from superpose.names.image_files import check_once

"""Values of `Adapter.format`."""

_BASE_MODEL = "ss_base_model_version"


def read_image(
    path: Path, *, given: str | None = None, ignore_keys: Collection[str] = ()
) -> Adapter:
    """Read the adapter in a local file.

    given: what the user called it. ignore_keys: unknown keys to pass over of the configuration that
    diffusers keeps in a file's metadata.

    Target modules go by the file's own names. Metadata is kept, but for superpose's own note.

    Raises Refused, with every reason at once, for what a sum cannot hold (DoRA, OFT, whole
    weights); BadInput, naming file and tensor, when the file is damaged or no image LoRA.
    """
    where = given or str(path)
    file = open_tensors(path)
    header = file.header
    check_stubs(header.shapes, path)
    found = find_parts(header.shapes, path)
    _check_dtypes(header, found, path)
    check_once(_shapes(found), path)
    configured = {}
    if not found.kohya:
        configured = configurations(header.metadata, list(found.parts), path, ignore_keys)
    file = file.read(integers=True)
    scale = _scale(found, file.tensors, configured, path)
    deltas = {
        key: delta
        for part in found.parts.values()
        for key, delta in image_deltas(part, file.tensors, scale)
    }
    deltas = small_formed(deltas, header.stored)
    if all(is_zero(term) for delta in deltas.values() for term in delta.terms):
        warnings.warn(f"{where}: every delta is zero", SuperposeWarning, stacklevel=3)
    return Adapter(
        deltas,
        name=_name(where),
        base_model=_base_model(header.metadata, configured),
        path=where,
        **noted(header.metadata),
        settings={MARKS: _marks(found)},
        format=(KOHYA if found.kohya else DIFFUSERS).name,
        metadata={key: text for key, text in header.metadata.items() if key != KEY},
    )


def _marks(found: ImageParts) -> Marks:
    """Say by what loaders know the file, so that a sum can have it too."""
    alphas, lokr, whole = set(), set(), set()
    stored: dict[str, None] = {}
    for part in found.parts.values():
        stored |= dict.fromkeys(part.names)
        component = component_of(part.module)
        if part.kind == "lora" and "alpha" in part.names:
            alphas.add(component)
        if part.kind == "lokr":
            lokr.add(component)
        if part.kind == "diff" and not part.vector:
            whole.add(part.module)
    differences = any(part.vector for part in found.parts.values())
    return Marks(
        found.spellings,
        frozenset(alphas),
        frozenset(lokr),
        "diff" if differences else "w_norm" if "w_norm" in stored else None,
        next((role for role in ("diff_b", "bias") if role in stored), None),
        frozenset(whole),
    )


def _shapes(found: ImageParts) -> dict[str, tuple[int, int]]:
    return {m: p.layout.shape if p.layout else (0, 0) for m, p in found.parts.items()}


def _check_dtypes(header: Header, found: ImageParts, path: Path) -> None:
    """Let whole numbers pass as alphas alone."""
    for part in found.parts.values():
        for role, name in part.names.items():
            if role != "alpha" and header.entries[name].dtype in INTEGERS:
                raise BadInput(f"tensor `{name}` holds whole numbers", where=path)


def _scale(
    found: ImageParts,
    tensors: Mapping[str, Array],
    configured: Mapping[str, LoraConfig],
    path: Path,
) -> Callable[[ModuleTensors], float]:
    """Give what tells a module's scale."""
    alphas = [part.names["alpha"] for part in found.parts.values() if "alpha" in part.names]
    if configured and alphas:
        raise BadInput(
            f"tensor `{alphas[0]}` and the metadata both tell the scaling; diffusers takes neither",
            where=path,
        )

    def scale(part: ModuleTensors) -> float:
        assert part.layout is not None
        rank = part.layout.rank
        component, module = component_and_rest(part.module)
        if component in configured and rank is not None:
            return _configured(configured[component], module, rank, part, path)
        name = part.names.get("alpha")
        if rank is None or name is None:
            return 1.0
        with placed(path):
            alpha = alpha_of(tensors[name], name)
        return kohya_scale(alpha, rank) if found.kohya else alpha / rank

    return scale


def _configured(
    config: LoraConfig, module: str, rank: int, part: ModuleTensors, path: Path
) -> float:
    announced = config.rank_of(module)
    if announced != rank:
        raise BadInput(
            f"module `{part.module}` has rank {rank}, but the file's metadata says {announced}",
            where=path,
            hint="The scaling depends on the rank, so nobody can tell what this adapter does.",
        )
    if "bias" in part.names and not config.lora_bias:
        error = unannounced_bias(part.names["bias"])
        raise BadInput(error.problem, where=path, hint=error.hint)
    return config.scaling_of(module)


def _name(where: str) -> str:
    return short_name(where).removesuffix(KOHYA.ending)


def _base_model(metadata: Mapping[str, str], configured: Mapping[str, LoraConfig]) -> str | None:
    """Give the base's name: of its family as kohya notes it, or as PEFT's configuration does."""
    own = metadata.get(_BASE_MODEL)
    named = (config.base_model for config in configured.values())
    return own or next((name for name in named if name), None)
