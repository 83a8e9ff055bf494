"""What the tensors of a PEFT file are: factors, biases, whole tensors, or something refused.

A factor is `base_model.model.<module>.lora_A.weight` or `.lora_B.weight`, an embedding's
`.lora_embedding_A` or `_B`. Names are parsed from their ends, because a module's own name may
contain `lora_`. Which module of the base a name means is the business of `parts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from superpose.errors import BadInput, listed
from superpose.formats.stubs import check_stubs
from superpose.names.stored import end_of

PREFIX = "base_model.model."

Shape = tuple[int, ...]


class FactorPair(NamedTuple):
    """The factors of one module by name, and their shapes. embedding: A (rank, vocabulary)."""

    A: str
    B: str
    A_shape: Shape
    B_shape: Shape
    embedding: bool = False

    @property
    def rank(self) -> int:
        """Number of A's rows: the rank, of all experts together where there are several."""
        return self.A_shape[0]


@dataclass
class Sorted:
    """Every tensor of a file by what it is; values are names in the file.

    factors: by module as the file calls it. biases: of B, by module. magnitudes: of DoRA, by
    module. rows: trained token rows, by embedding. wholes: tensors in place of the base's, by the
    base's name. copies: of the base's own tensors, by its name. twins: what is stored twice: the
    tensor that counts, and another that has to be the same. reasons: why the rest is refused.
    """

    factors: dict[str, FactorPair] = field(default_factory=dict)
    biases: dict[str, str] = field(default_factory=dict)
    magnitudes: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    wholes: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    twins: list[tuple[str, str]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


EMBEDDINGS = ("embed_tokens", "lm_head")
"""Layers whose own weights PEFT saves beside LoRA on them (peft 0.21.2, EMBEDDING_LAYER_NAMES)."""

# Tried in this order; what each ending says about the tensor.
_REFUSED = (
    (r"\.lora_A\.bias$", "a bias of A, which PEFT does not write"),
    (r"\.lora_diag$", "a KaSA diagonal"),
    (r"\.lora_[AB]\.[^.]+\.weight$", "a factor with an adapter's name in it, as state_dict() gives "
     "and save_pretrained() does not; PEFT would not load it"),
    (r"(^|\.)lora_(down|up)\b|^lora_(unet|te)", "a kohya or diffusers factor"),
    (r"\.(hada|lokr)_", "a LoHa or LoKr factor"),
)  # fmt: skip
_REFUSED_COMPILED = tuple((re.compile(pattern), what) for pattern, what in _REFUSED)
# Stacks of all experts under the names of a single one, with the factor that experts share once.
_TINKER = re.compile(r"\.experts\.w[123]\.lora_[AB]\.weight$")
_TINKER_REASON = (
    "Tinker's factors of all experts together, whose place only the base model tells; "
    "tinker_cookbook.weights.build_lora_adapter(base_model=..., adapter_path=..., "
    "output_path=...) of tinker-cookbook writes them as PEFT's"
)
_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_EMBEDDING = re.compile(r"(?P<module>.+)\.lora_embedding_(?P<side>[AB])")
# What acts in training alone, and the base's own tensors that `bias="all"` finds again in wrappers.
_DROPPED = re.compile(r"\.lora_velora_|\.lora_monteclora_|(^|\.)original_module\.")
# PEFT leaves the adapter's name there when what `bias="all"` finds again lies deeper in the module.
_SAVED_WHOLE = re.compile(r"\.modules_to_save(\.default)?(?=\.)")
_WRAPPED = re.compile(r"(\.token_adapter)?(\.base_layer)+(?=\.)")
_BY_MODULE = (
    (re.compile(r"(?P<module>.+)\.lora_B\.bias"), "biases"),
    (re.compile(r"(?P<module>.+)\.lora_magnitude_vector(\.weight)?"), "magnitudes"),
    (re.compile(r"(?P<module>.+)\.token_adapter\.trainable_tokens_delta"), "rows"),
)


def sort_tensors(shapes: Mapping[str, Shape], whole_modules: tuple[str, ...] = ()) -> Sorted:
    """Say what each tensor of a file is.

    shapes: of every tensor, by name. whole_modules: of the configuration's modules_to_save.

    Raises BadInput when there is nothing to refuse but a factor has no partner, is no matrix or
    does not fit its partner: then the file is damaged.
    """
    found = Sorted()
    sides: dict[tuple[str, bool], dict[str, str]] = {}
    refused: dict[str, list[str]] = {}
    for name in shapes:
        what = _refused(name)
        if what is not None:
            refused.setdefault(what, []).append(name)
        elif not _DROPPED.search(name):
            _place(name, name.removeprefix(PREFIX), found, sides, whole_modules)
    found.reasons = [f"tensor {listed(names)}: {what}" for what, names in refused.items()]
    if not found.reasons:
        check_stubs(shapes)
        for (module, embedding), names in sides.items():
            found.factors[module] = _pair(names, shapes, embedding)
    return found


def factor_name(module: str, side: str, *, embedding: bool = False) -> str:
    """Give the name of a module's factor in a PEFT file; side: "A" or "B"."""
    middle = "lora_embedding_" if embedding else "lora_"
    return f"{PREFIX}{module}.{middle}{side}" + ("" if embedding else ".weight")


def _refused(name: str) -> str | None:
    """Say why a tensor cannot be in a sum; None for all that can."""
    if _TINKER.search(name):
        return _TINKER_REASON
    short = name.removeprefix(PREFIX)
    if not (_FACTOR.fullmatch(short) or _EMBEDDING.fullmatch(short)):
        for pattern, what in _REFUSED_COMPILED:
            if pattern.search(name):
                return what
    if not name.startswith(PREFIX):
        return f"a tensor without the prefix `{PREFIX}`; PEFT would not load it"
    return None


def _place(
    name: str,
    short: str,
    found: Sorted,
    sides: dict[tuple[str, bool], dict[str, str]],
    whole_modules: tuple[str, ...],
) -> None:
    # The wrapper of a module that is saved whole: older versions of PEFT save what lies in it by
    # both names, and `bias="all"` finds its bias there once more.
    plain = _SAVED_WHOLE.sub("", short)
    for pattern, embedding in ((_FACTOR, False), (_EMBEDDING, True)):
        if factor := pattern.fullmatch(plain):
            own = sides.setdefault((factor["module"], embedding), {})
            _once(own, factor["side"], name, found)
            return
    for pattern, where in _BY_MODULE:
        if match := pattern.fullmatch(plain):
            _once(getattr(found, where), match["module"], name, found)
            return
    tensor = _WRAPPED.sub("", plain)
    if tensor != plain and not is_bias(tensor):
        found.copies[tensor] = name  # what an embedding or output layer was before
    elif _is_embedding(tensor) and not owner_of(tensor, whole_modules):
        found.copies[tensor] = name  # a resized vocabulary
    else:
        _once(found.wholes, tensor, name, found)


def _once(names: dict[str, str], key: str, name: str, found: Sorted) -> None:
    """Note a tensor by what it is; where another one is that already, they are twins."""
    before = names.get(key)
    if before is None:
        names[key] = name
        return
    found.twins.append((before, name))
    if not _SAVED_WHOLE.search(name):
        names[key] = name


def is_bias(tensor: str) -> bool:
    """Whether a tensor of the base is one that `bias` means: stacks of experts have several."""
    return "bias" in tensor.rpartition(".")[2]


def owner_of(tensor: str, whole_modules: tuple[str, ...]) -> str | None:
    """Give the module of `modules_to_save` that a tensor of the base belongs to, None for none.

    An entry is the end of a module's name, not of one of its parts: `norm` means `layernorm` too
    (peft 0.21.2, `_set_trainable`).
    """
    parts = tensor.split(".")[:-1]
    for end in range(1, len(parts) + 1):
        module = ".".join(parts[:end])
        if module.endswith(whole_modules):
            return module
    return None


def _is_embedding(tensor: str) -> bool:
    """Whether PEFT saves this of a model whose vocabulary was resized: both ends, by any name."""
    module = tensor.rpartition(".")[0].rpartition(".")[2]
    return module in EMBEDDINGS or end_of(tensor) is not None


def _pair(names: Mapping[str, str], shapes: Mapping[str, Shape], embedding: bool) -> FactorPair:
    if len(names) < 2:
        ((side, present),) = names.items()
        other = "B" if side == "A" else "A"
        missing = re.sub(rf"_{side}(\.weight)?$", rf"_{other}\1", present)
        raise BadInput(f"tensor `{present}` has no partner: `{missing}` is missing")
    for name in names.values():
        if len(shapes[name]) not in ((2,) if embedding else (2, 3, 4, 5)):
            raise BadInput(f"tensor `{name}` has shape {shapes[name]}; a factor is a matrix")
    a, b = names["A"], names["B"]
    if len(shapes[a]) != len(shapes[b]):
        raise BadInput(f"tensors `{a}` {shapes[a]} and `{b}` {shapes[b]} do not belong together")
    return FactorPair(a, b, shapes[a], shapes[b], embedding)
