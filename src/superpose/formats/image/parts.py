"""The tensors of an image LoRA by module, each checked against its partners before any is read.

LoRA: up @ down, of a convolution with the kernel in `down` (LoCon) or between them in `mid` (its
Tucker form). LoHa, LoKr: see `hadamard`, `kronecker`. Differences are stored whole. Source: LyCORIS
4.1.3, `modules/locon.py`, `loha.py`, `lokr.py`, `full.py`, `norms.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from superpose.errors import BadInput, Refused
from superpose.formats.expanded import ProductLayout, Shape, fits, needed, volume
from superpose.formats.hadamard import HADAMARD, hadamard_layout
from superpose.formats.image.names import (
    DIFFERENCES,
    image_factor_name,
    parse_image_tensor,
    sort_of,
)
from superpose.formats.image.refused import Reason, reason_of, refuse
from superpose.formats.kronecker import KRONECKER, kronecker_layout
from superpose.names.image import is_kohya

LORA = ("down", "up", "mid")

_KINDS = {"lora": LORA, "loha": HADAMARD, "lokr": KRONECKER, "diff": DIFFERENCES[:1]}
"""Ways to store the change of a weight, and the roles that tell each."""

# LyCORIS stores the factors of a convolution flattened; the names of a UNet's tell their kernels.
_KERNELS = (
    (r"(conv_shortcut|skip_connection)", (1, 1)),
    (r"(conv1|conv2|conv_in|conv_out|op|in_layers[_.]2|out_layers[_.]3)", (3, 3)),
    (r"((down|up)samplers|output_blocks[_.]\d+)[_.]\d+[_.]conv", (3, 3)),
    (r"(input_blocks[_.]0[_.]0|unet[_.]out[_.]2)", (3, 3)),
)
_KERNELS_COMPILED = tuple((re.compile(rf".*[_.]{name}"), kernel) for name, kernel in _KERNELS)


@dataclass
class ModuleTensors:
    """One module's tensors. names: in the file, by role. kind: a key of _KINDS, "" for none.

    layout: of the weight's change, None where there is none. vector: whether that is of a norm's
    weight, stored as a difference.
    """

    module: str
    names: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    layout: ProductLayout | None = None

    vector: bool = False

    @property
    def kernel(self) -> Shape:
        """Of a convolution, () for a linear layer: the tensors tell, or else the module's name."""
        assert self.layout is not None
        if self.layout.kernel or self.kind not in ("loha", "lokr"):
            return self.layout.kernel
        for name, kernel in _KERNELS_COMPILED:
            if name.fullmatch(self.module) and self.layout.shape[1] % volume(kernel) == 0:
                return kernel
        return ()


@dataclass
class ImageParts:
    """What a file holds. parts: by module. spellings: of factors, by `sort_of` their modules."""

    parts: dict[str, ModuleTensors]
    spellings: dict[str, str]
    kohya: bool


def find_parts(shapes: Mapping[str, Shape], where: object) -> ImageParts:
    """Sort a file's tensors into modules. shapes: of every tensor, by name.

    Raises Refused, with every reason at once, for what a sum cannot hold; BadInput, naming the
    tensor, when one has no partner or does not fit it, or the file is no image LoRA at all.
    """
    found = ImageParts({}, {}, False)
    others: dict[Reason, list[str]] = {}
    for name in shapes:
        named = parse_image_tensor(name)
        if named is None:
            others.setdefault(reason_of(name), []).append(name)
            continue
        found.parts.setdefault(named.module, ModuleTensors(named.module)).names[named.role] = name
        if named.spelling is not None:
            found.spellings.setdefault(sort_of(named.module), named.spelling)
    _check_others(others, found, where)
    found.kohya = _kohya(found.parts, where)
    for part in found.parts.values():
        _complete(part, shapes, found.spellings, where)
    return found


def _check_others(others: Mapping[Reason, list[str]], found: ImageParts, where: object) -> None:
    if not found.parts:
        if all(reason.way_out.startswith("diffusers makes") for reason in others) and others:
            raise refuse(others, where)
        some = next((names[0] for names in others.values()), None)
        held = "no tensors" if some is None else f"tensors like `{some}`"
        raise BadInput(f"is no LoRA of kohya's or diffusers': it holds {held}", where=where)
    if others:
        raise refuse(others, where)


def _kohya(parts: Mapping[str, ModuleTensors], where: object) -> bool:
    kinds = {is_kohya(module): module for module in parts}
    if len(kinds) > 1:
        raise Refused(
            f"names its modules in two ways: `{kinds[True]}` as kohya does, `{kinds[False]}` as "
            "diffusers does",
            where=where,
        )
    return kinds.popitem()[0]


def _complete(
    part: ModuleTensors, shapes: Mapping[str, Shape], spellings: Mapping[str, str], where: object
) -> None:
    """Find out what a module's tensors are together."""
    own = {role: shapes[name] for role, name in part.names.items()}
    kinds = [kind for kind, roles in _KINDS.items() if own.keys() & set(roles)]
    try:
        if len(kinds) > 1:
            raise BadInput(f"holds the change of one weight twice, as {' and as '.join(kinds)}")
        if not kinds and not own.keys() & {"diff_b", "w_norm", "b_norm", "diff_m"}:
            raise BadInput(f"`{next(iter(own))}` has no factors beside it")
        if kinds:
            part.kind = kinds[0]
            _check_partner(part, spellings)
            part.layout = _layout(part.kind, own)
            part.vector = part.kind == "diff" and len(own["diff"]) == 1
        _check_differences(own)
        _check_bias(own, part.layout)
    except BadInput as error:
        problem = _with_names(error.problem, part)
        raise type(error)(f"module `{part.module}`: {problem}", where=where) from None


def _check_partner(part: ModuleTensors, spellings: Mapping[str, str]) -> None:
    for here, missing in (("down", "up"), ("up", "down")):
        if here in part.names and missing not in part.names:
            name = image_factor_name(part.module, missing, spellings)
            raise BadInput(f"tensor `{part.names[here]}` has no partner: `{name}` is missing")


def _with_names(problem: str, part: ModuleTensors) -> str:
    """Call the tensors by their names in the file."""
    for role, name in part.names.items():
        problem = problem.replace(f"`{role}`", f"`{name}`")
    return problem


def _layout(kind: str, shapes: Mapping[str, Shape]) -> ProductLayout:
    if kind == "loha":
        return hadamard_layout({n: s for n, s in shapes.items() if n in HADAMARD})
    if kind == "lokr":
        return kronecker_layout({n: s for n, s in shapes.items() if n in KRONECKER})
    if kind == "diff":
        fits(1 <= len(shapes["diff"]) <= 5, shapes, "diff")
        rows, *rest = shapes["diff"]
        columns = volume(tuple(rest))
        return ProductLayout((rows, columns), tuple(rest[1:]), None, min(rows, columns))
    return _lora_layout(shapes)


def _lora_layout(shapes: Mapping[str, Shape]) -> ProductLayout:
    """Of up (out, r, 1, ...) and down (r, in, *kernel), or down (r2, in, 1, ...) with mid."""
    needed(shapes, "down", "up")
    down, up = shapes["down"], shapes["up"]
    fits(2 <= len(down) == len(up) <= 5 and volume(up[2:]) == 1, shapes, "down", "up")
    if "mid" not in shapes:
        fits(up[1] == down[0], shapes, "down", "up")
        return ProductLayout((up[0], volume(down[1:])), down[2:], down[0], down[0])
    mid = shapes["mid"]
    fits(len(mid) == len(down) > 2 and volume(down[2:]) == 1, shapes, "down", "mid")
    fits(mid[:2] == (up[1], down[0]), shapes, "down", "mid", "up")
    return ProductLayout((up[0], down[1] * volume(mid[2:])), mid[2:], down[0], up[1])


def _check_differences(shapes: Mapping[str, Shape]) -> None:
    if "diff_m" in shapes:
        fits(len(shapes["diff_m"]) == 3 and shapes["diff_m"][0] == 1, shapes, "diff_m")
    for role in ("diff_b", "w_norm", "b_norm"):
        if role in shapes:
            fits(len(shapes[role]) == 1, shapes, role)
    if {"diff_b", "b_norm"} <= shapes.keys():
        raise BadInput("holds the change of one bias twice: `diff_b`, `b_norm`")


def _check_bias(shapes: Mapping[str, Shape], layout: ProductLayout | None) -> None:
    if "bias" not in shapes:
        return
    if layout is None or "up" not in shapes or "diff_b" in shapes:
        raise BadInput("`bias` belongs to no factor")
    fits(shapes["bias"] == (layout.shape[0],), shapes, "bias", "up")
