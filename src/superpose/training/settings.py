"""What can be set about an adapter and its training, in Python, in the shell and in a study file.

Frozen dataclasses whose fields carry default, help and bounds; pydantic holds what was given
against these where it comes from people (`checked`, a study file).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from superpose.errors import BadSetting
from superpose.option import Option

if TYPE_CHECKING:
    from pydantic import ConfigDict

__all__ = ["MAX_TOKENS", "STRICT", "LoraSettings", "TrainingSettings", "checked"]

MAX_TOKENS = 128
"""Longest question and answer, in tokens, where nothing else is said."""

STRICT: ConfigDict = {"extra": "forbid", "frozen": True, "allow_inf_nan": False}
"""How pydantic reads everything that people write: an unknown key is an error."""


@dataclass(frozen=True)
class LoraSettings:
    """The adapter: PEFT's LoraConfig, in its words where they are short.

    targets: names of target modules, or ends of them, or `all-linear`; none for what PEFT knows for
    the architecture.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    rank: Annotated[int, Option("Rank r of every target module.", bounds={"ge": 1})] = 4
    alpha: Annotated[
        float, Option("lora_alpha; the scaling is alpha / rank.", bounds={"gt": 0})
    ] = 64
    dropout: Annotated[
        float, Option("Dropout on the adapter's input.", bounds={"ge": 0, "lt": 1})
    ] = 0.1
    targets: Annotated[
        tuple[str, ...], Option("q_proj,v_proj ..., or all-linear; default PEFT's.", separator=",")
    ] = ()
    rslora: Annotated[bool, Option("Scaling alpha / sqrt(rank).", ("--rslora",))] = False


@dataclass(frozen=True)
class TrainingSettings:
    """The optimisation: transformers' TrainingArguments, the common ones by short names."""

    __pydantic_config__: ClassVar[Any] = STRICT

    epochs: Annotated[float, Option("Passes over the rows.", bounds={"gt": 0})] = 1
    learning_rate: Annotated[
        float, Option("After the warm-up.", ("--learning-rate", "--lr"), bounds={"gt": 0})
    ] = 3e-4
    batch_size: Annotated[int, Option("Rows a step and process.", bounds={"ge": 1})] = 8
    scheduler: Annotated[str, Option("lr_scheduler_type.", in_shell=False)] = "linear"
    warmup_steps: Annotated[
        float, Option("Steps, or below 1 a share of them.", bounds={"ge": 0}, in_shell=False)
    ] = 0.0
    weight_decay: Annotated[
        float, Option("As AdamW takes it.", bounds={"ge": 0}, in_shell=False)
    ] = 0.0
    trainer: Annotated[
        dict[str, Any],
        Option(
            "Any of transformers' TrainingArguments, repeatable: --trainer report_to=wandb "
            "--trainer lr_scheduler_type=cosine --trainer warmup_steps=0.1."
        ),
    ] = field(default_factory=dict)


T = TypeVar("T", LoraSettings, TrainingSettings)


def checked(settings: T) -> T:
    """Give settings as they are trained with. Raises BadSetting naming one that cannot be used."""
    import pydantic

    try:
        return pydantic.TypeAdapter(type(settings)).validate_python(asdict(settings))
    except pydantic.ValidationError as error:
        found = error.errors()[0]
        raise BadSetting(found["msg"], where=found["loc"][0]) from None
