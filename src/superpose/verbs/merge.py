"""One adapter of several, by any merge method, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.compose import Method, Sum
from superpose.verbs.adapters import Weighted
from superpose.verbs.base import Base, base_name, check_device
from superpose.verbs.from_rows import DomainData
from superpose.verbs.progress import Progress
from superpose.verbs.settings import MergeQuestions, held
from superpose.verbs.summing import summed
from superpose.verbs.weights_file import TaskWeights, given

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Heads
    from superpose.names.tree import Tree
    from superpose.verbs.questions import Data

__all__ = ["merge"]


@typed
def merge(
    adapters: Weighted,
    weights: TaskWeights = None,
    method: Method = Sum(),
    *,
    data: Data = (),
    questions: MergeQuestions = MergeQuestions(),
    base: Base | None = None,
    same_base: bool = False,
    tree: Tree | None = None,
    heads: Heads = "sum",
    device: str | None = None,
    ignore_keys: Sequence[str] = (),
    progress: Progress | None = None,
) -> Adapter:
    """Make one adapter of several; target modules are united. How it was made is its `made`.

    adapters: names, each with its task weight behind a colon, a mapping of names to weights, or
    loaded ones. weights: in the adapters' order, or as `tune` found them. method: one of
    `superpose.compose.METHODS` or `FROM_DATA`, with its settings. data: for those of FROM_DATA rows
    of each adapter's own domain, in the adapters' order; left out, input statistics that lie beside
    the adapters count. questions: which of the rows. base: the base model, which reads the rows
    (left out, the one that the adapters name), and for what adapters store in place of its tensors,
    for DoRA at a rank, and for GGUF files. tree: the base's own names, where it is not on this
    machine. heads: what becomes of the layers that classifiers were given anew: "sum" merges them
    as all the rest, "none" leaves them out, and an adapter's name, path or number (from 1) takes
    that adapter's whole, at weight 1. device: where the base model that reads the rows is: `cpu`,
    `cuda:1`; None is an accelerator where torch finds one. progress: called with the modules done,
    or rows measured, how many there are, and what is done.

    A result that is zero (an adapter minus itself) is said with a SuperposeWarning.

    Raises BadInput for no adapter, another number of weights than adapters, a NaN or infinite
    weight, heads that name no adapter, rows that a method does not ask for or that it lacks;
    DifferentBase when the adapters were trained on different base models; and as reading, loading
    and the method do.

    >>> superpose.merge(["math", "medicine:0.5"], method=BestRank(rank=8))  # doctest: +SKIP
    """
    held(method, Method, "method")
    check_device(device, bool(data))
    total, _ = summed(
        given(adapters, weights),
        method,
        base=None if base is None else base_name(base),
        same_base=same_base,
        ignore_keys=ignore_keys,
        rows=DomainData(data, questions, base, device),
        tree=tree,
        heads=heads,
        progress=progress,
    )
    return total
