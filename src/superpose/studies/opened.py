"""A study that is open: its base model, its rows as tokens, its cells and its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter
from superpose.data.choices import ChoiceQuestion
from superpose.data.domain import Domain, fingerprint
from superpose.data.prompt import CHAT, Example, Prompt
from superpose.errors import BadInput, BadSetting
from superpose.formats import load
from superpose.landscape.forecast import MOST
from superpose.measure.lambda_space import FEWEST
from superpose.model import load_base
from superpose.studies.cells import StudyCell, cells_of_seed
from superpose.studies.folder import StudyFolder
from superpose.studies.rows import load_domain
from superpose.studies.spec import StudySpec
from superpose.training.refused import check_targets, check_trainer
from superpose.training.reporter import Reporter

__all__ = ["OpenedStudy"]

BASE_CELL = StudyCell("base", (), None)
TRAINING_WORK = 3.0
"""A training token costs about three forward tokens: forward, and back through activations."""


@contextmanager
def _as_key(section: str) -> Iterator[None]:
    """Let a setting that cannot be used be named as the study file names it."""
    try:
        yield
    except BadSetting as error:
        raise BadInput(error.problem, where=f"{section}.{error.where}", hint=error.hint) from None


class OpenedStudy:
    """A study and its folder.

    spec: what to do. out: the folder; one that holds this study's cells is gone on with.
    relative_to: the folder that the spec's paths are relative to. reporter: told of progress.
    """

    def __init__(
        self,
        spec: StudySpec,
        out: str | Path,
        *,
        relative_to: str | Path = ".",
        reporter: Reporter | None = None,
    ) -> None:
        self.spec = spec
        self.folder = StudyFolder(out)
        self.relative_to = Path(relative_to)
        self.reporter = reporter or Reporter()

    @cached_property
    def base(self) -> Any:
        """The loaded base model; a folder is looked for beside the study file."""
        spec, beside = self.spec, self.relative_to
        try:
            return load_base(spec.base, dtype=spec.dtype, device=spec.device, beside=beside)
        except BadSetting as error:  # the shell has no such option
            raise BadInput(error.problem, where=error.where, hint=error.hint) from None

    @cached_property
    def prompt(self) -> Prompt:
        """How this study turns rows into tokens."""
        return self.spec.prompt.prompt(self.base.tokenizer, self.base.name, self.relative_to)

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The domains, read and split."""
        return {
            name: load_domain(name, settings, self.spec, self.relative_to, self.prompt)
            for name, settings in self.spec.domains.items()
        }

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What each domain's rows are asked in, for JSON."""
        rows = {n: (*d.train, *d.test, *d.calibration) for n, d in self.domains.items()}
        return self.prompt.to_json(rows)

    def asked_of(self, names: Sequence[str]) -> dict[str, Any]:
        """What the training rows of these domains together are asked in, for JSON."""
        return self.prompt.to_json({"rows": [r for n in names for r in self.domains[n].train]})

    @property
    def asking(self) -> dict[str, Any]:
        """The prompt's settings, and where rows are not all in one plain template their own."""
        found = self.spec.prompt.model_dump(mode="json")
        used = {template for of in self.asked["templates"].values() for template in of}
        one = len(used) == 1 and CHAT not in used
        return found | ({"template": used.pop()} if one else self.asked)

    @cached_property
    def train_examples(self) -> dict[str, list[Example]]:
        """Training rows as tokens, by domain."""
        return {n: self.prompt.encode_all(d.train, n) for n, d in self.domains.items()}

    @cached_property
    def test_examples(self) -> dict[str, list[Example]]:
        """Test rows as tokens, by domain."""
        return {n: self.prompt.encode_all(d.test, n) for n, d in self.domains.items()}

    @cached_property
    def test_choices(self) -> dict[str, list[ChoiceQuestion]]:
        """Test rows with choices as tokens, by domain."""
        asked = {n: map(self.prompt.encode_choices, d.test) for n, d in self.domains.items()}
        return {n: [q for q in questions if q is not None] for n, questions in asked.items()}

    @cached_property
    def calibration_examples(self) -> dict[str, list[Example]]:
        """Calibration rows as tokens, by domain."""
        return {n: self.prompt.encode_all(d.calibration, n) for n, d in self.domains.items()}

    @property
    def has_forecast(self) -> bool:
        """Whether there are no more domains than it takes, each with calibration rows enough."""
        rows = self.calibration_examples.values()
        return len(rows) <= MOST and all(len(of_domain) >= FEWEST for of_domain in rows)

    @property
    def cells(self) -> list[StudyCell]:
        """Every cell of the study, in the order in which they are worked off."""
        names = list(self.spec.domains)
        subsets, tuned = self.spec.chosen_subsets, self.has_forecast
        wanted = {"merged": self.spec.merged, "methods": self.spec.methods}
        of_seeds = [
            cells_of_seed(names, seed, subsets=subsets, tuned=tuned, **wanted)
            for seed in self.spec.seeds
        ]
        return [BASE_CELL, *(cell for of_seed in of_seeds for cell in of_seed)]

    def adapters(self, seed: int) -> list[Adapter]:
        """The single adapters of a seed, each under its domain's name."""
        paths = {domain: self.adapter_path(domain, seed) for domain in self.spec.domains}
        return [replace(load(path), name=domain) for domain, path in paths.items()]

    def identity(self) -> dict[str, Any]:
        """What makes two folders hold the same study.

        More seeds, baselines, methods and subsets only extend it, and so does a forecast. Where it
        is done is no part of it.
        """
        extending = {"name", "seeds", "domains", "merged", "methods", "subsets", "device"}
        extending.add("calibration_rows")
        # As a folder that is older than these keys has them.
        fields = StudySpec.model_fields
        later = ("exact_match", "dtype")
        extending.update(k for k in later if getattr(self.spec, k) == fields[k].default)
        spec = self.spec.model_dump(mode="json", exclude=extending) | {"prompt": self.asking}
        data = {
            name: {"train": fingerprint(domain.train), "test": fingerprint(domain.test)}
            for name, domain in self.domains.items()
        }
        identity = spec | {"data": data, "order": list(data)}
        if self.has_forecast:
            rows = {name: fingerprint(domain.calibration) for name, domain in self.domains.items()}
            identity["calibration"] = rows
        return identity

    def check_settings(self) -> None:
        """Raise BadInput where the base has no such target modules, or the Trainer no such keys."""
        with _as_key("lora"):
            check_targets(self.base, self.spec.lora.targets)
        with _as_key("training"):
            check_trainer(self.spec.training.trainer)

    def notes(self) -> dict[str, dict[str, int]]:
        """What a reader has to know of the data: how many answers were cut, or left out."""
        return {
            name: {
                "train_rows": len(self.train_examples[name]),
                "test_rows": len(self.test_examples[name]),
                "calibration_rows": len(self.calibration_examples[name]),
                "cut_train_rows": sum(example.cut for example in self.train_examples[name]),
                "cut_test_rows": sum(example.cut for example in self.test_examples[name]),
                "left_out_rows": domain.left_out,
            }
            for name, domain in self.domains.items()
        }

    def adapter_path(self, domain: str, seed: int) -> Path:
        """Where a domain's own adapter of a seed lies."""
        return self.folder.path / StudyCell("single", (domain,), seed).adapter

    def test_tokens(self, domain: str) -> float:
        """Give the forward tokens of a domain's test, answers that are said as long as allowed."""
        examples = self.test_examples[domain]
        read = sum(example.length for example in examples)
        return float(read + len(examples) * self.spec.exact_match)

    def training_work(self, cell: StudyCell) -> float:
        """Give the work of a cell's training in forward tokens."""
        tokens = sum(example.length for example in self.training_rows(cell))
        # As many steps as a single adapter see that share of the rows.
        share = 1 / len(cell.domains) if cell.method == "merged_steps" else 1.0
        return TRAINING_WORK * tokens * self.spec.training.epochs * share

    def training_rows(self, cell: StudyCell) -> list[Example]:
        """Give the rows that a cell's adapter is trained on, as tokens."""
        return [example for name in cell.domains for example in self.train_examples[name]]
