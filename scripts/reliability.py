"""Write docs/reliability.md from docs/results/reliability.json: no figure in it is typed.

make test-hard FIGURES=docs/results/reliability.json
make fuzz FIGURES=docs/results/reliability.json
make coverage
make mutants
python scripts/reliability.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose.statistics import clopper_pearson

DOCS = Path(__file__).resolve().parent.parent / "docs"
FIGURES = DOCS / "results" / "reliability.json"
COVERAGE = DOCS / "results" / "coverage.json"
MUTANTS = DOCS / "results" / "mutants.json"
PAGE = DOCS / "reliability.md"

Figures = Mapping[str, Mapping[str, float]]

HEAD = """\
# When things go wrong

What superpose does when it is killed, when the disk is full, when two of it meet and when a file
is not what it says, and what was tried. `make docs` makes this page; the figures stand in
`docs/results/reliability.json`, and the commands below count them anew. Seeds are fixed: the same
`SEED` tries the same again.

## What holds

- **An output is there whole or not at all.** It is written beside its place, under a hidden name
  (`.NAME.superpose-….part`), brought to the disk and renamed. `--force` on a folder exchanges old
  and new in one step where the system can (Linux, macOS); elsewhere, on NFS for one, a kill
  between two renames leaves the old folder under a hidden name, and the next run that writes
  there puts it back.
- **What a kill leaves is found.** The next run that writes into the same folder removes it, and
  says what and how large. What somebody still writes is known by a lock and left alone; where
  locks do not reach, from machine to machine, only what has not changed for a day is taken for
  dead.
- **Ctrl-C, SIGTERM and a full disk leave nothing behind**, and end with one line and a code (130,
  143, 2).
- **Work goes on.** A killed `study`, `index`, `predict --out` or `compare --out` goes on with the
  same command, and ends with the same table to the bit. A second command in the folder of one is
  refused.
- **The converted base model is held against its checksums** at every load, file by file, and made
  again where one differs. One process converts at a time; another waits, and says so.
- **Numbers at the edge are figures or errors by name.** The tests run with NumPy's errors raised:
  what overflows, divides by zero or is no number ends in no figure. Squares that would leave
  float64 are taken of factors divided by a power of two, which rounds nothing; a delta beyond
  float64 is refused by its module. A product below the smallest number is rounded to zero as any
  product is rounded; a sum of which nothing else would be left is not written.
- **A file that is not what it says is refused by name**: exit code 2, within seconds and a
  gigabyte.
- **Nothing leaves the folder that was asked for.** Paths that others wrote (an index of shards, a
  shared form, a library's index, a study file, names and answers of a hub, requests of a server,
  metadata, links in any of these) are names beside their file, or refused; links that lead out, in
  a base model's folder too, are not passed on (`tests/cli/test_no_way_out*.py` walk them). Weights
  alone may be links: a file of tensors is checked for being one.
- **A name is text in every output.** One hostile name is put in the place of an adapter, a base
  model, a module, a domain and a question, and read in a terminal, JSON, CSV, pages, model cards,
  SARIF, JUnit, LaTeX, SVG, GGUF and notebooks (`tests/cli/test_every_name_everywhere.py`).
- **Memory grows with what is compared.** Of a pair among many no record of a module is held, and
  `--json` is written pair by pair, as Python has it by `check(...).in_parts()`;
  [the growth](benchmarks.md#many) is a benchmark.
- **Code is read for what bandit looks for**: ruff's rules of that family are on in `make lint`, and
  each that is off, or a line that is let pass, says why (`pyproject.toml`, `noqa`). `make audit`
  holds every pinned version against PyPI's advisories, and fails where the index has none to give.
- **Threads follow what the machine grants**: the least of the cores that the process may be
  scheduled on (`taskset`, Slurm), the time that its control groups grant (`docker run --cpus`,
  Kubernetes' limits) and `OMP_NUM_THREADS`. torch by itself starts one for each core, which wait
  for each other in a container that has the time of two of sixty-four. Beside another job that
  keeps all cores busy, set `OMP_NUM_THREADS` to what is free. How many there were stands in an
  adapter's `training.json` and in a study's `summary.json`: another number sums in another order,
  which changes the last bits of what is trained, of figures and of what is cut to a rank; exact
  sums are the same bytes with any.
"""

KILLS = """
## Killed at random moments

`make test-hard` runs each command in a process of its own that is sent SIGKILL or SIGINT, in
turn, at a random moment of its work; TRIALS says how often. After each, the old output or the new
one stands, file by file the same as undisturbed; the next run ends as if nothing had been, and
nothing is left.

| command | trials | hit while it ran | new output stood | left beside, then removed |
| --- | --: | --: | --: | --: |
"""

TWICE = """
## Two at once

The same run starts commands at one moment on one output. Of two that write one new folder one is
told that it came into being meanwhile; with `--force` the later one stays; what stands is
complete.

| commands | trials |
| --- | --: |
"""

FUZZ = """
## Changed files

`make fuzz` changes small files (`tests/hard/corpus`): bytes, lengths, counts, nodes of JSON,
headers of tensors; and gives them to every reader, in a process that may take a gigabyte and 20 s
for each. Only superpose's own errors with exit code 2 may come out; NumPy's warnings count as
wrong too. It goes on where it was ended, and keeps what it finds in `.cache/fuzz`.

| reader | inputs | refused by name | read | wrong |
| --- | --: | --: | --: | --: |
"""

REST = """
## Surroundings

`make test-hard` also runs each command on a disk that fills up at three points, on one that is
only read, with names that hold newlines, colons, escapes, a leading dash, 255 bytes or bytes that
are no UTF-8, without HOME, with LANG=C, in a terminal of 20 columns, and with streams that are
closed or whose reader has left. A disk is mounted for it where root may, else those tests are
skipped.
"""

STRENGTH = """
## How strong the tests are
"""

PASSED = """
`make coverage` runs CI's tests, but for those of pages, and counts which lines of the rooms that
need NumPy alone they pass, and which of the ways that a line can go on, such as the two of an `if`.
Commands and workers that a test starts count as well, unless they are killed. It fails below 95 %
of all branches.

| room | lines | passed | branches | passed |
| --- | --: | --: | --: | --: |
"""

CHANGED = """
A line that is passed need not be held to anything. `make mutants` changes the code and looks
whether a test notices: a comparison, an operator, a number, a text, a condition, a result or a
statement, one at a time, drawn at random with a fixed seed from all such changes of a room. Each
meets the tests that pass the changed line, the room's own first and the quick ones before the long,
up to half a minute of them. Docstrings, annotations and the words of errors are left alone. One
without effect changes nothing that a test could see: how much is worked on at once, a way that
gives the same, a limit met by no number; the share is of the others.

| room | changes | tried | without effect | noticed | of those with one | 95 % interval |
| --- | --: | --: | --: | --: | --: | --- |
"""

UNNOTICED = """
What no test noticed was read, and tests were written, which moves the figure for the very changes
that were drawn: both stand there, and another seed draws others. What is left:

| change | why nothing notices it |
| --- | --- |
"""


def page(figures: Figures, coverage: Figures, mutants: Mapping[str, Any]) -> str:
    """Give the page. coverage, mutants: what the runs of those names kept; nothing where empty."""
    parts = [HEAD, KILLS, *_kills(figures), TWICE, *_twice(figures), FUZZ, *_fuzz(figures), REST]
    if coverage or mutants:
        parts.append(STRENGTH)
    if coverage:
        parts += [PASSED, *_coverage(coverage)]
    if mutants:
        parts += [CHANGED, *_mutants(mutants), UNNOTICED, *_unnoticed(mutants)]
    return "".join(parts)


def _kills(figures: Figures) -> Iterator[str]:
    for name, each in figures.items():
        if name.startswith("killed: "):
            cells = ("trials", "in the middle", "the new stood", "left beside, and removed")
            counts = " | ".join(_count(each, cell) for cell in cells)
            yield f"| {name.removeprefix('killed: ')} | {counts} |\n"


def _twice(figures: Figures) -> Iterator[str]:
    for name, each in figures.items():
        if " at once: " in name:
            yield f"| {name} | {_count(each, 'trials')} |\n"


def _fuzz(figures: Figures) -> Iterator[str]:
    found = figures.get("fuzz", {})
    for reader in sorted({name.rpartition(": ")[0] for name in found if ": " in name}):
        counts = [int(found.get(f"{reader}: {what}", 0)) for what in ("refused", "read", "WRONG")]
        yield f"| {reader} | {' | '.join(f'{n:,}' for n in (sum(counts), *counts))} |\n"


def _coverage(coverage: Figures) -> Iterator[str]:
    for room, each in coverage.items():
        cells = [
            f"{int(each[what]):,} | {100 * each[f'{what} passed'] / max(1, each[what]):.1f} %"
            if each[what]
            else "0 | "
            for what in ("lines", "branches")
        ]
        yield f"| {room} | {' | '.join(cells)} |\n"


def _mutants(mutants: Mapping[str, Any]) -> Iterator[str]:
    for room, each in mutants["rooms"].items():
        tried, killed = each["tried"], each["killed"]
        without = sum(name in mutants["explained"] for name in each["survivors"])
        real = tried - without
        low, high = (100 * end for end in clopper_pearson(killed, real))
        first = f" (at first {each['killed at first']})" if "killed at first" in each else ""
        yield (
            f"| {room} | {each['mutants']:,} | {tried} | {without} | {killed}{first} "
            f"| {100 * killed / real:.0f} % | {low:.0f} to {high:.0f} % |\n"
        )


def _unnoticed(mutants: Mapping[str, Any]) -> Iterator[str]:
    for each in mutants["rooms"].values():
        for name in each["survivors"]:
            module, _, change = name.partition(": ")
            why = mutants["explained"].get(name, "no test yet")
            told = change.replace("|", "\\|")
            yield f"| {module.removeprefix('superpose.')}: {told} | {why} |\n"


def _count(each: Mapping[str, float], cell: str) -> str:
    return f"{int(each[cell]):,}" if cell in each else ""


def recorded() -> tuple[Figures, Figures, Mapping[str, Any]]:
    """Give all figures that the page is made of."""
    figures, coverage, mutants = (
        json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        for file in (FIGURES, COVERAGE, MUTANTS)
    )
    return figures, coverage, mutants


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(*recorded()), encoding="utf-8")


if __name__ == "__main__":
    main()
