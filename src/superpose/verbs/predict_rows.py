"""Test rows, on which predict measures whatever it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting
from superpose.shown.words import counted
from superpose.verbs.calibrating import Calibrating
from superpose.verbs.lots import Metered
from superpose.verbs.progress import advancing
from superpose.verbs.questions import Data, DomainRows, read_domains
from superpose.verbs.settings import Calibration

if TYPE_CHECKING:
    from superpose.data.prompt import Example
    from superpose.landscape.predicted import Predicted

__all__ = ["measured_on_tests", "tests_of"]


def tests_of(test: Data, ready: Calibrating, questions: Calibration) -> tuple[DomainRows, ...]:
    """Read test rows under the names of their domains; none of them is a calibration row."""
    from superpose.measure.lambda_space import check_apart

    found = read_domains(test, questions)
    if found and len(found) != len(ready.read):
        raise BadSetting(
            f"{counted(len(ready.read), 'domain')} and "
            f"{counted(len(found), 'set of test questions', 'sets of test questions')}",
            where="test",
        )
    tests = []
    for domain, other in zip(ready.read, found, strict=False):
        check_apart(domain.rows, other.rows, other.source or other.name)
        tests.append(DomainRows(domain.name, other.source, other.rows))
    return tuple(tests)


def measured_on_tests(
    rows: Sequence[Predicted], examples: Mapping[str, list[Example]], how: Metered
) -> tuple[Mapping[str, Any], ...]:
    """Give the loss on test rows of whatever is known, where they were given."""
    if not examples:
        return ()
    wanted: dict[tuple[float, ...], dict[str, list[Example]]] = {}
    for row in rows:
        held = wanted.setdefault(tuple(row.weights.values()), {})
        held[row.domain] = examples[row.domain]
    work = sum(len(of) for held in wanted.values() for of in held.values())
    advance = advancing(how.progress, "measure", work)
    measured = []
    for point, held in wanted.items():
        weights = dict(zip(rows[0].weights, point, strict=True))
        for domain, of in held.items():
            nll = how.meter.nll(how.model, of, point, advance)
            measured.append({"weights": weights, "domain": domain, "nll": nll})
    return tuple(measured)
