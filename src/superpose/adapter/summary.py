"""What is in an adapter, in numbers: by kind of target module, and remarkable things in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from superpose.adapter.adapter import Adapter
from superpose.adapter.beside import Beside, trained
from superpose.adapter.delta import Delta
from superpose.adapter.image_marks import MARKS
from superpose.adapter.made import GIVEN, Made
from superpose.adapter.parents import Parent
from superpose.adapter.place import place_of
from superpose.adapter.trigger_words import trigger_words
from superpose.errors import listed
from superpose.files.file_format import PEFT
from superpose.lowrank import norm
from superpose.shown import Column, Fact, Facts, Framed, Line, Part, Shown, Table

# ..._1_attn1_to_q, but not the numbers in net_0_proj and to_out_0.
_KOHYA_BLOCKS = re.compile(r"^(lora|lycoris)_.*(?<!_net)_\d+_(?=[^\d])")


@dataclass(frozen=True)
class ModuleKind:
    """Target modules with one last name (q_proj). norm: Frobenius, of their deltas together.

    module_count: deltas, one for each expert or group.
    """

    name: str
    module_count: int
    shapes: tuple[tuple[int, int], ...]
    ranks: tuple[int, ...]
    scalings: tuple[float, ...]
    norm: float


def _shape(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


_KINDS = (
    Column("kind", "name"),
    Column("modules", "module_count", "d"),
    Column("out x in", lambda kind: ", ".join(map(_shape, kind.shapes))),
    Column("rank", lambda kind: ", ".join(map(str, kind.ranks))),
    Column("scaling", lambda kind: ", ".join(f"{s:g}" for s in kind.scalings)),
    Column("norm", "norm", ".4g"),
)


@dataclass(frozen=True)
class AdapterSummary(Framed, Shown):
    """An adapter in numbers.

    dtypes: that its factors are, or were, stored in. norm: of all deltas together. stored: names
    of the base's tensors (or rows) that it puts another one for. made: how it came about from its
    parents. format: of its file. beside: what
    lies beside it and is no part of it. remarks: in words, may be none. words: by which images of
    it are called, as its file or its parents' files say.
    """

    TABLE: ClassVar[str] = "kinds"

    name: str
    path: str | None
    base_model: str | None
    module_count: int
    rank: int
    parameters: int
    dtypes: tuple[str, ...]
    norm: float
    kinds: tuple[ModuleKind, ...]
    stored: tuple[str, ...]
    parents: tuple[Parent, ...]
    made: Made
    settings: dict[str, object]
    format: str
    beside: tuple[Beside, ...]
    remarks: tuple[str, ...]
    words: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give the same as dicts, lists, strings and numbers."""
        called = {"base_model": "base"}
        return {
            **{called.get(key, key): value for key, value in asdict(self).items()},
            "parents": [parent.to_json() for parent in self.parents],
            "made": self.made.to_json(),
            "beside": [one.to_json() for one in self.beside],
        }

    def shown(self) -> tuple[Part, ...]:
        """Give its facts, its kinds of target module, and the remarks."""
        kinds = Table.of("Target modules by kind", _KINDS, self.kinds)
        remarks = (Line(f"{remark}.") for remark in self.remarks)
        return Facts(tuple(self._facts())), *([kinds] if self.kinds else []), *remarks

    def _facts(self) -> Iterable[Fact]:
        yield Fact("adapter", self.name, self.path or "")
        if self.format != PEFT.name:
            yield Fact("format", self.format)
        yield Fact("base model", self.base_model or "not named")
        yield Fact("task", str(self.settings.get("task_type") or "not named"))
        yield Fact("target modules", str(self.module_count))
        yield Fact("rank", str(self.rank))
        yield Fact("parameters", f"{self.parameters:,}")
        if self.dtypes:
            yield Fact("dtype", ", ".join(self.dtypes))
        yield Fact("norm", f"{self.norm:.4g}")
        if self.stored:
            yield Fact("stored whole", listed(self.stored, 3, "{}"))
        for one in trained(self.beside):
            yield Fact("not in it", f"{one.file}: {one.what}")
        if tokenizer := [one.file for one in self.beside if one.kind == "tokenizer"]:
            yield Fact("beside it", listed(tokenizer, 3, "{}"))
        if self.made.method != GIVEN:
            yield Fact("made", str(self.made))
        if self.made.rounding_error is not None:
            yield Fact("rounding error", f"{self.made.rounding_error:.2g}")
        if self.words:
            yield Fact("trigger words", ", ".join(self.words))
        for p in self.parents:
            words = f" ({', '.join(p.words)})" if p.words else ""
            where = f"{p.weight:g} * {p.place}{words}"
            yield Fact("parent", f"{p.weight:g} * {p.name}{words}", where)


def summarise(adapter: Adapter) -> AdapterSummary:
    """Give an adapter in numbers; nothing is formed densely."""
    norms = {module: norm(delta.terms) for module, delta in adapter.items()}
    by_kind: dict[str, list[str]] = {}
    for module in adapter:
        by_kind.setdefault(_kind_name(module, adapter[module]), []).append(module)
    return AdapterSummary(
        name=adapter.name,
        path=adapter.path,
        base_model=adapter.base_model,
        module_count=len(adapter),
        rank=adapter.rank,
        parameters=adapter.parameters,
        dtypes=tuple(sorted({dtype for delta in adapter.values() for dtype in delta.stored})),
        norm=math.hypot(*norms.values()),
        kinds=tuple(
            _kind(name, [adapter[m] for m in modules], [norms[m] for m in modules])
            for name, modules in by_kind.items()
        ),
        stored=tuple(adapter.replacements),
        parents=adapter.parents,
        made=adapter.made,
        settings={key: v for key, v in adapter.settings.items() if key != MARKS},
        format=adapter.format,
        beside=adapter.beside,
        remarks=tuple(_remarks(norms)),
        words=trigger_words(adapter),
    )


def _kind_name(key: str, delta: Delta) -> str:
    """Give what modules of one kind have in common: the last name, without the number of a block.

    A bias or a parameter of a stack of experts goes by its module's name as well. kohya's names
    have underscores for dots: there it is what stands behind the last number within.
    """
    place = place_of(key, delta.place)
    parts = place.module.split(".")
    if parts[-1].isdigit() and place.parameter not in ("weight", "bias"):
        return place.parameter  # of a block itself
    module = ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]
    if len(parts) == 1:
        module = _KOHYA_BLOCKS.sub("", module)
    return module if place.parameter == "weight" else f"{module}.{place.parameter}"


def _kind(name: str, deltas: list[Delta], norms: list[float]) -> ModuleKind:
    return ModuleKind(
        name=name,
        module_count=len(deltas),
        shapes=tuple(sorted({delta.shape for delta in deltas})),
        ranks=tuple(sorted({delta.rank for delta in deltas})),
        scalings=tuple(sorted({term.coefficient for delta in deltas for term in delta.terms})),
        norm=math.hypot(*norms),
    )


def _remarks(norms: dict[str, float]) -> Iterable[str]:
    zero = [module for module, size in norms.items() if size == 0.0]
    if zero and len(zero) == len(norms):
        yield "adds nothing: every delta is zero (lora_B was never trained?)"
    elif zero:
        yield f"adds nothing in {listed(zero)}: the delta is zero"
