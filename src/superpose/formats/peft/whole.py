"""What a PEFT file holds beside factors: biases of B, whole tensors, token rows, DoRA's lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Delta, Part, Place, Replacement, Rescaled, Stored, place_of
from superpose.errors import BadInput, Refused
from superpose.formats.peft.config import LoraConfig
from superpose.formats.peft.keys import Sorted, is_bias, owner_of
from superpose.formats.peft.parts import Target

Array = NDArray[Any]

_MERGE = "superpose extract takes the change from a model that PEFT merged: merge_and_unload()."


def check_twins(found: Sorted, tensors: Mapping[str, Any]) -> None:
    """Raise BadInput, naming both, where what a file stores twice is not the same both times.

    A head of modules_to_save that is a target module too stands in a file by its own name and by
    that of its wrapper; it counts once.
    """
    for one, other in found.twins:
        x, y = tensors[one], tensors[other]
        if x.dtype != y.dtype or not np.array_equal(x, y):
            raise BadInput(
                f"tensors `{one}` and `{other}` are one and the same in the model, and differ",
                hint="Which of them was trained nobody can tell: load the adapter where it was "
                "trained and save it with today's PEFT, which writes it once.",
            )


def bias_deltas(
    found: Sorted, placed: Mapping[str, Target], tensors: Mapping[str, Any], config: LoraConfig
) -> dict[str, Delta]:
    """Give the biases of B (lora_bias) as deltas (out_features, 1), by key: s * b joins the sum.

    Raises BadInput, naming the tensor, where it does not fit or the configuration has none: PEFT
    passes it over then, and says nothing.
    """
    deltas = {}
    for module, name in found.biases.items():
        target, bias = placed.get(module), tensors[name]
        if target is None or bias.shape != (target.pair.B_shape[0],):
            raise BadInput(f"tensor `{name}` {bias.shape} does not fit the factors of `{module}`")
        if not config.lora_bias:
            raise unannounced_bias(name)
        if target.place.parameter == "in_proj_weight":
            continue  # of nn.MultiheadAttention: PEFT trains and computes without it
        place = Place(target.place.module, "bias", "bias")
        one = np.ones((1, 1), bias.dtype)
        deltas[place.key] = Delta.of(bias[:, None], one, target.scaling, place)
    return deltas


def unannounced_bias(name: str) -> BadInput:
    """Give the error for a bias of B where the configuration says that there is none."""
    return BadInput(
        f"tensor `{name}` is a bias of B, and lora_bias is not set: PEFT passes it over",
        hint="Set lora_bias to true in the configuration if it was trained with biases; leave the "
        "tensor out if not.",
    )


def deltas_to_rescale(
    found: Sorted, config: LoraConfig, deltas: Mapping[str, Delta]
) -> dict[str, Delta]:
    """Give the deltas of the modules that DoRA rescales, by module.

    Raises BadInput where lengths, factors and use_dora do not agree: PEFT would make up lengths
    that are missing, and pass over those that nothing announces. Refused for stacks and groups.
    """
    if not found.magnitudes and not config.use_dora:
        return {}
    if not config.use_dora:
        name = next(iter(found.magnitudes.values()))
        raise BadInput(f"tensor `{name}` is DoRA's, and use_dora is false")
    for module in found.factors:
        if module not in found.magnitudes:
            raise BadInput(f"use_dora is true, and `{module}` has no lora_magnitude_vector")
    for module, name in found.magnitudes.items():
        if module not in found.factors:
            raise BadInput(f"tensor `{name}` has no factors beside it")
        if module not in deltas:
            raise Refused(
                f"`{module}` is DoRA on several blocks, which superpose does not compute",
                where="use_dora",
                hint=_MERGE,
            )
    return {module: deltas[module] for module in found.magnitudes}


def replacements_of(
    found: Sorted,
    config: LoraConfig,
    tensors: Mapping[str, Any],
    rescaled: Mapping[str, Delta],
) -> dict[str, Replacement]:
    """Give what the file stores absolutely, by key.

    rescaled: the deltas of the modules that have a magnitude (DoRA).
    """
    wholes = [
        Replacement((Part(1.0, _stored(name, tensors)),), tensor, owner=_owner(tensor, config))
        for tensor, name in found.wholes.items()
    ]
    lengths = [_rescaled(m, tensors[found.magnitudes[m]], delta) for m, delta in rescaled.items()]
    rows = [r for m, name in found.rows.items() for r in _rows(m, name, tensors[name], config)]
    return {r.key: r for r in (*wholes, *lengths, *rows)}


def _stored(name: str, tensors: Mapping[str, Any]) -> Stored:
    """Give a whole tensor; a number of batches is written, and taken by PEFT, as float32."""
    tensor = tensors[name]
    if tensor.dtype.kind != "i":
        return Stored(tensor)
    wide = tensor.astype(np.float32)
    if not np.array_equal(wide, tensor):
        raise BadInput(f"tensor `{name}` holds integers of more than 24 bits")
    return Stored(wide)


def copies_of(found: Sorted, tensors: Mapping[str, Any]) -> dict[str, Array]:
    """Give the base's own tensors that the file holds, by name."""
    return {tensor: tensors[name] for tensor, name in found.copies.items()}


def tied_layers(deltas: Mapping[str, Delta], config: LoraConfig) -> dict[str, str]:
    """Give the output layers that carry an embedding's delta once more, transposed.

    One whose scaling differs (`alpha_pattern`, `rank_pattern`) has a delta of its own. Raises
    Refused when ensure_weight_tying says so and the factors are not one.
    """
    if not config.tying:
        return {}
    embeddings = [k for k, d in deltas.items() if place_of(k, d.place).kind == "embedding"]
    tied = {}
    for key, delta in deltas.items():
        if delta.place is not None or not embeddings:
            continue
        mine = delta.terms[0]
        same = [k for k in embeddings if _is_transposed(mine, deltas[k].terms[0])]
        if not same and _is_unasked(key, config):
            raise Refused(
                f"ensure_weight_tying is true, but `{key}` and `{embeddings[0]}` hold different "
                "factors: one of the two files was changed",
                where="ensure_weight_tying",
            )
        if same and mine.coefficient == deltas[same[0]].terms[0].coefficient:
            tied[key] = same[0]
    return tied


def _is_unasked(key: str, config: LoraConfig) -> bool:
    """Whether a layer carries factors that target_modules did not ask for: tying brought them."""
    named = config.target_modules
    if not isinstance(named, tuple):
        return False
    return not any(key == name or key.endswith(f".{name}") for name in named)


def _is_transposed(x: Any, y: Any) -> bool:
    return bool(np.array_equal(x.A, y.B.T) and np.array_equal(x.B, y.A.T))


def _owner(tensor: str, config: LoraConfig) -> str | None:
    """Give the module to save whole; one that nothing names is the tensor's own."""
    owner = owner_of(tensor, config.whole_modules)
    if owner is None and not is_bias(tensor):
        return tensor.rpartition(".")[0]
    return owner


def _rescaled(module: str, magnitude: Array, delta: Delta) -> Replacement:
    place = place_of(module, delta.place)
    if place.kind != "linear" or place.pooled > 1 or magnitude.size != delta.shape[0]:
        raise Refused(
            f"`{module}` is DoRA on {place.kind} weights of shape {delta.shape} with "
            f"{magnitude.size} lengths, which superpose does not compute",
            where="use_dora",
            hint=_MERGE,
        )
    value = Rescaled(magnitude.reshape(-1), delta.terms)
    return Replacement((Part(1.0, value),), place.tensor, place=place)


def _rows(module: str, name: str, rows: Array, config: LoraConfig) -> list[Replacement]:
    named = [n for n in config.rows if module.endswith(n)]  # as `_set_trainable` of peft 0.21.2
    numbers = config.rows[named[0]] if named else ()
    if rows.ndim != 2 or len(numbers) != len(rows):
        raise BadInput(
            f"tensor `{name}` {rows.shape} and the {len(numbers)} trainable_token_indices of "
            f"`{module}` do not agree"
        )
    return [
        Replacement((Part(1.0, Stored(row)),), f"{module}.weight", row=number)
        for number, row in zip(numbers, rows, strict=True)
    ]
