"""What does a study's tasks: it trains, checks, forecasts and evaluates, and leaves files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from superpose.errors import BadInput
from superpose.formats import load
from superpose.interference import check
from superpose.measure.domain_test import DomainTest
from superpose.measure.evaluate import Score
from superpose.model import SuperposedModel
from superpose.studies.baseline import baseline_settings
from superpose.studies.cells import MERGED_BY, WEIGHTED, StudyCell, cell_seed, domain_subsets
from superpose.studies.forecasting import check_file, forecast_file, forecast_json
from superpose.studies.merged_by import merged_by
from superpose.studies.opened import OpenedStudy
from superpose.training.train import RECORD, train

__all__ = ["StudyBench"]


FEW_DOMAINS = 6


class StudyBench:
    """Does the tasks of a study, each by the name of its kind.

    One superposed model is held as long as tasks of the same adapters come in a row: singles and
    sums are one model at different task weights.
    """

    def __init__(self, study: OpenedStudy) -> None:
        self.study = study
        self._paths: tuple[Path, ...] = ()
        self._model: SuperposedModel | None = None

    def do(self, kind: str, what: Any) -> None:
        """Do a task.

        kind: `train`, `evaluate` (what: a cell), `evaluate on` (a cell and a domain that joined
        later), `check`, `forecast` (a seed).
        """
        kinds: Mapping[str, Callable[[Any], None]] = {
            "train": self._train,
            "evaluate": self._evaluate,
            "evaluate on": lambda found: self._evaluate(*found),
            "check": self._check,
            "forecast": self._forecast,
        }
        kinds[kind](what)

    def clear(self) -> None:
        """Give the base back as it was."""
        if self._model is not None:
            self._model.remove()
        self._model, self._paths = None, ()

    def _train(self, cell: StudyCell) -> None:
        self.clear()
        study = self.study
        assert cell.seed is not None
        steps = self._single_steps(cell) if cell.method == "merged_steps" else 0
        lora, training = baseline_settings(cell, study.spec.lora, study.spec.training, steps)
        trained = train(
            study.base,
            study.training_rows(cell),
            study.folder.path / cell.adapter,
            lora=lora,
            training=training,
            seed=cell_seed(cell.seed, cell.name),
            prompt=(asked := study.asked_of(cell.domains)),
            chat=study.prompt.chat if asked["chat_template"] else None,
            progress=study.reporter.steps(f"train {cell.label}", study.training_work(cell)),
        )
        study.reporter.finish(f"trained {cell.label}", trained.seconds)

    def _single_steps(self, cell: StudyCell) -> int:
        """Optimiser steps that the own adapters of a cell's domains had; all have as many rows."""
        own = [StudyCell("single", (name,), cell.seed) for name in cell.domains]
        steps = (self.study.folder.read(f"{single.adapter}/{RECORD}")["steps"] for single in own)
        return max(map(int, steps))

    def _check(self, seed: int) -> None:
        """Write what the weights of a seed's adapters tell, for every pair and all together."""
        self.study.folder.write(check_file(seed), check(self.study.adapters(seed)).to_json())

    def _forecast(self, seed: int) -> None:
        """Write what the calibration rows tell of every sum of a seed's adapters."""
        self.clear()
        study, label = self.study, f"forecast (seed {seed})"
        study.reporter.start(label)
        found = forecast_json(
            study.base,
            study.adapters(seed),
            study.calibration_examples,
            self._foretold,
            study.reporter.advance,
        )
        study.folder.write(forecast_file(seed), found)
        study.reporter.finish(label, found["calibration"]["seconds"])

    @property
    def _foretold(self) -> list[tuple[str, ...]]:
        """The subsets whose weights a forecast keeps: of few domains all, as studies grow."""
        domains = list(self.study.spec.domains)
        few = len(domains) <= FEW_DOMAINS
        return domain_subsets(domains) if few else self.study.spec.chosen_subsets

    def _evaluate(self, cell: StudyCell, joined: str = "") -> None:
        """Score a cell's model on every domain, or on one that joined when that was done."""
        folder, domains = self.study.folder, list(self.study.spec.domains)
        weights = folder.read_weights(cell) if joined else self._weights(cell)
        on, file = ([joined], folder.added_file(cell, joined)) if joined else (domains, cell.file)
        if cell.method in MERGED_BY:
            self.clear()
            self.study.reporter.start(f"merge {cell.label}")
            merged = merged_by(self.study, cell, self.study.reporter.advance)
            started = time.perf_counter()
            with SuperposedModel(self.study.base.model, [merged]) as model, model.at([1.0]) as at:
                scores = self._scores(cell, at, on)
        else:
            parts = self._parts(cell, weights)
            model = self._superposed(self._beside(cell, parts))
            started = time.perf_counter()
            with model.at([parts.get(path, 0.0) for path in self._paths]) as at:
                scores = self._scores(cell, at, on)
        seconds = time.perf_counter() - started
        folder.write_scores(cell, scores, weights, seconds, file)
        self.study.reporter.finish(f"evaluated {cell.label}", seconds)

    def _superposed(self, paths: Sequence[Path]) -> SuperposedModel:
        if self._model is None or self._paths != tuple(paths):
            self.clear()
            self._model = SuperposedModel(self.study.base.model, [load(path) for path in paths])
            self._paths = tuple(paths)
        return self._model

    def _beside(self, cell: StudyCell, parts: Mapping[Path, float]) -> list[Path]:
        """The adapters in a cell's model: all of its seed where it is one of their weightings.

        Whatever is left to do, and whoever does it: other adapters beside it, or another order of
        summation, round otherwise.
        """
        if cell.method not in WEIGHTED:
            return sorted(parts)
        assert cell.seed is not None
        return sorted(self.study.adapter_path(name, cell.seed) for name in self.study.spec.domains)

    def _weights(self, cell: StudyCell) -> dict[str, float]:
        """The task weights of a superposition, by domain; none for a merged-data adapter."""
        if cell.method == "tuned":
            assert cell.seed is not None
            folder, file = self.study.folder, forecast_file(cell.seed)
            tuned = folder.read(file)["tuned"]
            if (subset := "+".join(cell.domains)) not in tuned:
                raise BadInput(
                    f"this forecast was made without the weights of {subset}",
                    where=folder.path / file,
                    hint="Delete it: the study makes it anew, for the subsets that it has now.",
                )
            return dict(tuned[subset])
        if cell.method not in WEIGHTED:
            return {}
        weight = 1.0 / len(cell.domains) if cell.method == "average" else 1.0
        return dict.fromkeys(cell.domains, weight)

    def _parts(self, cell: StudyCell, weights: Mapping[str, float]) -> dict[Path, float]:
        """The adapters whose weighted sum a cell's model is."""
        if cell.trained:
            return {self.study.folder.path / cell.adapter: 1.0}
        assert cell.seed is not None or not weights
        return {self.study.adapter_path(name, cell.seed or 0): w for name, w in weights.items()}

    def _rows_of(self, tokens: float) -> Callable[[int], None]:
        return lambda rows: self.study.reporter.advance(rows * tokens)

    def _scores(self, cell: StudyCell, model: Any, on: Sequence[str]) -> dict[str, Score]:
        self.study.reporter.start(f"evaluate {cell.label}")
        scores = {}
        study = self.study
        for name in on:
            examples = study.test_examples[name]
            said = study.spec.exact_match
            rows = study.domains[name].test
            test = DomainTest(examples, study.test_choices[name], rows, study.prompt, said)
            tokens = study.test_tokens(name) / test.steps
            scores[name] = test.score(model, self._rows_of(tokens))
        return scores
