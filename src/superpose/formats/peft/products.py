"""A PEFT folder of type LOHA or LOKR to an adapter.

Scaling is alpha / r by the configuration and its patterns, of a LoKr of two whole matrices too.
Source: peft 0.21.2, `tuners/loha` and `tuners/lokr`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from superpose.adapter import Adapter, Delta, Place
from superpose.errors import BadInput, Refused, placed
from superpose.formats.expanded import Array, ProductLayout, Shape, small_formed
from superpose.formats.foreign import CONFIG
from superpose.formats.hadamard import HADAMARD, hadamard_layout, hadamard_term
from superpose.formats.kronecker import KRONECKER, kronecker_layout, kronecker_term
from superpose.formats.peft import fields
from superpose.formats.peft.announced import compare_with_targets
from superpose.formats.peft.config import LoraConfig, parse_config, warn_if_ambiguous
from superpose.formats.peft.keys import PREFIX, sort_tensors
from superpose.formats.peft.made import plain_adapter
from superpose.formats.shards import open_weights
from superpose.formats.stubs import check_stubs
from superpose.lowrank import AnyTerm, Term, dtype_name, from_dense

USED = frozenset(
    """alpha alpha_pattern base_model_name_or_path modules_to_save peft_type r rank_pattern
    target_modules""".split()
)
"""Fields that are read, and checked against the tensors."""

HARMLESS = {
    "auto_mapping": "the base model's class, which a written copy names as well",
    "decompose_both": "chose which side is stored in two factors; the tensors tell",
    "decompose_factor": "chose the sides' sizes; the tensors tell them",
    "exclude_modules": "chose target modules; the tensors tell which there are",
    "inference_mode": "whether gradients are kept",
    "init_weights": "chose the initial values, which training has replaced",
    "layers_pattern": "chose target modules; the tensors tell which there are",
    "layers_to_transform": "chose target modules; the tensors tell which there are",
    "module_dropout": "acts in training alone",
    "peft_version": "who wrote the file",
    "rank_dropout": "acts in training alone",
    "rank_dropout_scale": "acts in training alone",
    "revision": "which version of the base model's files",
    "task_type": "which head is put on the base model",
    "use_effective_conv2d": "chose Tucker's form; the tensors tell",
}
"""Fields known not to touch the weights, and why."""

_KINDS = {"LOHA": (HADAMARD, hadamard_layout), "LOKR": (KRONECKER, kronecker_layout)}
_ALPHA = 8  # where the configuration says nothing


def read_products(
    raw: Mapping[str, Any], weights: Path, where: str, ignore_keys: Collection[str] = ()
) -> Adapter:
    """Read the adapter whose configuration is `raw`, of type LOHA or LOKR.

    Raises Refused with every reason at once, BadInput when files are missing, damaged or contradict
    each other; as `read_peft` does.
    """
    roles, known = _KINDS[raw["peft_type"]]
    config, reasons = _parsed(raw, weights.with_name(CONFIG), ignore_keys)
    file = open_weights(weights)
    shapes = file.header.shapes
    check_stubs(shapes, weights)
    modules, others = _by_module(shapes, roles)
    found = sort_tensors(others, config.whole_modules)
    of_lora = [*(pair.A for pair in found.factors.values()), *found.biases.values()]
    of_lora += found.magnitudes.values()
    if reasons or found.reasons or of_lora:
        reasons += found.reasons + [f"`{name}`: a LoRA factor" for name in of_lora]
        raise Refused(f"cannot be part of a sum: {'; '.join(reasons)}", where=where)
    if not modules:
        raise BadInput(f"holds no factors of type {raw['peft_type']}", where=weights)
    for pattern in (config.rank_pattern, config.alpha_pattern):
        pattern.check_ways(list(modules), weights.with_name(CONFIG))
    layouts = {m: _checked(m, known, own, config, weights) for m, own in modules.items()}
    compare_with_targets(config, list(modules), where)
    warn_if_ambiguous(config, list(modules), where)
    file = file.read()
    deltas = {m: _delta(m, names, layouts[m], config, file.tensors) for m, names in modules.items()}
    deltas = small_formed(deltas, file.header.stored)
    return plain_adapter(deltas, found, config, file, where)


def _parsed(
    raw: Mapping[str, Any], path: Path, ignore_keys: Collection[str]
) -> tuple[LoraConfig, list[str]]:
    """Read the configuration as LoRA's, whose patterns and names it shares."""
    known = USED | HARMLESS.keys()
    foreign = [
        f"the key `{key}` is not one of {raw['peft_type']}'s"
        for key, value in raw.items()
        if key not in known and key not in ignore_keys and not fields.is_empty(value)
    ]
    of_lora = fields.USED | fields.HARMLESS.keys()
    shared = {key: value for key, value in raw.items() if key in known & of_lora}
    own = {"peft_type": "LORA", "lora_alpha": raw.get("alpha", _ALPHA)}
    config, reasons = parse_config({**shared, **own}, path)
    return config, foreign + reasons


def _by_module(
    shapes: Mapping[str, Shape], roles: tuple[str, ...]
) -> tuple[dict[str, dict[str, Shape]], dict[str, Shape]]:
    """Give the shapes of each module's tensors, by role, and of all others, by name."""
    modules: dict[str, dict[str, Shape]] = {}
    others: dict[str, Shape] = {}
    for name, shape in shapes.items():
        module, _, role = name.removeprefix(PREFIX).rpartition(".")
        if role in roles and module and name.startswith(PREFIX):
            modules.setdefault(module, {})[role] = shape
        else:
            others[name] = shape
    return modules, others


def _checked(
    module: str,
    known: Callable[[Mapping[str, Shape]], ProductLayout],
    own: Mapping[str, Shape],
    config: LoraConfig,
    weights: Path,
) -> ProductLayout:
    with placed(weights, f"module `{module}`:"):
        layout = known(own)
    announced = config.rank_of(module)
    if layout.rank is not None and layout.rank != announced:
        raise BadInput(
            f"module `{module}` has rank {layout.rank}, but {CONFIG} says {announced}",
            where=weights,
            hint="The scaling depends on the rank, so nobody can tell what this adapter does. "
            "Are both files of one training run?",
        )
    return layout


def _delta(
    module: str,
    names: Mapping[str, Shape],
    layout: ProductLayout,
    config: LoraConfig,
    tensors: Mapping[str, Array],
) -> Delta:
    own = {role: tensors[f"{PREFIX}{module}.{role}"] for role in names}
    scaling = config.scaling_of(module)
    if "hada_w1_a" in own:
        term: AnyTerm = hadamard_term(own, scaling)
    elif "lokr_w2" in own and own["lokr_w2"].ndim == 3:
        term = Term(scaling, *_of_one_dimension(own))
    else:
        term = kronecker_term(own, scaling)
    kernel = layout.kernel
    if any(role in own for role in ("hada_t1", "lokr_t2")) and kernel[1:] == (1,):
        kernel = kernel[:1]  # PEFT's way to store a Conv1d
    place = Place(module, kind="convolution", kernel=kernel) if kernel else None
    used = frozenset(dtype_name(x) for x in own.values())
    return Delta((term,), used, place)


def _of_one_dimension(own: Mapping[str, Array]) -> tuple[Array, Array]:
    """Of a Conv1d whose w2 (b, d, kernel) is whole: PEFT's product puts w1 on the last two axes.

    torch.kron takes w1 (a, c) for (1, a, c), and what comes out, (b, a d, c kernel), is read as
    (a b, c d, kernel): the trained layer is that one.
    """
    wide = {role: x.astype(np.float64) for role, x in own.items()}
    w1 = wide["lokr_w1"] if "lokr_w1" in wide else wide["lokr_w1_a"] @ wide["lokr_w1_b"]
    whole = np.kron(w1[None], wide["lokr_w2"])
    return from_dense(whole.reshape(w1.shape[0] * wide["lokr_w2"].shape[0], -1))
