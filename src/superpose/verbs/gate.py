"""What was judged: what passed and what failed, for people and for systems that run tests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose._version import __version__
from superpose.errors import DoesNotHold
from superpose.files.atomic import new_file
from superpose.shown.gate import Tested, Tests
from superpose.verbs.told import Told

if TYPE_CHECKING:
    from superpose.baking import Proof
    from superpose.errors import SuperposeError
    from superpose.interference import Pair
    from superpose.interference.conditions import Condition

__all__ = ["Gate", "gate_of_error", "gate_of_pairs", "gate_of_proof"]

_IS_SUM = "is-the-sum"
_REFUSED = "could-not-tell"


@dataclass(frozen=True)
class Gate(Told):
    """What was tested in one run, and how each came out."""

    run: Tests

    @property
    def tests(self) -> tuple[Tested, ...]:
        """Everything that was tested."""
        return self.run.tests

    @property
    def holds(self) -> bool:
        """Whether all passed."""
        return all(test.passed for test in self.tests)

    def insist(self, where: str | None = None) -> None:
        """Raise DoesNotHold, naming all that did not pass, unless all did. where: who asked."""
        failed = [test.said for test in self.tests if not test.passed]
        if failed:
            raise DoesNotHold("; ".join(failed), where=where)

    def write(
        self,
        *,
        sarif: str | os.PathLike[str] | None = None,
        junit: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write SARIF 2.1.0, JUnit XML or both; an earlier file there is replaced.

        Raises BadInput when the system refuses to write.
        """
        from superpose.shown.junit import junit as as_junit
        from superpose.shown.sarif import sarif as as_sarif

        for target, form in ((sarif, as_sarif), (junit, as_junit)):
            if target is not None:
                with new_file(Path(target)) as part:
                    part.write_text(form(self.run), encoding="utf-8", newline="\n")

    def to_json(self) -> dict[str, Any]:
        """Give every test as JSON can hold it."""
        return {"holds": self.holds, "tests": [vars(test) for test in self.tests]}

    def __str__(self) -> str:
        failed = [test.said for test in self.tests if not test.passed]
        return "\n".join([f"{len(failed)} of {len(self.tests)} tests failed", *failed])


def gate_of_pairs(
    conditions: Sequence[Condition],
    pairs: Sequence[Pair],
    paths: Mapping[str, str | None],
    seconds: float,
) -> Gate:
    """Test every pair on every condition. paths: where the adapters lie, by their names."""
    tests = tuple(
        Tested(
            condition.figure,
            f"{pair.a} + {pair.b}: not {condition.text}",
            f"{condition.told(pair)} ({condition.text})",
            _file_of(paths[pair.a]),
            not condition.is_met(pair),
        )
        for condition in conditions
        for pair in pairs
    )
    rules = {
        condition.figure: f"A pair of adapters must not meet a condition on: {condition.meaning}"
        for condition in conditions
    }
    return Gate(Tests("check", __version__, rules, tests, seconds))


def gate_of_proof(proof: Proof, result: str, path: str | None, seconds: float) -> Gate:
    """Test whether a result is the sum: one test, or one for each tensor that differs."""
    place = _file_of(path)
    tests = tuple(
        Tested(_IS_SUM, f"{result}: {name}", f"{result}: {name}: {reason}", place, False)
        for name, reason in proof.failures
    ) or (Tested(_IS_SUM, f"{result} is the sum", f"{result}: {proof}", place, True),)
    rules = {_IS_SUM: "Each tensor is base + sum, rounded once, or the base model's own"}
    return Gate(Tests("verify", __version__, rules, tests, seconds))


def gate_of_error(command: str, error: SuperposeError | Exception, seconds: float) -> Gate:
    """Give the one test of a command that could not tell: nothing was judged, and why."""
    test = Tested(_REFUSED, f"superpose {command}", str(error), None, None)
    return Gate(Tests(command, __version__, {}, (test,), seconds))


def _file_of(path: str | None) -> str | None:
    """Give the file that a reader can open: of a folder its configuration."""
    if path is None:
        return None
    inside = (Path(path) / name for name in ("adapter_config.json", "config.json"))
    return str(next((file for file in inside if file.is_file()), path))
