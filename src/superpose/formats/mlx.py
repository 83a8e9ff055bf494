"""An adapter folder of MLX's mlx_lm to an adapter: its LoRA is B A under other names.

A layer adds scale * (x @ lora_a) @ lora_b, with lora_a (in_features, rank) and lora_b
(rank, out_features), so that A = lora_a^T, B = lora_b^T and s = scale. Its layers go by the names
that the base model's own files have. Source: mlx_lm, `tuner/lora.py` (`LoRALinear.__call__`,
`fuse`) and `tuner/utils.py` (`load_adapters`).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused, listed
from superpose.files import exists, open_tensors, short_name
from superpose.files.file_format import PEFT
from superpose.formats.stubs import check_stubs
from superpose.names.stored import end_of

CONFIG, _ = PEFT.folder
MLX_WEIGHTS = "adapters.safetensors"
NPZ = "adapters.npz"

_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[ab])")
_FUSE = (
    "mlx_lm.fuse --model BASE --adapter-path FOLDER --save-path FUSED (with --dequantize, of a "
    "quantised base) writes the whole model, and superpose extract BASE FUSED --rank K -o OUT "
    "takes an adapter from it."
)
_CONVERT = """Convert it once (its scale is in no file; mlx-examples' lora.py has 20.0):
  python -c "import sys, json, numpy as n, safetensors.numpy as s; f = sys.argv[1]; \
t = {k: n.ascontiguousarray(v) for k, v in n.load(f + '/adapters.npz').items()}; \
s.save_file(t, f + '/adapters.safetensors'); json.dump({'fine_tune_type': 'lora', \
'lora_parameters': {'scale': float(sys.argv[2])}}, open(f + '/adapter_config.json', 'w'))" \
%s 20.0"""


def npz_refused(folder: Path, given: str) -> BadInput:
    """Give the refusal of an adapter as NumPy's archive, with the command that converts it."""
    path = shlex.quote(str(folder.absolute()))
    return BadInput(f"is an MLX adapter as {NPZ}", where=given, hint=_CONVERT % path)


def read_mlx(raw: Mapping[str, Any], folder: Path, where: str) -> Adapter:
    """Read the adapter in a folder whose configuration is `raw`, of mlx_lm.

    Raises Refused for what is no LoRA on linear layers (DoRA, a full fine-tune, stacks of experts,
    embeddings); BadInput when files are missing, damaged or do not tell the scale.
    """
    weights = _weights(folder, where)
    reasons = _refused(raw)
    rank, scale = _parameters(raw, folder / CONFIG)
    file = open_tensors(weights)
    shapes = file.header.shapes
    check_stubs(shapes, weights)
    modules, others = _by_module(shapes)
    reasons += others + _refused_modules(modules, shapes)
    if reasons:
        raise Refused(
            f"is an MLX adapter that is no LoRA on linear layers: {'; '.join(reasons)}",
            where=where,
            hint=_FUSE,
        )
    if not modules:
        raise BadInput("holds no LoRA factors", where=weights)
    for module, own in modules.items():
        _check(module, own, shapes, rank, weights)
    tensors = file.read().tensors
    base = raw.get("model")
    return Adapter(
        {
            module: Delta.of(tensors[own["b"]].T, tensors[own["a"]].T, scale)
            for module, own in modules.items()
        },
        name=short_name(where),
        base_model=base if isinstance(base, str) and base else None,
        path=where,
    )


def _weights(folder: Path, where: str) -> Path:
    if exists(folder / MLX_WEIGHTS, where):
        return folder / MLX_WEIGHTS
    if exists(folder / NPZ, where):
        raise npz_refused(folder, where)
    raise BadInput(f"is an MLX adapter without its weights, {MLX_WEIGHTS}", where=where)


def _refused(raw: Mapping[str, Any]) -> list[str]:
    kind = raw.get("fine_tune_type") or "lora"
    if kind == "lora" and not raw.get("use_dora"):
        return []
    return [f"fine_tune_type is {'dora' if raw.get('use_dora') else kind!r}"]


def _parameters(raw: Mapping[str, Any], path: Path) -> tuple[int | None, float]:
    """Give the rank that the configuration announces, None for none, and the scale.

    Older versions of mlx_lm multiplied the scale by alpha / rank, newer ones do not look at alpha.
    """
    found = raw.get("lora_parameters")
    parameters = found if isinstance(found, Mapping) else {}
    scale, rank, alpha = (parameters.get(key) for key in ("scale", "rank", "alpha"))
    good = isinstance(scale, int | float) and not isinstance(scale, bool)
    if not good or not math.isfinite(float(scale)):  # type: ignore[arg-type]
        raise BadInput(
            f"lora_parameters.scale is {scale!r}, so nobody knows the scaling", where=path
        )
    if alpha is not None and alpha != rank:
        raise BadInput(
            f"lora_parameters holds a scale ({scale}) and an alpha ({alpha}): older versions of "
            "mlx_lm multiply by scale * alpha / rank, newer ones by scale alone",
            where=path,
            hint="Write the scale there that it was trained with, and take the alpha out.",
        )
    assert isinstance(scale, int | float)
    return rank if isinstance(rank, int) else None, float(scale)


def _by_module(
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[dict[str, dict[str, str]], list[str]]:
    modules: dict[str, dict[str, str]] = {}
    others: list[str] = []
    for name in shapes:
        match = _FACTOR.fullmatch(name)
        if match is None:
            others.append(name)
        else:
            modules.setdefault(match["module"], {})[match["side"]] = name
    return modules, [f"it trained tensor {listed(others)} itself"] if others else []


def _refused_modules(
    modules: Mapping[str, Mapping[str, str]], shapes: Mapping[str, Sequence[int]]
) -> list[str]:
    reasons = []
    stacks = [m for m, own in modules.items() if any(len(shapes[n]) == 3 for n in own.values())]
    if stacks:
        reasons.append(f"`{stacks[0]}` is a stack of experts, which the base has by other names")
    ends = [module for module in modules if end_of(f"{module}.weight") == "input"]
    if ends:
        reasons.append(f"`{ends[0]}` is an embedding, and MLX changes a tied output layer with it")
    return reasons


def _check(
    module: str,
    own: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    rank: int | None,
    weights: Path,
) -> None:
    missing = [side for side in "ab" if side not in own]
    if missing:
        raise BadInput(f"`{module}` has no lora_{missing[0]}", where=weights)
    a, b = shapes[own["a"]], shapes[own["b"]]
    if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
        raise BadInput(
            f"`{module}`: lora_a {a} and lora_b {b} do not belong together", where=weights
        )
    if rank is not None and a[1] != rank:
        raise BadInput(
            f"`{module}` has rank {a[1]}, but {CONFIG} says {rank}",
            where=weights,
            hint="Are both files of one training run?",
        )
