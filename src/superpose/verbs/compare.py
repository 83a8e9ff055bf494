"""Which merge method keeps most of several adapters: all of them at one budget, on their rows."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.executor import Execution
from superpose.shown.words import counted
from superpose.verbs.adapters import AdapterName, Adapters, loaded
from superpose.verbs.base import Base
from superpose.verbs.calibrating import Calibrating, calibrating
from superpose.verbs.compared import Compared
from superpose.verbs.comparing import commands, recorded
from superpose.verbs.progress import Progress
from superpose.verbs.questions import Data, DomainRows, read_domains
from superpose.verbs.settings import Calibration, Loading, held
from superpose.verbs.shared_work import adapter_marks, check_place
from superpose.verbs.standings import Ring, all_standings

if TYPE_CHECKING:
    from superpose.data.domain import Row
    from superpose.measure.arena import ArenaRows

__all__ = ["Comparing", "compare"]


@dataclass(frozen=True)
class Comparing(Calibration):
    """Rows that settings are chosen on, and rows that what was chosen is measured on."""

    rows: Annotated[int | None, "Up to so many calibration rows of each domain, by seed."] = 32
    test_rows: Annotated[int, "Test rows of each domain, at most; none is a calibration row."] = 64
    passes: Annotated[
        int, "Passes over the calibration rows that every method has for its setting and scale."
    ] = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("test_rows", "passes"):
            if getattr(self, name) < 1:
                raise BadSetting(f"{getattr(self, name)} is below 1", where=name)


@typed
def compare(
    base: Base | None,
    adapters: Adapters,
    data: Data,
    test: Data = (),
    methods: Sequence[str] = (),
    questions: Comparing = Comparing(),
    loading: Loading = Loading(),
    *,
    merged: AdapterName | None = None,
    out: str | os.PathLike[str] | None = None,
    execution: Execution = Execution(),
    same_base: bool = False,
    progress: Progress | None = None,
) -> Compared:
    """Hold merge methods against each other on rows of the adapters' domains, at one budget.

    Of every method a setting and a scale are chosen on the calibration rows, with as many passes
    over them for each; then it is measured once on the test rows.

    base: a name, or a loaded one; None for the adapters' own. adapters: names, or loaded ones.
    data: rows of each adapter's own domain, in the adapters' order. test: other rows of the same
    domains; left out, test rows are drawn from `data` beside the calibration rows. methods: names,
    `all` for all of them; left out those of `superpose.measure.contenders.USUAL`. The plain sum is
    among them. merged: an adapter of the union of the domains' training rows. out: a folder that
    keeps what was measured, row by row; a comparison that was stopped goes on there. execution:
    where methods are tried, and by how many workers, a method at a time; those elsewhere need
    `out`. same_base: bases of different names are one. progress: called with work done, how much
    there is, and what is done. What it takes is said as a note before it begins.

    Raises BadSetting for a method that is none or passes that are too few for it, BadInput for
    what does not belong together and for a folder of another comparison, Missing where Slurm or Ray
    cannot be reached, and what reading and loading raise.
    """
    held(questions, Comparing, "questions")
    check_place(out, execution)
    from superpose.measure.contenders import contenders
    from superpose.measure.ranking import ranked

    started = time.perf_counter()
    chosen = tuple(each.within(questions.passes) for each in contenders(tuple(methods)))
    ready = calibrating(base, adapters, data, questions, loading, same_base)
    rows = list(_rows(ready, test, questions))
    union = None if merged is None else loaded([merged], base=ready.base.name)[0]
    tests = _tests(ready, rows)
    ring = Ring(ready.adapters, ready.examples, tests, questions.passes, same_base, union)
    asked = partial(_asked, ready, rows, questions, merged)
    with recorded(out, asked, execution) as records:
        standings, references = all_standings(
            ring, ready.base, chosen, records, execution, progress
        )
        order = tuple(ranked(standings, references))
        found = Compared(
            base=ready.base.name,
            domains=tuple(ring.test.rows),
            prompt=ready.asked,
            ranked=order,
            references=tuple(references),
            commands=commands(order[0].standing, ready, questions, records),
            data=tuple(
                (d.name, f"{len(a)} calibration rows, {len(b)} test rows", d.fingerprint)
                for d, (a, b) in zip(ready.read, rows, strict=True)
            ),
            seed=questions.seed,
            seconds=time.perf_counter() - started,
            chance=_chance(tests),
        )
        records.finish(*found.csv(), found.to_json())
    return found


Split: TypeAlias = "tuple[list[Row], list[Row]]"
"""A domain's calibration rows and its test rows."""


def _rows(ready: Calibrating, test: Data, questions: Comparing) -> Iterator[Split]:
    """Give each domain's rows, the test rows apart from the calibration rows."""
    from superpose.data.domain import question_key, sample_rows
    from superpose.measure.lambda_space import check_apart

    found: list[DomainRows] = read_domains(test, questions)
    if found and len(found) != len(ready.read):
        raise BadSetting(
            f"{counted(len(ready.read), 'domain')} and "
            f"{counted(len(found), 'set of test questions', 'sets of test questions')}",
            where="test",
        )
    for place, domain in enumerate(ready.read):
        fitting = ready.prompt.fitting(domain.rows)
        first = sample_rows(fitting, questions.rows, seed=questions.seed, where=domain.name)
        if found:
            others = ready.prompt.fitting(found[place].rows)
            check_apart(first, others, found[place].source or domain.name)
        else:
            known = {question_key(row) for row in first}
            others = [row for row in fitting if question_key(row) not in known]
            if not others:
                raise BadSetting(
                    f"{domain.name} has no rows beside its {len(first)} calibration rows",
                    where="test",
                    hint="Give --test, or fewer calibration rows: --rows.",
                )
        count = min(questions.test_rows, len(others))
        yield first, sample_rows(others, count, seed=questions.seed, where=domain.name)


def _tests(ready: Calibrating, rows: Sequence[Split]) -> ArenaRows:
    from superpose.measure.arena import ArenaRows

    prompt, tests, choices = ready.prompt, {}, {}
    for domain, (_, test) in zip(ready.read, rows, strict=True):
        tests[domain.name] = prompt.encode_all(test, domain.name)
        offered = [prompt.encode_choices(row) for row in test]
        if kept := [question for question in offered if question is not None]:
            choices[domain.name] = kept
    return ArenaRows(tests, choices)


def _chance(tests: ArenaRows) -> dict[str, float]:
    """Give how often guessing is right, by domain with choices."""
    asked = tests.choices.items()
    return {name: math.fsum(one.chance for one in of) / len(of) for name, of in asked if of}


def _asked(
    ready: Calibrating, rows: Sequence[Split], questions: Comparing, merged: AdapterName | None
) -> dict[str, Any]:
    """Say what a comparison is of, so that a folder of another is known."""
    from superpose.data.domain import fingerprint
    from superpose.model.carried import base_checksum

    return {
        "base": base_checksum(ready.base),
        "adapters": adapter_marks(ready.adapters),
        "rows": [[fingerprint(part) for part in split] for split in rows],
        "template": questions.template,
        "max_tokens": questions.max_tokens,
        **({"prompt": dict(ready.asked)} if ready.asked["chat_template"] else {}),
        "passes": questions.passes,
        "merged": None if merged is None else str(getattr(merged, "name", merged)),
    }
