"""A sum of adapters as a model of lm-evaluation-harness, beside one loaded base model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting, DifferentBase, missing_extra
from superpose.names.sums import write_sum

try:
    from lm_eval.api.registry import register_model
    from lm_eval.models.huggingface import HFLM
except ImportError as error:
    raise missing_extra(error.name, "the harness") from None

if TYPE_CHECKING:
    from superpose.adapter import Adapter

__all__ = ["SuperposeLM", "evaluate_sums"]

_PASSED = frozenset(
    """
    add_bos_token chat_template_args enable_thinking logits_cache max_length mixed_precision_dtype
    prefix_token_id softmax_dtype think_end_token truncation
    """.split()
)
"""Arguments of the harness's own `hf` that mean the same of a model that is loaded already."""


@register_model("superpose")
class SuperposeLM(HFLM):  # type: ignore[misc]
    """A base model with a sum of adapters on it, as `superpose eval` computes it.

    base: smollm2, a transformers folder or a hub name (`org/name@revision`), which one process
    loads once, however many sums are evaluated. sum: as it is written everywhere, `math +
    0.5*medicine`; "" is the base alone. same_base: its adapters are of one base model, whatever
    they call it. dtype: of the base's weights in memory; factors are in float32 at least. device,
    batch_size, max_batch_size, and what `hf` knows of lengths, tokens and templates: as for the
    harness's `hf`. model: no more than what the harness calls the folder of its results.

    Raises BadSetting for any other argument, which `hf` would pass over; BadInput for what is no
    sum, or an adapter that cannot be read; DifferentBase for adapters of two base models; Refused
    for adapters that change more than linear layers, with the way out; MissingBase where the base
    model is not here.
    """

    def __init__(
        self,
        base: str = "",
        sum: str = "",  # noqa: A002  the name on the command line
        *,
        dtype: str = "float32",
        same_base: bool = False,
        device: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = 64,
        model: str = "",
        **options: Any,
    ) -> None:
        from superpose.model import SuperposedModel, load_base
        from superpose.verbs.adapters import loaded_with_weights

        del model
        _check_arguments(base, sum, options)
        adapters, self._weights = ([], []) if not sum else loaded_with_weights(
            str(sum), base=str(base)
        )  # fmt: skip
        _check_one_base(adapters, same_base)
        loaded = load_base(str(base), dtype=dtype, device=_device_of(device))
        # Switched on for each call alone: other sums may stand on the same base.
        self._superposed = SuperposedModel(loaded.model, adapters)
        self._of = {"base": loaded.name, "sum": str(sum), "adapters": [a.name for a in adapters]}
        super().__init__(
            pretrained=loaded.model, tokenizer=loaded.tokenizer, backend="causal",
            batch_size=batch_size, max_batch_size=max_batch_size, **options,
        )  # fmt: skip

    def _model_call(self, *args: Any, **options: Any) -> Any:
        with self._superposed.at(self._weights):
            return super()._model_call(*args, **options)

    def _model_generate(self, *args: Any, **options: Any) -> Any:
        with self._superposed.at(self._weights):
            return super()._model_generate(*args, **options)

    def get_model_info(self) -> dict[str, Any]:
        """Give what the harness writes of the model beside its results."""
        return {**super().get_model_info(), "superpose": self._of}

    def remove(self) -> None:
        """Take the adapters off the base model."""
        self._superposed.remove()


def evaluate_sums(
    base: str,
    sums: Iterable[str] | Mapping[str, Mapping[str, float]],
    tasks: Sequence[Any],
    *,
    model: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate several sums over one loaded base: sum -> what `lm_eval.simple_evaluate` gives.

    sums: as they are written; or names of sums, and of each the adapters with their task weights.
    model: further arguments of `SuperposeLM`. options: of `simple_evaluate`.

    Raises as `SuperposeLM` does and BadSetting for `use_cache`, in which the harness tells no two
    models apart.

    >>> evaluate_sums("smollm2", ["math", "math + medicine"], ["sciq"])  # doctest: +SKIP
    """
    import lm_eval
    from lm_eval.tasks import TaskManager

    if options.get("use_cache"):
        raise no_cache()
    written = sums.items() if isinstance(sums, Mapping) else ((text, text) for text in sums)
    if "task_manager" not in options:  # reads the harness's thousands of tasks: once is enough
        options["task_manager"] = TaskManager()
    found: dict[str, Any] = {}
    for name, asked in written:
        text = asked if isinstance(asked, str) else write_sum(asked.items())
        one = SuperposeLM(base, text, **(model or {}))
        try:
            found[name] = lm_eval.simple_evaluate(model=one, tasks=list(tasks), **options)
        finally:
            one.remove()
    return found


def no_cache() -> BadSetting:
    """Say that the harness's cache of answers is one for all models."""
    return BadSetting(
        "keeps answers by the question alone: the second sum would be given those of the first",
        where="use_cache",
        hint="Leave it out, or evaluate one sum a run, each with a cache of its own.",
    )


def _device_of(name: str | None) -> str | None:
    """Give the device that is meant: the harness names a GPU where nobody named a device.

    Its `hf` takes the CPU where there is none, and so is it here.
    """
    import torch

    absent = name is not None and name.startswith("cuda") and not torch.cuda.is_available()
    return None if absent else name


def _check_one_base(adapters: Sequence[Adapter], same_base: bool) -> None:
    """Raise DifferentBase for adapters of two base models, with what the harness can be told."""
    from superpose.adapter import check_same_base

    try:
        check_same_base(adapters, same_base)
    except DifferentBase as error:
        told = "If they are of one base model, say so: --model_args ...,same_base=True"
        error.hint = told if "--same-base" in (error.hint or "") else error.hint
        raise


def _check_arguments(base: str, sum_: str, options: Mapping[str, Any]) -> None:
    if not base:
        raise BadSetting("is missing", where="base", hint="--model_args base=BASE,sum=A+0.5*B")
    unknown = [name for name in options if name not in _PASSED]
    if unknown:
        raise BadSetting(
            f"is no argument of the model `superpose`; there are base, sum, dtype, "
            f"same_base, {', '.join(sorted(_PASSED))}",
            where=unknown[0],
            hint="What a sum cannot have, a written one can: superpose add or bake, then "
            "--model hf.",
        )
    if ";" in str(sum_):
        raise BadSetting(
            "is several sums, and one model of the harness is one of them",
            where="sum",
            hint="python -m superpose.harness, with the same arguments, evaluates one after the "
            "other.",
        )
