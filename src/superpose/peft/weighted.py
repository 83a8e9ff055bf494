"""`add_weighted_adapter`, as PEFT has it: the sum of adapters of a model, as one more of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting, Refused, missing_extra

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Made
    from superpose.compose import Method
    from superpose.peft.base import LoadedBase

__all__ = ["add_weighted_adapter"]


def add_weighted_adapter(
    model: Any,
    adapters: Sequence[str],
    weights: Sequence[float],
    adapter_name: str,
    combination_type: str | None = None,
    svd_rank: int | None = None,
    svd_clamp: float | None = None,
    svd_full_matrices: bool = True,
    svd_driver: str | None = None,
    density: float | None = None,
    majority_sign_method: str = "total",
    *,
    method: Method | str | None = None,
    rank: int | None = None,
) -> Made:
    """Add the weighted sum of a PeftModel's adapters to it, exactly, as an adapter of its own.

    In place of `model.add_weighted_adapter(adapters, weights, adapter_name, ...)`: the same
    arguments, behind the model. What differs is that the result is the sum, whatever the adapters
    hold, or an error. The model keeps its active adapter: `model.set_adapter(adapter_name)`.

    model: with its adapters, none of them merged. weights: one task weight each, of either sign.
    combination_type: "cat", or None, the exact sum at the ranks' sum; "svd" its best approximation
    of svd_rank, the largest of the adapters' ranks unless given (given without a type it means the
    same); "ties_svd", "dare_linear_svd" and "dare_ties_svd" these methods on the deltas, with
    density. Those that work on factors are refused, as none of them is what it says.
    svd_full_matrices, svd_driver: change nothing. method: one of `superpose.compose.METHODS`, by
    its name or with its settings, in place of a combination type. rank: the same as svd_rank.

    Gives how the new adapter was made; `energy_kept` says how much of it a rank has kept.

    Raises BadSetting for arguments that cannot be, Refused for what no sum holds (DoRA without a
    rank, PiSSA, aLoRA and so on) or PEFT's model does not take, with the way out; DoesNotHold where
    the model does not hold what was put into it. The model is then as it was before. MissingExtra
    without peft.

    >>> add_weighted_adapter(model, ["math", "law"], [1.0, 0.5], "both")  # doctest: +SKIP
    """
    del svd_full_matrices, svd_driver
    try:
        import peft  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise missing_extra(error.name, "a model's adapters") from None
    from superpose.peft.asked import asked
    from superpose.peft.base import LoadedBase
    from superpose.peft.live import check_model, check_names, largest_rank
    from superpose.peft.written import inject

    if isinstance(adapters, str):
        raise BadSetting("is one name, and a list is needed", where="adapters")
    names = list(adapters)
    check_model(model, names)
    base = LoadedBase.of(model)
    check_names(model, base, adapter_name)
    chosen, cut = asked(
        combination_type, method, rank=rank, svd_rank=svd_rank, svd_clamp=svd_clamp,
        density=density, majority_sign_method=majority_sign_method,
        ranks=[largest_rank(model.peft_config[name]) for name in names],
    )  # fmt: skip
    total = _summed(model, names, list(weights), chosen, cut, base)
    inject(model, adapter_name, total, base)
    return total.made


def _summed(
    model: Any,
    names: list[str],
    weights: list[float],
    method: Method,
    rank: int | None,
    base: LoadedBase,
) -> Adapter:
    """Give what the method makes of adapters of the model, with its base's own tensors."""
    from superpose.compose import BestRank, OnBase, merge
    from superpose.peft.live import read_adapter
    from superpose.verbs.adapters import as_number
    from superpose.verbs.merging import at_rank
    from superpose.verbs.summing import asks_for_weights

    method, rank = at_rank(method, rank)
    read = {
        name: read_adapter(model, name, dora=rank is not None, tied=base.tied)
        for name in dict.fromkeys(names)
    }
    total = merge(
        [read[name] for name in names],
        [as_number(weight) for weight in weights],
        method,
        same_base=True,
        tree=base.tree,
    )
    _check_biases(total)
    if asks_for_weights(total):
        total = OnBase(base).of(total)
    total = total if rank is None else BestRank(rank, base).of(total)
    return total.renamed(lambda name: base.wrapped.get(name, name)) if base.wrapped else total


def _check_biases(total: Adapter) -> None:
    """Raise Refused where a share of a trained bias is asked for: it has overwritten the base's."""
    for stored in total.replacements.values():
        bias = stored.absolute and stored.row is None and stored.owner is None
        if bias and stored.needs_base:
            raise Refused(
                f"`{stored.key}` was trained in the base model itself, which has lost its own "
                f"(bias='all' or 'lora_only'), and the task weights of it sum to {stored.total:g}",
                where="bias",
                hint="At the task weight 1 it stays as it is. For any other add the files: "
                "superpose add A B --base BASE -o BOTH, with the base model as it was.",
            )
