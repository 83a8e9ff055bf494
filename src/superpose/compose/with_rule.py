"""Methods that hand another method's rule something else than the deltas, or its result on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from superpose.adapter import Delta
from superpose.adapter.made import Setting
from superpose.compose.by_module import Array, ByModule, ModuleSource, Result
from superpose.compose.method import Method
from superpose.compose.sum import Sum
from superpose.errors import BadSetting
from superpose.lowrank import Term, dense
from superpose.lowrank.canonical_split import canonical


@dataclass(frozen=True)
class WithRule(ByModule):
    """A method with another one inside, whose name and settings are among its own.

    rule: the sum, or a method by modules that has no rule and no rank of its own; BadSetting is
    raised for others.
    """

    rule: Method = field(default=Sum(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.rule, Sum | ByModule) or isinstance(self.rule, WithRule):
            raise BadSetting(f"`{self.rule.name}` cannot be a rule of `{self.name}`", where="rule")
        if isinstance(self.rule, ByModule) and self.rule.rank is not None:
            raise BadSetting(f"the rank is `{self.name}`'s, not its rule's", where="rule")

    @property
    def settings(self) -> tuple[tuple[str, Setting], ...]:
        """Give its fields by name, and those of its rule."""
        own = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "rule"]
        inner = [pair for pair in self.rule.settings if pair[0] != "rank"]
        return (*own, ("rule", self.rule.name), *inner)

    def ruled(self, sources: Sequence[ModuleSource]) -> Result:
        """Give what the rule makes of these."""
        if isinstance(self.rule, ByModule):
            return self.rule.of_module(sources)
        return tuple(source.split for source in sources)

    def ruled_rank(self, delta: Delta) -> int:
        """Give the most that the rule's result can have in a module. delta: the sum's."""
        if isinstance(self.rule, ByModule):
            return self.rule.highest_rank(delta)
        return super().highest_rank(delta)

    def ruled_small(self, labels: Sequence[str], matrices: Sequence[Array]) -> Array:
        """Give what the rule makes of small matrices in place of deltas. labels: of their draws."""
        pairs = zip(labels, matrices, strict=True)
        splits = [(label, canonical((_as_term(x),))) for label, x in pairs if x.any()]
        sources = [ModuleSource(label, split) for label, split in splits if split.B.any()]
        if not sources:
            return 0.0 * matrices[0]
        found = self.ruled(sources)
        return np.asarray(dense(found)) if isinstance(found, tuple) else found


def _as_term(x: Array) -> Term:
    """Give a matrix as factors, one of them an identity of its smaller side."""
    high, wide = x.shape
    return Term(1.0, np.eye(high), x) if high < wide else Term(1.0, x, np.eye(wide))
