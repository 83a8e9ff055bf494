"""An adapter's deltas as the tensors of an image LoRA; the inverse of `names` and `deltas`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from superpose.adapter import Adapter, Delta, Place, place_of
from superpose.adapter.image_marks import Marks, marks_of
from superpose.errors import Refused
from superpose.formats.expanded import Array
from superpose.formats.image.deltas import MODULATION
from superpose.formats.image.names import image_factor_name, schemes_of
from superpose.formats.image.scaling import component_and_rest
from superpose.lowrank import Term, dense, dtype_name, formed, from_dense, nonzero, upcast
from superpose.lowrank.to_numpy import to_numpy
from superpose.names.image import DENOISER, image_name, is_kohya
from superpose.names.image_tables import SAME_MODEL, family_of

_COMFYUI = "diffusion_model."
"""Where ComfyUI's own names start, for which there is a way to store a bias's change."""

_TEXT_MODEL = "text_model."

_OF_OTHERS = re.compile(r"(model\.)?diffusion_model\.|text_encoders\.|.*base_model\.model\.")
"""Starts of names that diffusers' loaders replace."""

_WELL_HELD = (2.0**-9, 2.0**12)
"""Largest entries of a factor whose small ones float16 rounds by no more than its large ones."""


def check_for_image(adapter: Adapter) -> None:
    """Raise Refused for what the format cannot hold, or engines would misread."""
    if adapter.replacements or adapter.tied or adapter.copies:
        raise Refused("holds tensors that are stored absolutely; an image LoRA cannot")
    if len(ways := schemes_of(adapter)) > 1:
        raise Refused(
            f"calls one UNet's modules in two ways, {' and '.join(ways)}: what changes the same "
            "weight cannot be told",
            where=adapter.name,
        )
    for key, delta in adapter.items():
        place = place_of(key, delta.place)
        if place.kind not in ("linear", "convolution", "bias") or place.blocks > 1:
            raise Refused(f"`{key}` is a part of {place.kind}; an image LoRA holds none")


def writable(delta: Delta, dtype: str, *, whole: bool = False) -> Delta:
    """Give the same delta with few columns, and factors of like size.

    Columns that were padding are left out. More columns than the weight's smaller side are formed
    densely: they say no more; so is what stays a whole difference (`stays_whole`). Where the
    coefficient would carry half precision out of its range, a power of two, which rounds nothing,
    goes from one factor to the other.
    """
    terms = tuple(_unpadded(_in_numpy(term)) for term in formed(nonzero(delta.terms)))
    if whole or sum(int(t.A.shape[0]) for t in terms) > min(delta.shape):
        wide = tuple(Term(t.coefficient, _wide(t.B), _wide(t.A)) for t in terms)
        terms = (Term(1.0, *from_dense(dense(wide))),)
    elif dtype == "float16" and (delta.place is None or delta.place.kind != "bias"):
        terms = tuple(_balanced(term) for term in terms)
    return replace(delta, terms=terms)


def stays_whole(adapter: Adapter) -> frozenset[str]:
    """Give the modules whose change all parents stored whole, and that no SVD has made smaller.

    Loaders that read a model's whole differences, or know to leave them out, know no factors there.
    """
    whole = marks_of(adapter).whole
    return frozenset(k for k, d in adapter.items() if k in whole and d.rank >= min(d.shape))


def image_tensors(
    adapter: Adapter,
    pairs: Mapping[str, tuple[Array, Array]],
    biases: Mapping[str, Array],
    whole: Collection[str] = (),
) -> dict[str, Array]:
    """Give the tensors by name.

    pairs: B (out, r) and A (r, columns) by key. biases: (out,), by key. whole: keys of which one
    factor is an identity, the other is written.
    """
    marks = marks_of(adapter)
    tensors: dict[str, Array] = {}
    for key, (B, A) in pairs.items():
        kernel = place_of(key, adapter[key].place).kernel
        columns = (A.shape[1] // math.prod(kernel), *kernel)
        if key in whole:
            change = A if B.shape[0] <= A.shape[1] else B
            tensors[f"{key}.diff"] = change.reshape(B.shape[0], *columns)
            continue
        down, up = (image_factor_name(key, side, marks.spellings) for side in ("down", "up"))
        tensors[down] = A.reshape(A.shape[0], *columns)
        tensors[up] = B.reshape(*B.shape, *[1] * len(kernel))
        if _has_alpha(key, marks):
            tensors[f"{key}.alpha"] = np.array(A.shape[0], dtype=np.float32)
    norms = {p.module for key in biases if (p := _place(adapter, key)).parameter == "weight"}
    for key, values in biases.items():
        place = _place(adapter, key)
        values = values.reshape(place.shape or values.shape)
        tensors[_bias_name(place, norms, pairs, marks)] = values
    return tensors


def _has_alpha(key: str, marks: Marks) -> bool:
    """Say whether an alpha is written: kohya's tools ask for it, diffusers knows bare names by it.

    Under a component's name diffusers' loaders refuse it, and take the scale for 1 without. Source:
    diffusers 0.42.1, `loaders/lora_pipeline.py`, QwenImageLoraLoaderMixin, ZImageLoraLoaderMixin.
    """
    name = image_name(key)
    return name.kohya or (name.prefix == "" and name.component in marks.alphas)


def peft_configuration(adapter: Adapter, ranks: Mapping[str, int]) -> dict[str, object]:
    """Give the fields of PEFT's configuration of each component, where its modules differ in rank.

    ranks: by module; alpha equals rank. Empty where no component needs it, and where diffusers
    gives the modules other names first (ComfyUI's, a model's own): it tells rank and alpha by the
    tensors then. A configuration of one component asks for one of all.
    """
    if not _has_names_of_diffusers(ranks):
        return {}
    components: dict[str, dict[str, int]] = {}
    for key, rank in ranks.items():
        component, module = component_and_rest(key)
        components.setdefault(component, {})[module] = rank
    alike = all(len(set(own.values())) == 1 for own in components.values())
    if alike or any(_has_alpha(key, marks_of(adapter)) for key in ranks):
        return {}
    fields: dict[str, object] = {}
    for component, own in components.items():
        start = f"{component}." if component else ""
        most = max(own.values())
        pattern = {_anywhere(module): r for module, r in own.items() if r != most}
        biased = any(f"{start}{module}.bias" in adapter for module in own)
        for name, value in {
            "r": most,
            "lora_alpha": most,
            "rank_pattern": pattern,
            "alpha_pattern": pattern,
            "target_modules": sorted(module.removeprefix(_TEXT_MODEL) for module in own),
            "lora_bias": biased,
        }.items():
            fields[f"{start}{name}"] = value
    return fields


def _has_names_of_diffusers(modules: Collection[str]) -> bool:
    names = [image_name(module) for module in modules]
    own = family_of(name.flat for name in names if name.component == DENOISER)
    return own not in SAME_MODEL and not any(_OF_OTHERS.match(name.prefix) for name in names)


def _anywhere(module: str) -> str:
    """Give the expression for one module, with and without what transformers 5 left out."""
    return f"^({re.escape(_TEXT_MODEL)})?{re.escape(module.removeprefix(_TEXT_MODEL))}$"


def _place(adapter: Adapter, key: str) -> Place:
    return place_of(key, adapter[key].place)


def _bias_name(place: Place, norms: set[str], pairs: Mapping[str, object], marks: Marks) -> str:
    if place.parameter == MODULATION:
        return f"{place.module}.diff_m"
    of_norms = ("diff", "diff_b") if marks.norms == "diff" else ("w_norm", "b_norm")
    if place.parameter == "weight":
        return f"{place.module}.{of_norms[0]}"
    if place.module in norms:
        return f"{place.module}.{of_norms[1]}"
    own_names = is_kohya(place.module) or place.module.startswith(_COMFYUI)
    if own_names or place.module not in pairs or marks.biases == "diff_b":
        return f"{place.module}.diff_b"
    return f"{place.module}.lora_B.bias"


def _in_numpy(term: Term) -> Term:
    B, A = (x if isinstance(x, np.ndarray) else to_numpy(upcast(x)) for x in (term.B, term.A))
    return Term(term.coefficient, B, A)


def _unpadded(term: Term) -> Term:
    used = term.B.any(axis=0) | term.A.any(axis=1)
    if used.all() or not used.any():
        return term
    return Term(term.coefficient, term.B[:, used], term.A[used])


def _balanced(term: Term) -> Term:
    """Move a power of two from A to c B where c would make B small, or large, in half precision."""
    if term.coefficient == 1.0:
        return term  # as its file held it
    B, A = (upcast(x) for x in (term.B, term.A))
    b, a = (float(np.max(np.abs(x))) for x in (B, A))
    size = abs(term.coefficient) * b
    if not (size and a and math.isfinite(size)) or _WELL_HELD[0] <= size <= _WELL_HELD[1]:
        return term
    shift = round((math.log2(a) - math.log2(size)) / 2)
    return Term(math.ldexp(term.coefficient, shift), term.B, np.ldexp(A, -shift))


def _wide(x: Array) -> Array:
    return x if dtype_name(x) == "float64" else upcast(x).astype(np.float64)
