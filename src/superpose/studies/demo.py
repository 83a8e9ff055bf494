"""The demo: a small study on the generator's three question sets, the sum, and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from superpose.adapter import Adapter
from superpose.compose import exact_sum
from superpose.formats import save
from superpose.interference import Check, check
from superpose.measure.answer import Answer, answers
from superpose.measure.sweep import weightings
from superpose.model import SuperposedModel
from superpose.shown import Cell, Column, Part, Shown, Table
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.spec import StudySpec, load_spec
from superpose.studies.summary import Summary
from superpose.studies.tables import adapters_table, study_parts
from superpose.training.reporter import Reporter

__all__ = ["Demo", "demo_spec", "run_demo"]

SAMPLES = 2
"""Questions a domain that the models answer for the reader."""

SUM = "superposition"


@dataclass(frozen=True)
class Demo(Shown):
    """What a demo leaves.

    study: with its folder. samples: (domain, expected answer, what each model answers).
    """

    study: Study
    summary: Summary
    check: Check
    adapters: tuple[Path, ...]
    superposition: Path
    samples: tuple[tuple[str, str, tuple[Answer, ...]], ...]

    def shown(self) -> tuple[Part, ...]:
        """Give what the weights told, what was measured, and the sample answers."""
        return (
            *self.check.shown(),
            adapters_table(self.summary),
            *study_parts(self.summary),
            *(_sample(expected, said) for _, expected, said in self.samples),
        )

    @property
    def question(self) -> str:
        """A test question to go on asking with."""
        return self.samples[0][2][0].question


def demo_spec() -> StudySpec:
    """The demo's study file, as it ships with the package."""
    return load_spec(Path(__file__).with_name("demo.yaml"))


def run_demo(out: str | Path, reporter: Reporter | None = None) -> Demo:
    """Train, check, forecast, add, baseline, evaluate, ask; resumable like every study.

    out: the study's folder; the sum of all adapters is written into it as a PEFT folder.
    """
    spec = demo_spec()
    study = Study(spec, out, reporter=reporter)
    study.run()
    seed = spec.seeds[0]
    paths = tuple(study.adapter_path(name, seed) for name in spec.domains)
    superposition = Path(out) / SUM
    parts = study.adapters(seed)
    save(exact_sum(parts), superposition, force=True)
    return Demo(
        study=study,
        summary=write_results(study.folder, spec, study.cells),
        check=check(parts),
        adapters=paths,
        superposition=superposition,
        samples=tuple(_samples(study, parts)),
    )


def _sample(expected: str, said: Sequence[Answer]) -> Table:
    """Give the expected answer to a test question, and what base, own adapter and the sum say."""
    answers = zip(("base", "own adapter", "sum of all"), said, strict=True)
    rows = (("expected", expected), *((who, answer.text) for who, answer in answers))
    columns = (Column("who"), Column("answer", prose=True))
    cells = tuple((Cell(who), Cell(text)) for who, text in rows)
    return Table(f"Sample answers: {said[0].question}", columns, cells)


def _samples(
    study: Study, adapters: Sequence[Adapter]
) -> Iterator[tuple[str, str, tuple[Answer, ...]]]:
    """What base, own adapter and the sum of all answer to test questions of each domain."""
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
