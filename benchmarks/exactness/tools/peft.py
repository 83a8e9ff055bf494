"""PEFT: `add_weighted_adapter` in all its combination types, and merging into the base."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exactness.protocol import CannotAsk, Task, Tool, Way

__all__ = ["PEFT", "load"]

_DENSITY = 0.5
_PRUNES = "keeps the larger half of each factor's entries"
_DROPS = "drops half of the entries at random and doubles the others"
_TIES = "keeps the larger half of the entries, and of those the ones with the majority's sign"


def load(task: Task) -> tuple[Any, list[str]]:
    """Give a PeftModel with the task's adapters, and their names in it.

    No name is a number: PEFT 0.21.2 leaves all of a layer out of what it saves when an adapter is
    called like that layer.
    """
    import torch
    from peft import PeftModel

    torch.manual_seed(0)
    base = _base(task)
    names = [f"adapter_{number}" for number in range(len(task.adapters))]
    model = PeftModel.from_pretrained(base, task.adapters[0], adapter_name=names[0])
    for path, name in zip(task.adapters[1:], names[1:], strict=True):
        model.load_adapter(path, adapter_name=name)
    return model, names


def _base(task: Task) -> Any:
    import transformers

    return getattr(transformers, task.auto).from_pretrained(task.base)


def _weighted(combination_type: str, task: Task, *, all_ranks: bool = False) -> Path:
    options: dict[str, Any] = {"combination_type": combination_type}
    if all_ranks:
        options["svd_rank"] = sum(task.ranks)
    if combination_type not in {"cat", "svd", "linear"}:
        options["density"] = _DENSITY
    model, names = load(task)
    model.add_weighted_adapter(names, list(task.weights), "sum", **options)
    model.save_pretrained(task.out, selected_adapters=["sum"])
    return Path(task.out, "sum")


def _merge(task: Task) -> Path:
    _only_weight_one(task)
    model, names = load(task)
    model.merge_and_unload(adapter_names=names).save_pretrained(task.out)
    return Path(task.out)


def _one_by_one(task: Task) -> Path:
    from peft import PeftModel

    _only_weight_one(task)
    model = _base(task)
    for path in task.adapters:
        model = PeftModel.from_pretrained(model, path).merge_and_unload()
    model.save_pretrained(task.out)
    return Path(task.out)


def _only_weight_one(task: Task) -> None:
    if set(task.weights) != {1.0}:
        raise CannotAsk("merge_and_unload takes no weights")


def _way(combination_type: str, aim: str = "") -> Way:
    density = "" if combination_type in {"cat", "svd", "linear"} else f", density={_DENSITY}"
    call = (
        f'model.add_weighted_adapter(names, weights, "sum", combination_type="{combination_type}"'
        f"{density}); model.save_pretrained(OUT, selected_adapters=['sum'])"
    )
    return Way(combination_type, call, "adapter", True, partial(_weighted, combination_type), aim)


PEFT = Tool(
    "PEFT",
    "peft",
    (
        _way("cat"),
        _way("svd", "the best approximation of the largest adapter's rank"),
        Way(
            "svd, full rank",
            'model.add_weighted_adapter(names, weights, "sum", combination_type="svd", '
            "svd_rank=sum of the ranks); model.save_pretrained(OUT, selected_adapters=['sum'])",
            "adapter",
            True,
            partial(_weighted, "svd", all_ranks=True),
        ),
        _way("linear", "adds the factors, not the deltas"),
        _way("ties", _TIES),
        _way("ties_svd", _TIES),
        _way("dare_linear", _DROPS),
        _way("dare_linear_svd", _DROPS),
        _way("dare_ties", _DROPS),
        _way("dare_ties_svd", _DROPS),
        _way("magnitude_prune", _PRUNES),
        _way("magnitude_prune_svd", _PRUNES),
        Way(
            "merged at once",
            "model.merge_and_unload(adapter_names=names).save_pretrained(OUT)",
            "model",
            True,
            _merge,
        ),
        Way(
            "one by one",
            "PeftModel.from_pretrained(model, A).merge_and_unload(), then B into what that gave",
            "model",
            True,
            _one_by_one,
        ),
    ),
)
