"""docs/exactness.md and the block in README.md, from the record alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.exactness.cases import GROUPS
from benchmarks.readme import write_block
from benchmarks.result import RESULTS

__all__ = ["COMMAND", "PAGE", "RECORD", "page", "readme_table", "short_table", "write_pages"]

COMMAND = "python -m benchmarks.exactness"
RECORD = RESULTS / "exactness.json"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "exactness.md"

_COUNTED = {
    "exact": "exact",
    "rounded": "as good as bfloat16",
    "wrong": "wrong, without an error",
    "refused": "refused",
}
_IN_A_MODEL = ("in a PeftModel",)
_SUMS = ("exact", "rounded", "wrong")
_TRAINED_ON = {"bare": "without a head", "split": "with its layers split"}

_HEAD = """\
# Who writes the sum

Made by `python -m benchmarks.exactness`; no figure here is typed, and each tool was asked for the
same cases, in one run of its own. Each case is two or three adapters with random factors on a tiny
random model, saved by PEFT itself, and each tool is asked to write their weighted sum. What it
wrote is loaded again, an adapter by PEFT into a fresh base, a model by transformers, in float64,
and compared with the right sum: what each adapter's own `merge_and_unload` changes in a fresh base,
times its weight, added up.

There are three groups of cases:

- *Kinds of adapters*: what two adapters of one spelling can be.
- *One weight, two names*: the adapters call the same weights by different names, as files of
  different trainers and years do. Each is what PEFT makes of it on the model that it was trained
  on; one that PEFT of today does not load is what it was before it was respelled. What a tool wrote
  is loaded into each parent's model, and where it fits best counts.
- *A part is lost*: a file holds a tensor without numbers where a part of the adapter was. There is
  no way to the sum, and *refused* is the right answer.

- A number is |written - right| / |right| over all parameters. Up to {exact:g} it is exact: what is
  left is the rounding to float32, of factors or of a model's weights. Up to {rounded:.1g} it is as
  good as bfloat16. **Bold** is a wrong sum, written without an error.
- *refused*: the tool ended with an error and left nothing. *broken*: what it left cannot be loaded.
- *no way*: its interface cannot ask for this sum.
- Some ways do not aim at the sum (said under "How each is called"). They stand here because they
  are offered for the same purpose.
"""

_SHORT = """\
## In short

Each tool's best way to write an adapter from the adapters alone, to write one with the base model
at hand, and to write a whole model.
"""

Record = Mapping[str, Any]


def write_pages() -> None:
    """Write docs/exactness.md, and README.md's block, from the record that lies here."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    PAGE.write_text(page(record), encoding="utf-8")
    write_block(COMMAND, readme_table(record))


def readme_table(record: Record) -> str:
    """Count how many sums each tool's best way to write an adapter gets right, and how many wrong.

    Of the first group of cases. What adds adapters in a model that PEFT has loaded has a column of
    its own, under the name of its function.
    """
    first = _part(record, GROUPS[0])
    ways = [row for row in first["ways"] if row["writes"] == "adapter"]
    files = [row for row in ways if row["way"] not in _IN_A_MODEL]
    ours, *others = _best_of_each(first, files)
    rows = [ours, *(row for row in ways if row not in files), *others]
    right = [_right(first, row) for row in rows]
    wrong = [_count(first, row, "wrong") for row in rows]
    left = [len(first["cases"]) - r - w for r, w in zip(right, wrong, strict=True)]
    counts = {
        "right": right,
        "wrong, without an error": wrong,
        "refused, broken, or no way to ask": left,
    }
    lines = ["| | " + " | ".join(map(_head, rows)) + " |", "| --- |" + " ---: |" * len(rows)]
    lines += [f"| {what} | " + " | ".join(map(str, each)) + " |" for what, each in counts.items()]
    return "\n".join(lines)


def _head(row: Record) -> str:
    """Give what a column of the README is called."""
    loaded = row["way"] in _IN_A_MODEL
    return f"`{row['call'].partition('(')[0]}`" if loaded else f"{row['tool']} `{row['way']}`"


def short_table(record: Record) -> str:
    """Give every case of the first group with each tool's best ways there, and the others' counts.

    One way to write an adapter without the base model, one with it, and one to write a model; and
    the one that adds adapters in a model that PEFT has loaded.
    """
    kinds = (("adapter", False), ("adapter", True), ("model", True))
    first, names, lost = (_part(record, group) for group in GROUPS)
    best = [row for kind in kinds for row in _best_ways(first, *kind)]
    loaded = [row for row in first["ways"] if row["way"] in _IN_A_MODEL and row not in best]
    # What a call in a loaded model gives stands beside what a file of it gives.
    place = max((n for n, row in enumerate(best) if row["writes"] == "adapter"), default=-1) + 1
    best[place:place] = loaded
    heads = [f"{row['tool']}<br>{row['way']}" for row in best]
    lines = [*_matrix(first, best, heads), *_counts(first, best, _SUMS), *_needs(best)]
    lines += _counts(names, best, ("exact", "wrong"), f"{GROUPS[1]}: ")
    lines += _counts(lost, best, ("refused",), f"{GROUPS[2]}: ")
    return "\n".join([*lines, "", *_never(record)])


def page(record: Record) -> str:
    """Give the whole page."""
    parts = [
        _HEAD.format(exact=record["exact_at"], rounded=record["rounded_at"]),
        f"{_SHORT}\n{short_table(record)}\n",
    ]
    for tool in dict.fromkeys(row["tool"] for row in record["ways"]):
        rows = [row for row in record["ways"] if row["tool"] == tool]
        heads = [row["way"] for row in rows]
        parts.append(f"## {tool}\n")
        for group in GROUPS:
            part = _part(record, group)
            kinds = ("refused", "wrong") if group == GROUPS[2] else _SUMS
            lines = [*_matrix(part, rows, heads), *_counts(part, rows, kinds), *_needs(rows)]
            parts.append(f"{group.capitalize()}:\n\n" + "\n".join(lines) + "\n")
    parts += [*_calls(record), *_cases(record), *_left_out(record), _made(record)]
    return "\n".join(parts)


def _best_ways(record: Record, writes: str, base: bool) -> Iterator[Record]:
    """Give each tool's best way of one kind, in the record's order of tools."""
    yield from _best_of_each(
        record, [row for row in record["ways"] if (row["writes"], row["base"]) == (writes, base)]
    )


def _best_of_each(record: Record, ways: Sequence[Record]) -> Iterator[Record]:
    """Give each tool's best of these ways.

    The best has most sums exact or as good as bfloat16, then fewest wrong; the first of equals.
    """
    for tool in dict.fromkeys(row["tool"] for row in ways):
        yield max(
            (row for row in ways if row["tool"] == tool),
            key=lambda row: (_right(record, row), -_count(record, row, "wrong")),
        )


def _never(record: Record) -> Iterator[str]:
    """Name the ways that wrote no sum right."""
    never: dict[str, list[str]] = {}
    for row in record["ways"]:
        if not _right(record, row):
            never.setdefault(row["tool"], []).append(f"`{row['way']}`")
    if never:
        names = "; ".join(f"{tool} {', '.join(ways)}" for tool, ways in never.items())
        yield f"Right in no case: {names}."


def _matrix(record: Record, rows: Sequence[Record], heads: Sequence[str]) -> Iterator[str]:
    yield "| | " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * len(rows)
    for case in record["cases"]:
        cells = (_cell(record, row["outcomes"][case["name"]]) for row in rows)
        yield f"| {case['name']} | " + " | ".join(cells) + " |"


def _counts(
    record: Record, rows: Sequence[Record], kinds: Sequence[str], before: str = ""
) -> Iterator[str]:
    for kind in kinds:
        counts = (f"{_count(record, row, kind)} of {len(record['cases'])}" for row in rows)
        yield f"| *{before}{_COUNTED[kind]}* | " + " | ".join(counts) + " |"


def _needs(rows: Sequence[Record]) -> Iterator[str]:
    yield "| *writes* | " + " | ".join(row["writes"] for row in rows) + " |"
    needs = ("yes" if row["base"] else "no" for row in rows)
    yield "| *needs the base model* | " + " | ".join(needs) + " |"


def _cell(record: Record, outcome: Record) -> str:
    kind = _kind(record, outcome)
    if kind == "wrong":
        return f"**{outcome['error']:.2g}**"
    if kind in {"exact", "rounded"}:
        return f"{outcome['error']:.0e}" if outcome["error"] else "0"
    return {"cannot": "no way"}.get(kind, kind)


def _kind(record: Record, outcome: Record) -> str:
    if outcome["outcome"] != "measured":
        return str(outcome["outcome"])
    if outcome["error"] <= record["exact_at"]:
        return "exact"
    return "rounded" if outcome["error"] <= record["rounded_at"] else "wrong"


def _right(record: Record, row: Record) -> int:
    return _count(record, row, "exact") + _count(record, row, "rounded")


def _count(record: Record, row: Record, kind: str) -> int:
    outcomes = (row["outcomes"][case["name"]] for case in record["cases"])
    return sum(_kind(record, each) == kind for each in outcomes)


def _part(record: Record, group: str) -> Record:
    """Give the record with the cases of one group alone."""
    return {**record, "cases": [case for case in record["cases"] if case["group"] == group]}


def _calls(record: Record) -> Iterator[str]:
    yield "## How each is called\n"
    yield "| tool | way | call | writes | aims at |"
    yield "| --- | --- | --- | --- | --- |"
    for row in record["ways"]:
        call = row["call"].replace("|", "\\|")
        aim = row["aim"] or "the sum"
        yield f"| {row['tool']} | {row['way']} | `{call}` | {row['writes']} | {aim} |"
    yield ""


def _cases(record: Record) -> Iterator[str]:
    yield "## The cases\n"
    yield "Rank 4, alpha 8, q_proj and v_proj, weights 1 and float32, where nothing else is said.\n"
    yield "| case | base | adapters | weights | files |"
    yield "| --- | --- | --- | --- | --- |"
    for case in record["cases"]:
        adapters = "; ".join(_adapters(case))
        if case["on_disk"]:
            adapters += f"; on disk `{json.dumps(case['on_disk'])}`"
        weights = ", ".join(f"{weight:g}" for weight in case["weights"])
        base = case["base"] + (
            "" if case["base_dtype"] == "float32" else f" in {case['base_dtype']}"
        )
        yield f"| {case['name']} | {base} | {adapters} | {weights} | {case['dtype']} |"
    yield ""


def _adapters(case: Record) -> Iterator[str]:
    """Say what each adapter of a case is."""
    hosts, spellings = (case[key] or [""] * len(case["adapters"]) for key in ("hosts", "spellings"))
    for settings, host, spelling in zip(case["adapters"], hosts, spellings, strict=True):
        said = [f"`{json.dumps(settings)}`" if settings else "plain"]
        if host:
            said.append(f"trained on the model {_TRAINED_ON[host]}")
        if spelling:
            said.append(f"respelled: {spelling}")
        yield ", ".join(said)


def _left_out(record: Record) -> Iterator[str]:
    yield "## Not in the table\n"
    yield from (f"- {tool}: {why}." for tool, why in record["not_measured"].items())
    yield from (f"- {tool}: not installed in this run." for tool in record["missing"])
    yield ""


def _made(record: Record) -> str:
    lines = ["## Versions\n"]
    tools = {row["tool"]: row["versions"] for row in record["ways"]}
    for tool, versions in tools.items():
        lines.append(f"- {tool}: " + ", ".join(f"{name} {each}" for name, each in versions.items()))
    return "\n".join([*lines, ""])
