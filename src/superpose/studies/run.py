"""Run a study: train, check, forecast, add, evaluate, cell by cell, going on where it was stopped.

For every seed: one adapter a domain, a forecast of their sums, the sum of every subset (with task
weights 1, their average, and tuned), and the merged-data baselines of every subset; each of these
models is scored on every domain. The base is loaded once; adapters are put in and taken out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter
from superpose.data.domain import Domain, fingerprint
from superpose.data.prompt import Example, Prompt
from superpose.formats import load
from superpose.interference import check
from superpose.measure.evaluate import Score, score
from superpose.measure.lambda_space import FEWEST
from superpose.model import SuperposedModel, load_base
from superpose.studies.baseline import baseline_settings
from superpose.studies.cells import WEIGHTED, StudyCell, cell_seed, cells_of_seed
from superpose.studies.folder import DOMAINS, StudyFolder
from superpose.studies.forecasting import forecast_file, forecast_json, forecast_tokens
from superpose.studies.spec import StudySpec, load_domain
from superpose.training.reporter import Reporter
from superpose.training.train import RECORD, train

__all__ = ["Study"]

BASE_CELL = StudyCell("base", (), None)
TRAINING_WORK = 3.0
"""A training token costs about three forward tokens: forward, and back through activations."""


class Study:
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
        return load_base(self.spec.base, beside=self.relative_to)

    @cached_property
    def prompt(self) -> Prompt:
        """How this study turns rows into tokens."""
        settings = self.spec.prompt
        return Prompt(
            self.base.tokenizer, max_tokens=settings.max_tokens, template=settings.template
        )

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The domains, read and split."""
        return {
            name: load_domain(name, settings, self.spec, self.relative_to, self.prompt)
            for name, settings in self.spec.domains.items()
        }

    @cached_property
    def train_examples(self) -> dict[str, list[Example]]:
        """Training rows as tokens, by domain."""
        return {n: self.prompt.encode_all(d.train, n) for n, d in self.domains.items()}

    @cached_property
    def test_examples(self) -> dict[str, list[Example]]:
        """Test rows as tokens, by domain."""
        return {n: self.prompt.encode_all(d.test, n) for n, d in self.domains.items()}

    @cached_property
    def calibration_examples(self) -> dict[str, list[Example]]:
        """Calibration rows as tokens, by domain."""
        return {n: self.prompt.encode_all(d.calibration, n) for n, d in self.domains.items()}

    @property
    def has_forecast(self) -> bool:
        """Whether every domain has calibration rows enough."""
        return all(len(domain.calibration) >= FEWEST for domain in self.domains.values())

    @property
    def cells(self) -> list[StudyCell]:
        """Every cell of the study, in the order in which they are worked off."""
        names, wanted = list(self.spec.domains), {"merged": self.spec.merged}
        of_seeds = [
            cells_of_seed(names, seed, tuned=self.has_forecast, **wanted)
            for seed in self.spec.seeds
        ]
        return [BASE_CELL, *(cell for of_seed in of_seeds for cell in of_seed)]

    def run(self) -> None:
        """Do what is not done yet. Raises BadInput where the folder holds another study."""
        self.folder.claim(self.identity())
        with self.folder.locked():
            self._run()

    def _run(self) -> None:
        self.folder.write(DOMAINS, self._notes())
        todo = [cell for cell in self.cells if not self.is_done(cell)]
        forecasts = self._forecast_work(self.spec.seeds)
        left = self._forecast_work([s for s in self.spec.seeds if not self._has_forecast_of(s)])
        self.reporter.plan(
            sum(map(self._work, self.cells)) + forecasts,
            sum(map(self._work, todo)) + left,
            len(self.cells),
        )
        self._evaluate_group([cell for cell in todo if cell.method == "base"])
        for seed in self.spec.seeds:
            of_seed = [cell for cell in todo if cell.seed == seed]
            self._train_missing([cell for cell in of_seed if cell.method == "single"])
            self._check(seed)
            self._forecast(seed)
            # Singles and sums are one superposed model at different task weights.
            self._evaluate_group([cell for cell in of_seed if cell.method in WEIGHTED])
            for cell in of_seed:
                if cell.method not in WEIGHTED:
                    self._train_missing([cell])
                    self._evaluate_group([cell])

    def adapters(self, seed: int) -> list[Adapter]:
        """The single adapters of a seed, each under its domain's name."""
        paths = {domain: self.adapter_path(domain, seed) for domain in self.spec.domains}
        return [replace(load(path), name=domain) for domain, path in paths.items()]

    def is_done(self, cell: StudyCell) -> bool:
        """Whether a cell's adapter and evaluation lie in the folder."""
        trained = not cell.trained or self.folder.is_trained(cell)
        return trained and self.folder.is_evaluated(cell)

    def identity(self) -> dict[str, Any]:
        """What makes two folders hold the same study.

        More seeds and baselines only extend it, and so does a forecast.
        """
        extending = {"name", "seeds", "domains", "merged", "calibration_rows"}
        spec = self.spec.model_dump(mode="json", exclude=extending)
        data = {
            name: {"train": fingerprint(domain.train), "test": fingerprint(domain.test)}
            for name, domain in self.domains.items()
        }
        identity = spec | {"data": data, "order": list(data)}
        if self.has_forecast:
            rows = {name: fingerprint(domain.calibration) for name, domain in self.domains.items()}
            identity["calibration"] = rows
        return identity

    def _notes(self) -> dict[str, dict[str, int]]:
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

    def _work(self, cell: StudyCell) -> float:
        """What is still to be done for a cell, or all of it, in forward tokens."""
        training = cell.trained and not self.folder.is_trained(cell)
        return self._test_tokens + (self._training_work(cell) if training else 0.0)

    @cached_property
    def _test_tokens(self) -> int:
        return sum(example.length for rows in self.test_examples.values() for example in rows)

    def _training_work(self, cell: StudyCell) -> float:
        tokens = sum(example.length for example in self._training_rows(cell))
        # As many steps as a single adapter see that share of the rows.
        share = 1 / len(cell.domains) if cell.method == "merged_steps" else 1.0
        return TRAINING_WORK * tokens * self.spec.training.epochs * share

    def _training_rows(self, cell: StudyCell) -> list[Example]:
        return [example for name in cell.domains for example in self.train_examples[name]]

    def _train_missing(self, cells: Sequence[StudyCell]) -> None:
        for cell in cells:
            if self.folder.is_trained(cell):
                continue
            assert cell.seed is not None
            steps = self._single_steps(cell) if cell.method == "merged_steps" else 0
            spec = self.spec
            lora, training = baseline_settings(cell, spec.lora, spec.training, steps)
            step = self.reporter.steps(f"train {cell.label}", self._training_work(cell))
            trained = train(
                self.base,
                self._training_rows(cell),
                self.folder.path / cell.adapter,
                lora=lora,
                training=training,
                seed=cell_seed(cell.seed, cell.name),
                progress=step,
            )
            self.reporter.finish(f"trained {cell.label}", trained.seconds)

    def _single_steps(self, cell: StudyCell) -> int:
        """Optimiser steps that the own adapters of a cell's domains had; all have as many rows."""
        own = [StudyCell("single", (name,), cell.seed) for name in cell.domains]
        steps = (self.folder.read(f"{single.adapter}/{RECORD}")["steps"] for single in own)
        return max(map(int, steps))

    def _check(self, seed: int) -> None:
        """Write what the weights of a seed's adapters tell, for every pair and all together."""
        name = f"cells/seed-{seed}/check.json"
        if not (self.folder.path / name).exists():
            self.folder.write(name, check(self.adapters(seed)).to_json())

    def _has_forecast_of(self, seed: int) -> bool:
        return (self.folder.path / forecast_file(seed)).exists()

    def _forecast_work(self, seeds: Sequence[int]) -> float:
        return len(seeds) * forecast_tokens(self.calibration_examples) if self.has_forecast else 0.0

    def _forecast(self, seed: int) -> None:
        """Write what the calibration rows tell of every sum of a seed's adapters."""
        if not self.has_forecast or self._has_forecast_of(seed):
            return
        label = f"forecast (seed {seed})"
        self.reporter.start(label)
        found = forecast_json(
            self.base, self.adapters(seed), self.calibration_examples, self.reporter.advance
        )
        self.folder.write(forecast_file(seed), found)
        self.reporter.finish(label, found["calibration"]["seconds"])

    def _evaluate_group(self, cells: Sequence[StudyCell]) -> None:
        """Score cells that are one superposed model at different task weights."""
        todo = [cell for cell in cells if not self.folder.is_evaluated(cell)]
        if not todo:
            return
        weights = {cell: self._weights(cell) for cell in todo}
        # In one order whatever is left to do: another order of summation rounds otherwise.
        paths = sorted({path for cell in todo for path in self._parts(cell, weights[cell])})
        with SuperposedModel(self.base.model, [load(path) for path in paths]) as model:
            for cell in todo:
                parts = self._parts(cell, weights[cell])
                started = time.perf_counter()
                with model.at([parts.get(path, 0.0) for path in paths]) as weighted:
                    scores = self._scores(cell, weighted)
                seconds = time.perf_counter() - started
                self.folder.write_scores(cell, scores, weights[cell], seconds)
                self.reporter.finish(f"evaluated {cell.label}", seconds)

    def _weights(self, cell: StudyCell) -> dict[str, float]:
        """The task weights of a superposition, by domain; none for a merged-data adapter."""
        if cell.method == "tuned":
            assert cell.seed is not None
            tuned = self.folder.read(forecast_file(cell.seed))["tuned"]
            return dict(tuned["+".join(cell.domains)])
        if cell.method not in WEIGHTED:
            return {}
        weight = 1.0 / len(cell.domains) if cell.method == "average" else 1.0
        return dict.fromkeys(cell.domains, weight)

    def _parts(self, cell: StudyCell, weights: Mapping[str, float]) -> dict[Path, float]:
        """The adapters whose weighted sum a cell's model is."""
        if cell.trained:
            return {self.folder.path / cell.adapter: 1.0}
        assert cell.seed is not None or not weights
        return {self.adapter_path(name, cell.seed or 0): w for name, w in weights.items()}

    def _rows_of(self, tokens: float) -> Callable[[int], None]:
        return lambda rows: self.reporter.advance(rows * tokens)

    def _scores(self, cell: StudyCell, model: Any) -> dict[str, Score]:
        self.reporter.start(f"evaluate {cell.label}")
        scores = {}
        for name, examples in self.test_examples.items():
            tokens = sum(example.length for example in examples) / len(examples)
            scores[name] = score(model, examples, progress=self._rows_of(tokens))
        return scores
