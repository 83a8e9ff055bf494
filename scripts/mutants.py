"""How many small changes of the code the tests notice: of a room's own, a seeded sample.

python scripts/mutants.py --room lowrank --sample 100 --seed 0
python scripts/mutants.py --room lowrank --again

A mutant is a room with one change (scripts/mutations.py). It is made in memory, in a fork of a
process that has loaded what the tests import from elsewhere, and meets the tests of its own room
that pass the changed lines, the quick ones first, until one fails. One that no module can be
imported with is not counted; one that takes many times as long as all its tests is killed.

What is found goes into docs/results/mutants.json. A survivor that changes nothing that a test could
see has its explanation there, by its module and change, and does not count as tried. After tests
were written, --again tries the survivors that stand there once more; what was killed before stays
so, and how many that were is kept beside as "killed at first".
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutations import Mutation, mutated, mutations

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
RECORD = ROOT / "docs" / "results" / "mutants.json"
PAGES = "tests/docs/test_site.py"
TESTS = {
    "lowrank": ("tests/lowrank",),
    "names": (
        "tests/names",
        "tests/formats/image",
        "tests/files/test_checkpoint.py",
        "tests/baking/test_ends.py",
        "tests/names/test_tree_of_names.py::test_what_is_translated_or_converted_is_a_family",
    ),
    "interference": (
        "tests/interference",
        "tests/formats/test_products_folder.py",
        f"{PAGES}::test_the_mathematics_states_every_predictor_with_its_formula_and_source",
        f"{PAGES}::test_the_mathematics_states_every_border_between_two_readings",
    ),
    "compose": (
        "tests/compose",
        "tests/compose/test_methods.py::test_a_files_note_says_what_each_method_gives",
        "tests/compose/test_methods.py::test_ranks_are_said_by_name",
        "tests/formats/test_kinds.py",
        "tests/formats/test_kinds_dora.py",
        "tests/formats/test_kinds_resized.py",
        "tests/formats/test_kinds_together.py",
    ),
}
"""Of each room, its own tests, which a mutant meets first, and others that are of its files. A test
named alone holds what its modules define, and passes none of their lines."""

BUDGET = 30
"""A mutant meets so many seconds of tests, the quick ones first."""

HEAVY = ("numpy", "ml_dtypes", "safetensors.numpy", "scipy.optimize", "torch", "array_api_strict")
HEAVY = (*HEAVY, "hypothesis.strategies", "hypothesis.extra.numpy", "rich.console", "transformers")
"""What tests import from elsewhere, loaded once."""

PATIENCE = 5
"""A mutant's tests may take so many times their own seconds of a core, and a minute."""

MEMORY = 16 << 30
"""Bytes that a mutant's process may address, torch's own among them."""

UNIMPORTABLE, SURVIVED, KILLED = 77, 0, 1


@dataclass(frozen=True)
class Mutant:
    """One change of a room. module: its dotted name. number: of the module's changes."""

    module: str
    path: Path
    number: int
    mutation: Mutation

    @property
    def key(self) -> str:
        """What it is known by while its line stays where it is."""
        return f"{self.module}:{self.mutation.lines.start}: {self.mutation.what}"


class Mutating(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """Loads one module with its change, and every other as it is."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        """Take the one module."""
        mutant = self._mutant
        if name != mutant.module:
            return None
        package = [str(mutant.path.parent)] if mutant.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, mutant.path, loader=self, submodule_search_locations=package
        )

    def exec_module(self, module: object) -> None:
        """Run its changed code."""
        exec(self.get_code(self._mutant.module), vars(module))  # noqa: S102

    def get_code(self, name: str) -> CodeType:
        """Give its changed code."""
        mutant = self._mutant
        text = mutant.path.read_text(encoding="utf-8")
        return compile(mutated(text, mutant.number), str(mutant.path), "exec")


def mutants_of(room: str) -> list[Mutant]:
    """Give every mutant of a room, in order."""
    found = []
    for path in sorted((SOURCE / "superpose" / room).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [Mutant(module, path, n, each) for n, each in enumerate(mutations(tree))]
    return found


class Passing:
    """Which tests passed which lines, and how long each took: a plugin of pytest."""

    def __init__(self) -> None:
        import coverage

        self.seconds: dict[str, float] = {}
        self.failed = ""
        self._begun = 0.0
        self._eyes = coverage.Coverage(
            data_file=None, source_pkgs=["superpose"], config_file=False, messages=False
        )
        self._eyes.start()  # before a conftest imports what is looked at

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say whose the next lines are."""
        self._eyes.switch_context(nodeid)
        self._begun = time.process_time()  # of a core, whoever else is on the machine

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Keep how long a test took, with what it needed before and after."""
        self.seconds[nodeid] = time.process_time() - self._begun

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep which test failed, and why."""
        if report.failed:
            self.failed = f"{report.nodeid}\n{report.longreprtext}"

    pytest_collectreport = pytest_runtest_logreport

    def lines(self) -> dict[str, dict[int, list[str]]]:
        """Give the tests of each line of each file."""
        self._eyes.stop()
        data = self._eyes.get_data()
        return {file: data.contexts_by_lineno(file) for file in data.measured_files()}


def baseline(room: str) -> tuple[dict[str, float], dict[str, dict[int, list[str]]]]:
    """Run a room's tests as they are, in a fork: their seconds, and which pass what line."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        passing = Passing()
        code = _tested([*TESTS[room], "-m", "not slow and not hard"], [passing])
        with os.fdopen(writing, "w") as answer:
            json.dump([code, passing.failed, passing.seconds, passing.lines()], answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    os.waitpid(child, 0)
    code, failed, seconds, lines = json.loads(told or '[1, "their process ended", {}, {}]')
    if code:
        sys.exit(f"the tests of {room} do not pass as they are: {failed}")
    return seconds, {
        file: {int(line): tests for line, tests in of.items()} for file, of in lines.items()
    }


def _tested(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    """Run pytest in this process with nothing that an earlier run left, and nothing said."""
    import hypothesis
    import pytest

    # What one mutant's failure is like helps no other, and nobody reads how small it can be made.
    hypothesis.settings.register_profile(
        "mutants",
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutants")
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they are loaded, too late to be rewritten
    silent = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(silent, number)
    quiet = ["-q", "-x", "-p", "no:cacheprovider"]
    return int(pytest.main([*quiet, *arguments], plugins=list(plugins)))


def outcome(mutant: Mutant, tests: Sequence[str], seconds: float) -> str:
    """Give `killed`, `too slow`, `survived` or `not importable`."""
    child = os.fork()
    if not child:
        most = int(PATIENCE * seconds + 60)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(10 * most)  # for one that waits, which takes no core's time
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.meta_path.insert(0, Mutating(mutant))
        try:
            importlib.import_module(mutant.module)
        except BaseException:  # noqa: BLE001  whatever it is, nobody could import it
            os._exit(UNIMPORTABLE)
        with contextlib.suppress(BaseException):
            os._exit(SURVIVED if _tested(tests) == 0 else KILLED)
        os._exit(KILLED)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code in (-signal.SIGXCPU, -signal.SIGALRM):
        return "too slow"
    return {UNIMPORTABLE: "not importable", SURVIVED: "survived"}.get(code, "killed")


def sampled(room: str, sample: int, seed: int) -> Iterator[tuple[Mutant, str]]:
    """Give so many mutants of a room, drawn at random, and what became of each."""
    seconds, lines = baseline(room)
    drawn = mutants_of(room)
    random.Random(f"{seed} {room}").shuffle(drawn)
    for mutant in drawn:
        if sample == 0:
            return
        found = _became(room, mutant, seconds, lines)
        yield mutant, found
        sample -= found != "not importable"


def _became(
    room: str,
    mutant: Mutant,
    seconds: Mapping[str, float],
    lines: Mapping[str, Mapping[int, Iterable[str]]],
) -> str:
    """Let a mutant meet its tests; gives and tells what became of it."""
    of = lines.get(str(mutant.path), {})
    passing = {test for line in mutant.mutation.lines for test in of.get(line, ())}
    if not passing:  # a constant within a table, of which Python passes the first line alone
        before = [line for line in of if line < mutant.mutation.lines.start]
        passing = set(of[max(before)]) if before else passing
    if "" in passing:  # at the import, so that any test of the module may meet it
        passing = {test for tests in of.values() for test in tests} - {""} or set(seconds)
        passing |= seconds.keys() & TESTS[room]
    tests, total = _chosen(room, passing, seconds)
    found = outcome(mutant, tests, total) if tests else "survived"
    sys.stderr.write(f"{found:10} {mutant.key}\n")
    return found


def _chosen(
    room: str, passing: Iterable[str], seconds: Mapping[str, float]
) -> tuple[list[str], float]:
    """Give the tests that a mutant meets, in order, and how long they take."""
    own, named = f"tests/{room}/", TESTS[room]
    chosen: list[str] = []
    total = 0.0
    for test in sorted(
        passing,
        key=lambda t: (not t.startswith(own) and t not in named, seconds.get(t, 0.0), t),
    ):
        if not chosen or total + seconds.get(test, 0.0) <= BUDGET:
            chosen.append(test)
            total += seconds.get(test, 0.0)
    return chosen, total


def judged(room: str, sample: int, seed: int) -> dict[str, Any]:
    """Try a sample; gives its figures and its survivors."""
    found: Counter[str] = Counter()
    survivors = []
    begun = time.monotonic()
    for mutant, became in sampled(room, sample, seed):
        found[became] += 1
        if became == "survived":
            survivors.append(mutant.key)
            print(mutant.key, flush=True)
    tried = found.total() - found["not importable"]
    print(f"{room}: {dict(found)}, {time.monotonic() - begun:.0f} s", flush=True)
    return {
        "mutants": len(mutants_of(room)),
        "seed": seed,
        "tried": tried,
        "killed": tried - found["survived"],
        "too slow": found["too slow"],
        "survivors": sorted(survivors),
    }


def again(room: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """Try the survivors of a record once more; gives its figures as they are now.

    Two changes of one line and text have one key: where both survive, as many are kept as before.
    One that is there no more, since its line moved or went, stays a survivor.
    """
    seconds, lines = baseline(room)
    known = Counter(before["survivors"])
    survived: Counter[str] = Counter()
    mutants = mutants_of(room)
    for mutant in mutants:
        if mutant.key in known:
            survived[mutant.key] += _became(room, mutant, seconds, lines) == "survived"
    there = {mutant.key for mutant in mutants}
    gone = Counter({key: count for key, count in known.items() if key not in there})
    left = sorted(((known & survived) + gone).elements())
    first = before.get("killed at first", before["killed"])
    figures = {"killed": before["tried"] - len(left), "killed at first": first, "survivors": left}
    return {name: before[name] for name in before if name not in figures} | figures


def kept(record: Path, room: str, result: Mapping[str, object]) -> Mapping[str, str]:
    """Write what came of a room beside the others; gives why survivors have no effect, by key."""
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    rooms = {**known.get("rooms", {}), room: result}
    ordered = {room: rooms[room] for room in TESTS if room in rooms}
    known = {"rooms": ordered, "explained": known.get("explained", {})}
    record.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return dict(known["explained"])


def main() -> int:
    """Try the rooms; 1 where a room's share is below the least."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--room", action="append", choices=TESTS, help="all where none is named")
    parser.add_argument("--sample", type=int, default=100, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=float, default=0.85, help="share that must be killed")
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--again", action="store_true", help="the record's survivors alone")
    asked = parser.parse_args()
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    weak = []
    for room in asked.room or TESTS:
        if asked.again:
            before = json.loads(asked.record.read_text(encoding="utf-8"))["rooms"][room]
            result = again(room, before)
        else:
            result = judged(room, asked.sample, asked.seed)
        explained = kept(asked.record, room, result)
        tried, killed = result["tried"], result["killed"]
        without_effect = sum(name in explained for name in result["survivors"])
        if killed < asked.least * (tried - without_effect):
            weak.append(room)
    if weak:
        print(f"less than {asked.least:.0%} were killed in {', '.join(weak)}")
    return int(bool(weak))


if __name__ == "__main__":
    sys.exit(main())
