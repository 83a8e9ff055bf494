"""docs/prediction.md from the tournament's record: no figure in it is typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.readme import write_block
from superpose.files import new_file

__all__ = ["COMMAND", "PAGE", "page", "short", "write_pages"]

COMMAND = "python -m benchmarks.prediction"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "prediction.md"

HEAD = """\
# Who foretells interference?

Made by `python -m benchmarks.prediction judge` from `benchmarks/results/prediction.json`, whatever
it says. Interference is L_i(sum) - L_i(own): how many nats an answer token domain i loses on its
test rows when the other adapters join its own, all with task weight 1. A point is one sum on one
of its domains. Predictors see the weights and, where they need data, the domain's calibration
rows, which no test row is among. Brackets hold a 95 % interval from a bootstrap over domains and
seeds. Left-out error: the mean absolute error, in nats, on a domain that the straight line from
figure to nats was not fitted on. Error and bias: of predictions that are in nats already.
"""

NOTES = """\
A figure for more than two adapters is that of the own adapter beside the sum of the others; the
cosines of A and of B, which a sum does not have, are root mean squares over the others. *Pairs
evaluated* adds up what each other adapter does alone on the calibration rows, so for pairs it is
a measurement on other rows of the same domain, and what lambda space costs beyond it buys slopes,
weights other than 1 and what several do together. *Lambda space* fits one polynomial of all
adapters' weights to each domain. MAP has two evaluations for each of its
coefficients, on so many fewer rows that it sees as many tokens as lambda space; it was measured for
the first seed alone. Controls are calibrated on half of the rows. Tokens are counted
once a forward pass, and a gradient as two passes. OSRM is charged for the gradients that are taken
with its inputs, and pairs evaluated for slopes where values would do: half would be enough.
"""

METHODS = {
    "average": "average, 1/K",
    "tuned": "one an adapter",
    "by-layer": "one an adapter and layer",
    "by-module": "one an adapter and module",
}

WEIGHTS = """\
Weights found on the calibration rows, measured on the test rows, for sums of the first seed: all of
them, or for finer weights a few drawn of each size. Regret is the mean, over a sum's domains, of
what each loses against its own adapter, in nats an answer token; the gap is the naive sum's regret.
Promised: better than naive in 90 % of sums and than the average in 75 %; a third of the gap closed
with one weight an adapter, 80 % with finer ones. A bootstrap cannot leave 100 %: nine sums of nine
would not be surprising of a share of 66 % or more.
"""

CONTROLS = {
    "same-a": "adapters that start from the same A",
    "random": "the others replaced by random factors of the same norms in every module",
    "calibration": "adapters trained on the calibration rows alone, which predictors see again",
}


def page(record: Mapping[str, Any]) -> str:
    """The whole page, as Markdown."""
    return "\n".join(
        [
            HEAD,
            *_measured(record),
            *_predictors(record),
            *_targets(record),
            *_weights(record),
            *_end(record),
        ]
    )


def write_pages(record: Mapping[str, Any]) -> None:
    """Write the page, and README.md's block."""
    with new_file(PAGE) as beside:
        beside.write_text(page(record), encoding="utf-8")
    write_block(COMMAND, short(record))


def short(record: Mapping[str, Any]) -> str:
    """What the README says: what foretells best, with data and without, and what weights gain."""
    by_name = {each["name"]: each for each in record["predictors"]}
    free = _best_without_data(record)
    plainly = {"count": "the number of adapters"}.get(free, free)
    told = {
        "lambda space": "lambda space, `superpose predict`",
        "pairs evaluated": "every pair evaluated on the same rows",
        free: f"the best that reads the weights alone: {plainly}",
        "rms cosine": "RMS cosine, the paper's",
    }
    rows = [
        [label, *(_spearman(by_name[name]["groups"][group]) for group in ("all", "pairs"))]
        for name, label in told.items()
    ]
    group = record["groups"]["all"]
    lines = [
        f"How well each ranks {group['n']} losses in {group['sums']} sums, with 95 % intervals "
        "over domains and seeds:\n",
        *_table(["predictor", "Spearman, all sums", "Spearman, pairs"], rows),
    ]
    tuned = {name: each for name, each in record["weights"].items() if name != "average"}
    if tuned:
        rows = [
            [METHODS[name], str(each["sums"])]
            + [_percent(each[key]) for key in ("better_than_naive", "gap_closed")]
            for name, each in tuned.items()
        ]
        head = [
            "tuned weights",
            "sums",
            "better than the naive sum",
            "of its gap to the own adapters closed",
        ]
        lines += [
            "What tuned weights gain on test rows; the gap is the loss against each own adapter:\n",
            *_table(head, rows),
        ]
    return "\n".join(lines).strip("\n")


def _measured(record: Mapping[str, Any]) -> Iterator[str]:
    settings = record["tournament"]
    train, calibration, test = settings["rows"]
    lora = settings["lora"]
    yield "## What was measured\n"
    yield (
        f"Base `{settings['base']}`, {len(record['domains'])} domains, seeds "
        f"{', '.join(map(str, record['seeds']))}; rank {lora['rank']}, alpha {lora['alpha']:g}; "
        f"{train} training, {calibration} calibration and at least {test} test rows a domain of at "
        f"most {settings['max_tokens']} tokens.\n"
    )
    head = ["points", "number", "sums", "mean (nats)", "deviation", "least", "most", "harmed"]
    rows = [
        [_group_name(name), str(found["n"]), str(found["sums"])]
        + [f"{found[key]:+.4f}" for key in ("mean", "spread", "least", "most")]
        + [f"{100 * found['harmed']:.0f} %"]
        for name, found in record["groups"].items()
        if found
    ]
    yield from _table(head, rows)
    yield (
        "The controls, one seed each: "
        + "; ".join(f"*{_group_name(name)}*, {what}" for name, what in CONTROLS.items())
        + ".\n"
    )
    head = ["nats on test rows", "base", "own adapter", "same-A adapter", "trained on calibration"]
    kinds = ("base", "main", "same-a", "calibration")
    losses = record["domains"].items()
    yield from _table(head, [[name, *(_nats(loss[k]) for k in kinds)] for name, loss in losses])


def _predictors(record: Mapping[str, Any]) -> Iterator[str]:
    for group, title in (("all", "## All sums"), ("pairs", "## Pairs alone")):
        found = record["groups"][group]
        if found:
            yield title + "\n"
            if found["ceiling"] is not None:
                yield (
                    f"{found['n']} points. Half of the test rows agree with the other half so far "
                    f"that a perfect predictor would reach a Spearman of about "
                    f"{found['ceiling']:.2f}.\n"
                )
            yield from _table(*_standing(record, group))
    yield NOTES
    yield "## Controls\n"
    names = [name for name in record["groups"] if name in CONTROLS]
    rows = [
        [each["name"], *(_spearman(each["groups"][name]) for name in ("pairs", *names))]
        for each in record["predictors"]
    ]
    yield from _table(["Spearman", "pairs", *map(_group_name, names)], rows)


def _standing(record: Mapping[str, Any], group: str) -> tuple[list[str], list[list[str]]]:
    head = ["predictor", "points", "Spearman", "Pearson", "p, labels permuted", "left-out error"]
    head += ["error", "bias", "tokens a domain", "seconds a domain"]
    if group != "pairs":
        head.remove("p, labels permuted")
    rows = []
    for each in record["predictors"]:
        found = each["groups"][group]
        if found is None:
            continue
        row = [each["name"], str(found["n"]), _spearman(found)]
        row += [_figure(found["pearson"], found["pearson_interval"])]
        row += [_plain(found["permutation_p"])] if group == "pairs" else []
        row += [_nats(found[key]) for key in ("left_out_error", "error", "bias")]
        rows.append(row + _cost(each["cost"]))
    return head, rows


def _targets(record: Mapping[str, Any]) -> Iterator[str]:
    """Say of what was promised of lambda space whether it holds."""
    by_name = {each["name"]: each for each in record["predictors"]}
    found = by_name["lambda space"]["groups"]["all"]
    group = record["groups"]["all"]
    if found is None or found["spearman"] is None:
        return
    best = _best_without_data(record)
    free = by_name[best]["groups"]["all"]["spearman"]
    yield "## What was promised of lambda space\n"
    rows = [
        ["Spearman over all points", "at least 0.9", f"{found['spearman']:.3f}"],
        ["error / mean interference", "at most 1/3", f"{found['error'] / group['mean']:.3f}"],
        [f"best without data: {best}", "below lambda space", f"{free:.3f}"],
    ]
    holds = [
        found["spearman"] >= 0.9,
        group["mean"] > 0 and found["error"] <= group["mean"] / 3,
        abs(free) < found["spearman"],
    ]
    marked = [[*row, "yes" if kept else "**no**"] for row, kept in zip(rows, holds, strict=True)]
    yield from _table(["figure", "promised", "measured", "holds"], marked)


def _best_without_data(record: Mapping[str, Any]) -> str:
    free = {
        each["name"]: abs(each["groups"]["all"]["spearman"] or 0.0)
        for each in record["predictors"]
        if not each["needs"]
    }
    return max(free, key=lambda name: free[name])


def _weights(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what other task weights than 1 did on the test rows."""
    found = record["weights"]
    if not found:
        return
    yield "## Tuned weights\n"
    yield WEIGHTS
    head = ["weights", "sums", "regret, naive", "regret", "gap closed", "better than naive"]
    rows = [
        [
            METHODS[name],
            str(each["sums"]),
            *(_nats(each[key]) for key in ("naive_regret", "regret")),
            *(_percent(each[key]) for key in ("gap_closed", "better_than_naive")),
            "" if name == "average" else _percent(each["better_than_average"]),
        ]
        for name, each in found.items()
    ]
    yield from _table([*head, "better than average"], rows)


def _end(record: Mapping[str, Any]) -> Iterator[str]:
    made = record["measured_with"]
    libraries = ", ".join(f"{name} {made[name]}" for name in ("numpy", "torch", "transformers"))
    yield (
        f"{made['cores']} cores of {made['processor']}, {made['system']}; python {made['python']}, "
        f"{libraries}. Other work ran on the same cores, so seconds are upper bounds.\n"
    )


def _group_name(name: str) -> str:
    return {"same-a": "same A", "calibration": "calibration rows"}.get(name, name)


def _cost(cost: Mapping[str, float] | None) -> list[str]:
    if cost is None:
        return ["not measured", "not measured"]
    return [f"{cost['tokens']:,}", f"{cost['seconds']:.0f}"] if cost["tokens"] else ["0", "0"]


def _spearman(found: Mapping[str, Any] | None) -> str:
    return "" if found is None else _figure(found["spearman"], found["spearman_interval"])


def _percent(found: Mapping[str, Any]) -> str:
    value, interval = found["value"], found["interval"]
    ends = "" if interval is None else f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"
    return f"{100 * value:.0f} %{ends}"


def _figure(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "none"
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join(["---", *["---:"] * (len(head) - 1)]) + " |"
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""
