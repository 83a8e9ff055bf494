"""One adapter of several, by any merge method, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.compose import Method, Sum
from superpose.verbs.adapters import Weighted
from superpose.verbs.base import Base, base_name
from superpose.verbs.progress import Progress
from superpose.verbs.settings import held
from superpose.verbs.summing import summed
from superpose.verbs.weights_file import TaskWeights, given

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Heads
    from superpose.names.tree import Tree

__all__ = ["merge"]


def merge(
    adapters: Weighted,
    weights: TaskWeights = None,
    method: Method = Sum(),
    *,
    base: Base | None = None,
    same_base: bool = False,
    tree: Tree | None = None,
    heads: Heads = "sum",
    ignore_keys: Sequence[str] = (),
    progress: Progress | None = None,
) -> Adapter:
    """Make one adapter of several; target modules are united. How it was made is its `made`.

    adapters: names, each with its task weight behind a colon, a mapping of names to weights, or
    loaded ones. weights: in the adapters' order, or as `tune` found them. method: one of
    `superpose.compose.METHODS`, with its settings. base: the base model, for what adapters store in
    place of its tensors, for DoRA at a rank, and for GGUF files. tree: the base's own names, where
    it is not on this machine. heads: what becomes of the layers that classifiers were given anew:
    "sum" merges them as all the rest, "none" leaves them out, and an adapter's name, path or number
    (from 1) takes that adapter's whole, at weight 1. progress: called with the modules done, how
    many there are, and what is done.

    A result that is zero (an adapter minus itself) is said with a SuperposeWarning.

    Raises BadInput for no adapter, another number of weights than adapters, a NaN or infinite
    weight, heads that name no adapter; DifferentBase when the adapters were trained on different
    base models; and as loading and the method do.

    >>> superpose.merge(["math", "medicine:0.5"], method=BestRank(rank=8))  # doctest: +SKIP
    """
    held(method, Method, "method")
    total, _ = summed(
        given(adapters, weights),
        method,
        base=None if base is None else base_name(base),
        same_base=same_base,
        ignore_keys=ignore_keys,
        tree=tree,
        heads=heads,
        progress=progress,
    )
    return total
