"""The adapter: a mapping target module -> delta, and an element of a vector space.

`both = math + medicine`, `math - toxic`, `0.5 * law`, `sum(adapters)`, `adapter.compress(rank=8)`.
Nothing is computed until a number is asked for or a file is written: a sum joins terms, and a
target module that only one side has joins the union.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from superpose.adapter.beside import Beside
from superpose.adapter.brought_together import together
from superpose.adapter.delta import Delta, FineWeight
from superpose.adapter.made import Made, made_by_rank, made_by_scaling
from superpose.adapter.parents import Parent, sum_name
from superpose.adapter.place import sharing
from superpose.adapter.progress import Progress, told
from superpose.adapter.replacement import Array, Replacement
from superpose.adapter.scalars import finite, is_scalar, whole_rank
from superpose.arguments import as_mapping, as_tuple, each_is, of_kind
from superpose.errors import BadInput, placed
from superpose.files.file_format import PEFT
from superpose.lowrank.inner_products import inner as inner_product, norm
from superpose.lowrank.terms import nonzero, rank as terms_rank
from superpose.lowrank.truncation import Truncated, truncated
from superpose.shown import Part, Shown

if TYPE_CHECKING:
    import os

    from superpose.formats import Written


@dataclass(frozen=True, eq=False, repr=False)
class Adapter(Shown, Mapping[str, Delta]):
    """Target module -> Delta, with what it was read from.

    deltas: by target module; a group of a convolution, an expert of a stack, a bias have keys of
    their own (`Place.key`). replacements: tensors that the adapter stores absolutely, by
    `Replacement.key`. name: what people call it. base_model: the base model's name as written
    in the adapter, or None. path: where it was read from; None for one made in memory. parents: of
    a superposition. settings: configuration that does not touch the weights and that a file should
    carry on (task_type, revision, ...); a sum keeps those on which both sides agree. copies: the
    base's own tensors that a file holds beside the adapter (embeddings), by name: part of no sum.
    tied: output layer -> embedding whose delta is its transpose, once for both (tied weights).
    format: of the file, which a sum is written in again; metadata: of the file, agreed on like
    settings. beside: files that lie beside it and are no part of it. made: how it came about from
    its parents, and whether that is exact. identity: what makes this adapter one parent in a sum
    when it has no path; the same under another base's name.

    Raises BadInput when there is neither delta nor replacement or a value is not one.
    """

    deltas: Mapping[str, Delta]
    name: str = "adapter"
    base_model: str | None = None
    path: str | None = None
    parents: tuple[Parent, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    replacements: Mapping[str, Replacement] = field(default_factory=dict, kw_only=True)
    copies: Mapping[str, Array] = field(default_factory=dict, kw_only=True)
    tied: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    format: str = field(default=PEFT.name, kw_only=True)
    metadata: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    beside: tuple[Beside, ...] = field(default=(), kw_only=True)
    made: Made = field(default=Made(), kw_only=True)
    identity: object = field(default_factory=object, kw_only=True)

    # Without it NumPy takes an adapter, being a mapping, for an object array: `np.float64(2) * a`.
    __array_ufunc__ = None

    def __post_init__(self) -> None:
        for name in ("deltas", "settings", "replacements", "copies", "tied", "metadata"):
            object.__setattr__(self, name, as_mapping(getattr(self, name), name, self.name))
        object.__setattr__(self, "parents", as_tuple(self.parents, "parents", self.name))
        if not self.deltas and not self.replacements:
            raise BadInput("an adapter needs at least one target module", where=self.name)
        each_is(self.deltas, Delta, self.name)
        each_is(self.replacements, Replacement, self.name)

    # A mapping.

    def __getitem__(self, module: str) -> Delta:
        return self.deltas[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self.deltas)

    def __len__(self) -> int:
        return len(self.deltas)

    def __eq__(self, other: object) -> bool:
        """Say whether both hold the same numbers for one base model, whatever they are called.

        The same delta in other factors is another one; `superpose.diff` compares deltas.
        """
        from superpose.adapter.content import same_content

        same = isinstance(other, Adapter) and (self is other or same_content(self, other))
        return same if isinstance(other, Adapter) else NotImplemented

    def __hash__(self) -> int:
        """Give one of what is changed of which base model, and no number."""
        return hash((self.base_model, frozenset(self.deltas), frozenset(self.replacements)))

    def __repr__(self) -> str:
        base = "base model unknown" if self.base_model is None else f"base {self.base_model}"
        made = "" if self.made.plain else f"; {self.made}"
        return f"Adapter({self.name}: {len(self)} modules, rank {self.rank}, {base}{made})"

    def shown(self) -> tuple[Part, ...]:
        """Give what `superpose info` shows."""
        from superpose.adapter.summary import summarise

        return summarise(self).shown()

    @property
    def label(self) -> str:
        """The name for messages: with the path, where there is one."""
        return f"`{self.name}`" if self.path is None else f"`{self.path}`"

    @property
    def title(self) -> str:
        """The name, and what was done to the sum that it is the name of."""
        return f"{self.name}{self.made.suffix}"

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the target modules, in the adapter's order."""
        return tuple(self.deltas)

    @property
    def rank(self) -> int:
        """Largest rank of a module as held; a bias, which has no factors on disk, counts as 0."""
        return max((d.rank * sharing(d.place) for d in self.values()), default=0)

    @property
    def parameters(self) -> int:
        """Number of entries of all factors as held."""
        return sum(delta.parameters for delta in self.deltas.values())

    # A vector.

    def __add__(self, other: object) -> Adapter:
        """Add: raises DifferentBase when the two were trained on different base models."""
        if not isinstance(other, Adapter):
            return NotImplemented
        from superpose.adapter.united import united  # only who adds pays for it

        x, y = together((self, other))
        return united(x, y, (self, other))

    def __radd__(self, other: object) -> Adapter:
        """Let Python's `sum` start from its 0; every other left operand is refused."""
        return self if type(other) is int and other == 0 else NotImplemented

    def __sub__(self, other: object) -> Adapter:
        return self + (-other) if isinstance(other, Adapter) else NotImplemented

    def __neg__(self) -> Adapter:
        return self * -1.0

    def __pos__(self) -> Adapter:
        return self

    def __mul__(self, weight: object) -> Adapter:
        """Scale by a finite number: raises BadInput for NaN, infinity and overflow."""
        if not is_scalar(weight):
            return NotImplemented
        factor = finite(float(weight))
        return self._scaled(lambda coefficient: coefficient * factor, unchanged=factor == 1.0)

    __rmul__ = __mul__

    def __truediv__(self, divisor: object) -> Adapter:
        """Divide by a finite number: raises ZeroDivisionError for 0."""
        if not is_scalar(divisor):
            return NotImplemented
        by = finite(float(divisor))
        return self._scaled(lambda coefficient: coefficient / by)

    def inner(self, other: Adapter) -> float:
        """Give <self, other>: the sum over shared target modules of <dW_i, dW_j> (Frobenius).

        Invariant under A -> RA, B -> B R^-1. Raises DifferentBase.
        """
        x, y = together((self, of_kind(other, Adapter)), deltas_alone=True)
        shared = [module for module in x if module in y]
        return math.fsum(inner_product(x[m].terms, y[m].terms) for m in shared)

    def norm(self) -> float:
        """Give the Frobenius norm of all deltas together, right for nearly cancelling sums too."""
        return math.hypot(*(norm(delta.terms) for delta in self.values()))

    def cosine(self, other: Adapter) -> float:
        """Give the whole-adapter cosine: sums of inner products and of squared norms over modules.

        A module that only one side has counts in that side's norm. Between -1 and 1; its floor for
        two unrelated adapters is about 1/sqrt(d_in * d_out * modules). NaN when one of them is
        zero. Raises DifferentBase, and BadInput for a delta beyond float64.
        """
        from superpose.adapter.angle import cosine_of  # one more file, for who asks

        return cosine_of(self, of_kind(other, Adapter))

    # The same, otherwise.

    def compress(self, rank: int) -> Adapter:
        """Give the best approximation with at most `rank` in each module (Eckart-Young 1936).

        A delta whose rank is not above `rank` stays as it is, exactly. The groups of a convolution
        share their module's rank, at least 1 for each. New factors are float64; a file is still
        written in the parents' dtype. A wide sum of LoKr's is projected at random, and not formed.

        Raises BadInput when rank is not a whole number of at least 1.
        """
        return self.compress_measured(rank)[0]

    def compress_measured(
        self, rank: int, progress: Progress | None = None
    ) -> tuple[Adapter, tuple[Truncated, ...]]:
        """Give `compress(rank)`, and for each module in order what the approximation keeps."""
        whole = whole_rank(rank)
        found, deltas = [], {}
        for module, delta in told(self, progress):
            most = max(1, whole // max(1, sharing(delta.place)))
            with placed(module):
                found.append(truncated(delta.terms, most))
            deltas[module] = delta
            if delta.rank > most:
                own = nonzero(delta.terms)
                kept = own if terms_rank(own) <= most else (found[-1].term,)
                deltas[module] = replace(delta, terms=kept)
        made = made_by_rank(self, whole, found)
        smaller = replace(self, deltas=deltas, path=None, parents=self.as_parents(), made=made)
        return smaller, tuple(found)

    def on_base(self, base_model: str | None) -> Adapter:
        """Give the same adapter under another name of its base model."""
        return replace(self, base_model=base_model)

    def renamed(self, name_of: Callable[[str], str]) -> Adapter:
        """Give the same adapter under other names: name_of(`model.layers.0.mlp.up_proj.weight`).

        Raises Refused when two of its names become one.
        """
        from superpose.adapter.renaming import renamed

        return renamed(self, name_of)

    def scaled_by_module(self, weights: Mapping[str, FineWeight]) -> Adapter:
        """Give the adapter with a task weight of its own for each target module, or direction.

        weights: of every key, as `Delta.scaled` takes them. As a parent it counts with their mean,
        by a name that says so.

        Raises BadInput when a weight is missing or not finite, or a tensor is stored absolutely.
        """
        from superpose.adapter.by_module import scaled_by_module

        return scaled_by_module(self, weights)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        engine: str | None = None,
        base: str | os.PathLike[str] | None = None,
        dtype: str | None = None,
        compact: bool = False,
        force: bool = False,
    ) -> Written:
        """Write it: `superpose.save(self, path, ...)`, which says what the options mean."""
        from superpose.formats import save  # the one way up: how files look is known above

        return save(self, path, engine=engine, base=base, dtype=dtype, compact=compact, force=force)

    def as_parents(self) -> tuple[Parent, ...]:
        """What a sum with this adapter is made from: what lies on disk is a parent of its own."""
        if self.path is None and self.parents:
            return self.parents
        from superpose.adapter.trigger_words import trigger_words

        return (Parent(self.name, self.path, 1.0, self.identity, trigger_words(self)),)

    def _scaled(self, change: Callable[[float], float], *, unchanged: bool = False) -> Adapter:
        parents = tuple(p.with_weight(change(p.weight)) for p in self.as_parents())
        with placed(self.label):
            deltas = {m: delta.with_coefficients(change) for m, delta in self.items()}
            kept = {k: r.with_coefficients(change) for k, r in self.replacements.items()}
        name, made = sum_name(parents), made_by_scaling(self, parents, unchanged=unchanged)
        return replace(
            self, deltas=deltas, replacements=kept, name=name, path=None, parents=parents, made=made
        )
