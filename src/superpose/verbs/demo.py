"""The whole road on a real language model: a small study, the sum of its adapters, and samples."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import superpose.studies
from superpose.arguments import typed
from superpose.files import new_file
from superpose.files.file_format import INPUT_STATISTICS
from superpose.shown import Cell, Column, Part, Shown, Table
from superpose.verbs.kept_statistics import keep_statistics
from superpose.verbs.progress import Progress
from superpose.verbs.study import Studied, Telling, studied

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.data.domain import Row
    from superpose.interference import Check
    from superpose.measure.answer import Answer
    from superpose.report import Page
    from superpose.studies.run import Study

__all__ = ["Demo", "demo", "demo_questions"]

FILE = Path(superpose.studies.__path__[0], "demo.yaml")
"""The demo's study file."""

SAMPLES = 2
"""Questions a domain that the models answer for the reader."""

SUM, BEST = "superposition", "merged"
QUESTIONS = "questions"


@dataclass(frozen=True)
class Demo(Shown):
    """What a demo leaves.

    adapters: where each domain's lies. superposition: where their sum lies. samples: (domain,
    expected answer, what each model answers). questions: of each domain a file of rows that were
    neither trained nor tested on.
    """

    studied: Studied
    check: Check
    adapters: tuple[Path, ...]
    superposition: Path
    samples: tuple[tuple[str, str, tuple[Answer, ...]], ...]
    questions: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `demo --json` prints: the study's summary."""
        return self.studied.to_json()

    def page(self, command: str = "") -> Page:
        """Give the study's page. command: that which made it, as it was typed."""
        return self.studied.page(command)

    def shown(self) -> tuple[Part, ...]:
        """Give what the weights told, what was measured, and the sample answers."""
        from superpose.studies.tables import adapters_table

        assert self.studied.summary is not None
        return (
            *self.check.shown(),
            adapters_table(self.studied.summary),
            *self.studied.shown(),
            *(_sample(expected, said) for _, expected, said in self.samples),
        )

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type next: the last one writes the adapter that the best merge method makes."""
        base, three = self.studied.study.spec.base, tuple(map(str, self.adapters))
        rows = [word for path in self.questions for word in ("--data", str(path))]
        return tuple(
            shlex.join(["superpose", *words])
            for words in (
                ("check", *three),
                ("ask", base, *three, "--prompt", self.question),
                ("predict", base, *three, *rows),
                ("tune", base, *three, *rows),
                ("add", *three, "--method", "regmean", "-o", str(self.superposition.parent / BEST)),
            )
        )

    @property
    def question(self) -> str:
        """A test question to go on asking with."""
        return self.samples[0][2][0].question


@typed
def demo(
    out: str | os.PathLike[str] = "superpose-demo", *, progress: Progress | None = None
) -> Demo:
    """Train three adapters on a 135M-parameter model, add them, and see whether it worked.

    out: the study's folder, resumable like every study's; the sum of all adapters is written into
    it as a PEFT folder, beside each adapter what `add --method regmean` reads, and of each domain a
    file of questions for `predict` and `tune`. progress: as for `study`. Raises as `study` does.
    """
    from superpose.compose import exact_sum
    from superpose.formats import save
    from superpose.interference import check
    from superpose.studies.run import Study
    from superpose.studies.spec import load_spec

    started = time.perf_counter()
    spec = load_spec(FILE)
    reporter = None if progress is None else Telling(progress)
    run = Study(spec, Path(out), relative_to=FILE.parent, reporter=reporter)
    run.run()
    seed = spec.seeds[0]
    parts = run.adapters(seed)
    superposition = Path(out, SUM)
    save(exact_sum(parts), superposition, force=True)
    for name, rows in run.calibration_examples.items():
        adapter = run.adapter_path(name, seed)
        if rows and not (adapter / INPUT_STATISTICS).exists():
            keep_statistics(run.base, rows, adapter)
    samples = tuple(_samples(run, parts))
    questions = tuple(_questions(run, Path(out, QUESTIONS)))
    return Demo(
        studied=studied(run, started),
        check=check(parts),
        adapters=tuple(run.adapter_path(name, seed) for name in spec.domains),
        superposition=superposition,
        samples=samples,
        questions=questions,
    )


@typed
def demo_questions(
    domain: str, train: int, test: int, seed: int = 0
) -> tuple[list[Row], list[Row]]:
    """Give made-up questions of math, medicine or finance: rows to train on, and others.

    Raises BadInput for another domain, and where there are not so many.
    """
    from superpose.data.questions import generate

    return generate(domain, train=train, test=test, seed=seed)


def _sample(expected: str, said: Sequence[Answer]) -> Table:
    """Give the expected answer to a test question, and what base, own adapter and the sum say."""
    answers = zip(("base", "own adapter", "sum of all"), said, strict=True)
    rows = (("expected", expected), *((who, answer.text) for who, answer in answers))
    columns = (Column("who"), Column("answer", prose=True))
    cells = tuple((Cell(who), Cell(text)) for who, text in rows)
    return Table(f"Sample answers: {said[0].question}", columns, cells)


def _questions(study: Study, folder: Path) -> Iterator[Path]:
    """Write each domain's calibration rows as a file that `--data` takes."""
    for name, domain in study.domains.items():
        rows = ({"question": row.question, "answer": row.answer} for row in domain.calibration)
        path = folder / f"{name}.jsonl"
        with new_file(path) as part:
            part.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        yield path


def _samples(
    study: Study, adapters: Sequence[Adapter]
) -> Iterator[tuple[str, str, tuple[Answer, ...]]]:
    """What base, own adapter and the sum of all answer to test questions of each domain."""
    from superpose.measure.answer import answers
    from superpose.measure.sweep import weightings
    from superpose.model import SuperposedModel

    names = list(study.domains)
    with SuperposedModel(study.base.model, adapters) as model:
        points = weightings(names, [1.0] * len(names), whole_only=True)
        for name, domain in study.domains.items():
            asked = [p for p in points if p.method != "single" or name in p.weights]
            for row in domain.test[:SAMPLES]:
                study.reporter.start(f"asking about {name}")
                said = answers(
                    model,
                    study.prompt,
                    asked,
                    [row.question],
                    max_new_tokens=40,
                )
                yield name, row.answer, tuple(said)
