"""The study file: one YAML file says everything that a study is.

Paths in it are relative to the file's own folder. An unknown key is refused, and the error
names the key that was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import pydantic
from pydantic import Field

from superpose.compose import FROM_DATA
from superpose.errors import BadInput
from superpose.files.text import with_an_end
from superpose.shown.words import meant
from superpose.studies.cells import BASELINES, MERGED_BY, SUMS, StudyCell, chosen_subsets
from superpose.studies.prompt_settings import PromptSettings, Settings
from superpose.studies.subsets import Subsets, check_subsets
from superpose.training.settings import LoraSettings, TrainingSettings
from superpose.training.yaml_text import yaml_value

__all__ = ["DomainSettings", "StudySpec", "load_spec", "spec_of"]

_LARGEST = 200_000
"""Bytes of a study file: Python reads them for seconds."""

LONGEST_NAME = 200
"""Bytes of a file's name that domains may take; 255 are all, and an ending stands behind them."""

Seed: TypeAlias = Annotated[int, Field(gt=-(2**63), lt=2**63)]


_TUNED_BY = " with calibration rows, its weights found by their forecast"


class DomainSettings(Settings):
    """Where a domain's rows come from: one source that is split, or two that are split already.

    A source is a question file, a hub data set, or `demo:NAME` for the demo's generator.
    """

    data: str | None = None
    train: str | None = None
    test: str | None = None
    question: str = "question"
    answer: str = "answer"
    choices: str = "choices"
    train_split: str = "train"
    test_split: str = "test"

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.data is None) == (self.train is None and self.test is None):
            raise ValueError("give either `data`, or `train` and `test`")
        if self.data is None and (self.train is None or self.test is None):
            raise ValueError("`train` and `test` go together")
        return self


class StudySpec(Settings):
    """A study: domains x subsets x methods x seeds on one base model."""

    name: str = Field(description="also its folder under runs/")
    base: str = "smollm2"
    domains: dict[str, DomainSettings] = Field(min_length=2)
    train_rows: int = Field(256, ge=1)
    test_rows: int = Field(100, ge=1)
    calibration_rows: int = Field(
        32, ge=0, description="rows a domain that a forecast is made from; 0: no forecast"
    )
    merged: tuple[Literal["epochs", "steps", "rank"], ...] = Field(
        ("epochs",), description="merged-data baselines; `epochs` is what sums are counted against"
    )
    methods: tuple[str, ...] = Field(
        (), description="merge methods beside naive, average and tuned sums, such as regmean"
    )
    exact_match: int = Field(
        0,
        ge=0,
        description="tokens that a model may say to each test question, answered greedily; 0: none",
    )
    subsets: Subsets = Field(
        "all",
        description="what is added: all, pairs, or a list of sizes and of lists of domains; the "
        "sum of all domains is always among them",
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="of the base's weights in memory"
    )
    device: str | None = Field(
        None, description="cpu, cuda, ...; left out, an accelerator where torch finds one"
    )
    split_seed: Seed = 0
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    prompt: PromptSettings = PromptSettings()
    lora: LoraSettings = LoraSettings()
    training: TrainingSettings = TrainingSettings()

    @pydantic.field_validator("name")
    @classmethod
    def _of_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w .-]*", name):
            raise ValueError(
                f"{name!r} is no name of a study: letters, digits, `_`, `.`, `-` and spaces, a "
                "letter or digit first, since its folder has that name"
            )
        if len(name.encode()) > LONGEST_NAME:
            raise ValueError(f"longer than the {LONGEST_NAME} bytes that a folder's name may have")
        return name

    @pydantic.field_validator("domains")
    @classmethod
    def _plain_names(cls, domains: dict[str, DomainSettings]) -> dict[str, DomainSettings]:
        for name in domains:
            if not name.isprintable():
                raise ValueError(f"a domain cannot be named {name!r}: files have its name")
            if not name or any(c in name for c in "+/\\:,") or name.startswith("."):
                raise ValueError(f"a domain cannot be named {name!r}: no + / \\ : , in it")
            if name == "union":
                raise ValueError("`union` names the union of a subset's domains")
        return domains

    @pydantic.field_validator("merged")
    @classmethod
    def _with_the_first(cls, merged: tuple[str, ...]) -> tuple[str, ...]:
        if "epochs" not in merged or len(set(merged)) < len(merged):
            raise ValueError("`epochs` once, and beside it `steps` or `rank` or both")
        return merged

    @pydantic.field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            if name in SUMS:
                raise ValueError(
                    f"`{name}` stands in every study{_TUNED_BY if name == 'tuned' else ''}; "
                    f"beside it may stand {', '.join(MERGED_BY)}"
                )
            if name not in MERGED_BY:
                raise ValueError(f"`{name}` is none of {', '.join(MERGED_BY)}")
        if len(set(methods)) < len(methods):
            raise ValueError("a method stands twice")
        return methods

    @pydantic.model_validator(mode="after")
    def _with_rows(self) -> Self:
        asking = [name for name in self.methods if name in FROM_DATA]
        if asking and self.calibration_rows < 1:
            raise ValueError(f"`{asking[0]}` needs calibration_rows")
        return self

    @pydantic.model_validator(mode="after")
    def _of_these_domains(self) -> Self:
        check_subsets(self.subsets, list(self.domains))
        return self

    @pydantic.model_validator(mode="after")
    def _in_file_names(self) -> Self:
        longest = max((*SUMS, *self.methods, *BASELINES.values()), key=len)
        taken = len(StudyCell(longest, tuple(self.domains), None).name.encode())
        if taken > LONGEST_NAME:
            raise ValueError(
                f"the domains' names are too long: files of the sum of all have them in their "
                f"names, {taken} bytes of at most {LONGEST_NAME}"
            )
        return self

    @property
    def chosen_subsets(self) -> list[tuple[str, ...]]:
        """What is added, and trained on together."""
        return chosen_subsets(list(self.domains), self.subsets)

    @pydantic.field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice")
        return seeds


def load_spec(path: str | Path) -> StudySpec:
    """Read a study file. Raises BadInput naming the line (YAML) or the key that is wrong."""
    return spec_of(_read_yaml(Path(path)), path)


def spec_of(content: object, where: object) -> StudySpec:
    """Give the study that a mapping describes. Raises BadInput naming the key that is wrong.

    where: what an error calls it.
    """
    if not isinstance(content, Mapping):
        raise BadInput("a study file holds keys and values", where=where)
    try:
        spec = StudySpec.model_validate(content)
    except pydantic.ValidationError as error:
        raise _explained(error, where) from None
    for place, given in _taken_for_numbers(content, spec):
        raise BadInput(f"{str(given).lower()} is no number", where=f"{where}, {place}")
    return spec


def _taken_for_numbers(given: object, taken: object, place: str = "") -> Iterator[tuple[str, bool]]:
    """Give each place where `true` or `false` stands for a number: pydantic makes it 1 or 0."""
    if isinstance(given, bool):
        if not isinstance(taken, bool):
            yield place.removeprefix("."), given
    elif isinstance(given, Mapping):
        for key, value in given.items():
            own = taken[key] if isinstance(taken, Mapping) else getattr(taken, str(key))
            yield from _taken_for_numbers(value, own, f"{place}.{key}")
    elif isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        for number, pair in enumerate(zip(given, taken, strict=True)):
            yield from _taken_for_numbers(*pair, f"{place}.{number}")


def _read_yaml(path: Path) -> object:
    try:
        if with_an_end(path).stat().st_size > _LARGEST:
            raise BadInput(f"larger than {_LARGEST:,} bytes; is it a study file?", where=path)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput("there is no such study file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"it cannot be read: {error}", where=path) from None
    return yaml_value(text, path)


def _explained(error: pydantic.ValidationError, where: object) -> BadInput:
    """The first thing pydantic found, in the words of the file.

    A key that is unknown goes before one that is missing: it may be that one, misspelled.
    """
    found = min(error.errors(), key=lambda each: each["type"] not in _UNKNOWN_KEY)
    place = ".".join(str(part) for part in found["loc"])
    if found["type"] not in _UNKNOWN_KEY:
        message = _IN_YAML.get(found["type"]) or found["msg"].removeprefix("Value error, ")
        if isinstance(given := found["input"], str | int | float) and found["type"] in _IN_YAML:
            message = f"{given!r} is {message}"
        if found["type"] == "too_short":
            message = f"too few: {found['ctx']['min_length']} at least are needed"
        return BadInput(message, where=f"{where}, {place}" if place else where)
    known = _keys_at(found["loc"][:-1])
    hint = meant(str(found["loc"][-1]), known).strip() or f"Known here: {', '.join(known)}."
    return BadInput(f"unknown key `{place}`", where=where, hint=hint)


_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")

_IN_YAML = {
    "missing": "this key has to be there",
    "tuple_type": "no list: write [...]",
    "list_type": "no list: write [...]",
    "dict_type": "no mapping of keys to values",
    "model_type": "no mapping of keys to values",
    "dataclass_type": "no mapping of keys to values",
}
"""What pydantic finds -> how YAML is spoken of."""


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    model: Any = StudySpec
    for part in location:
        if model is StudySpec and part == "domains":
            model = dict[str, DomainSettings]
        elif model == dict[str, DomainSettings]:
            model = DomainSettings
        else:
            model = model.model_fields[str(part)].annotation
    held = fields(model) if is_dataclass(model) else ()
    return sorted([f.name for f in held] or model.model_fields)
