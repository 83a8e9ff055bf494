"""Write docs/results.md from the summaries under docs/results/: no figure in it is typed.

python scripts/results.py                   the page, from the summaries that are there
python scripts/results.py runs/smollm2      first copy that study's summary, table and row losses
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from superpose.statistics import over_seeds
from superpose.studies.cells import TITLES
from superpose.studies.summary import told_from

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS = DOCS / "results"
PAGE = DOCS / "results.md"

TITLE = "# Results\n"

SHORT = ("sum", "tuned", "regmean", "merged")

HEAD = """\
## How to read it

Made by `make docs` from the JSON under `docs/results/`, as measured. Perplexity is that of the
answer's tokens given the question. dPPL % = 100 · (PPL of the sum / PPL of the other - 1): below
zero the naive sum of the adapters is better. ± is the standard deviation over seeds; brackets
hold a 95 % interval over test questions, of several seeds over them too: Student's interval over
seeds and the bootstrap over questions, their margins joined in squares. A study leaves its rows'
losses as `rows.npz`, from which `tests/studies/recomputed.py` makes its figures again; they lie
beside the demo's, and of the two earlier runs, demo-baselines and smollm2, were not kept.
"""

EARLIER = {"demo-baselines", "smollm2"}
"""Runs from before forecasts went through what was measured, and before rows' losses were kept."""

# The abstract of arXiv 2508.11985: GPT-2 Small on other data, so to be set beside, not equal.
PAPER = {
    frozenset({"math", "medicine"}): -9.10,
    frozenset({"math", "finance"}): 4.54,
    frozenset({"finance", "medicine"}): 27.56,
}

# What has to be said of a study's methods.
NOTES = {
    "regmean": "RegMean: each layer is fitted to what the calibration rows send into it "
    "([docs/merging.md](merging.md)).",
    "tuned": "Tuned: the weights that the forecast finds best for the subset's domains.",
    "merged_steps": "Equal steps: as many as one single adapter had.",
    "merged_rank": "Rank K·r: that of the exact sum, at the same scaling.",
}

BASES = {"smollm2": " (tuned for instructions, held in Q4_1, asked without its chat template)"}

DATA = {
    "smollm2": "Real questions: finance from virattt/financial-qa-10K (no licence stated), "
    "medicine from MedQuAD (Ben Abacha and Demner-Fushman 2019, CC BY 4.0), math from GSM8K "
    "(MIT), which stands in for the paper's MathQA. None of it ships with superpose. Other work "
    "ran on the same cores meanwhile, so the wall times are upper bounds.",
    "demo": "Questions from the demo's seeded generator.",
}


def page() -> str:
    """The whole page, as Markdown."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*/summary.json"))]
    studies = ("\n".join(_study(summary)) for summary in found)
    return "\n".join([TITLE, *_in_short(found), HEAD, *studies])


def _in_short(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the naive sums cost against merged data, a line a study."""
    yield "## In short\n"
    yield (
        "Perplexity of each study's naive sum against fine-tuning on the merged data for as many "
        "epochs, on the union of the test sets (dPPL %, below); the same against fine-tuning of as "
        "many steps as one adapter had, where that was trained; and what is kept of the own "
        "adapters' gain over the base:\n"
    )
    for summary in found:
        *some, whole = sorted(summary["subsets"], key=lambda one: len(one["domains"]))
        pairs = [one for one in some if len(one["domains"]) == 2]
        of_pairs = [pair["measured"][-1]["dppl_merged"]["mean"] for pair in pairs]
        two = f"two adapters {min(of_pairs):+.1f} to {max(of_pairs):+.1f} %, " if pairs else ""
        kept = {
            row["method"]: row["kept"]["share"]
            for row in summary.get("methods") or ()
            if row["domain"] == "union" and row["subset"] == whole["domains"]
        }
        said = [
            f"{TITLES[m].lower()} {100.0 * kept[m]:.0f} %" for m in SHORT if kept.get(m) is not None
        ]
        yield (
            f"- `{summary['name']}`: {two}"
            f"all {len(whole['domains'])} {_change(whole['measured'][-1]['dppl_merged'])} %"
            + _of_equal_steps(summary, pairs, whole)
            + (f" Of all {len(whole['domains'])} is kept: {', '.join(said)}." if said else "")
        )
    yield ""


def _of_equal_steps(
    summary: Mapping[str, Any], pairs: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]
) -> str:
    """Say the same against merged data of one adapter's steps, where that was trained."""
    found = {tuple(one["domains"]): _changes(summary, one) for one in (*pairs, whole)}
    if not all(found.values()):
        return "."
    of_pairs = [fmean(found[tuple(pair["domains"])]) for pair in pairs]
    two = f"{min(of_pairs):+.1f} to {max(of_pairs):+.1f} % and " if pairs else ""
    return f"; of equal steps {two}{_with_spread(found[tuple(whole['domains'])])} %."


def _changes(summary: Mapping[str, Any], subset: Mapping[str, Any]) -> list[float]:
    """Give the naive sum's dPPL % against merged data of equal steps, by seed; none where not."""
    return [
        100 * (mine / theirs - 1)
        for row in summary.get("methods") or ()
        if (row["method"], row["domain"]) == ("merged_steps", "union")
        and row["subset"] == subset["domains"]
        for mine, theirs in zip(
            subset["measured"][-1]["sum"]["values"], row["perplexity"]["values"], strict=True
        )
    ]


def _study(summary: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {summary['name']}\n"
    yield DATA.get(summary["name"], "") + "\n"
    yield from _settings(summary)
    domains = list(summary["domains"])
    yield "### Each adapter on each domain (perplexity)\n"
    rows = [
        [name if name == "base" else f"{name} adapter", *(_mean(row[d]) for d in domains)]
        for name, row in summary["own_adapters"].items()
    ]
    yield from _table(["model", *domains], rows)
    yield "### Naive sums against merged-data fine-tuning\n"
    yield from _table(*_sums(summary))
    yield from _beside_the_paper(summary)
    # Studies that were run before the forecast came have neither.
    if summary.get("methods"):
        yield from _methods(summary)
    if summary.get("forecast"):
        yield from _forecast(summary)
    yield "### What the weights tell\n"
    yield from _table(*_points(summary))
    yield from _table(*_correlations(summary))
    yield from (
        f"- {remark[0].upper()}{remark[1:]}.".replace("..", ".") for remark in summary["remarks"]
    )
    yield ""


def _settings(summary: Mapping[str, Any]) -> Iterator[str]:
    settings, seconds = summary["settings"], summary["seconds"]
    lora, training = settings["lora"], settings["training"]
    machine, versions = summary["machine"], summary["versions"]
    steps = ceil(settings["train_rows"] / training["batch_size"]) * training["epochs"]
    yield (
        f"Base `{summary['base']}`{BASES.get(summary['base'], '')}; rank {lora['rank']}, "
        f"alpha {lora['alpha']:g}, dropout {lora['dropout']:g}, targets "
        f"{' '.join(lora['targets'])}; {settings['train_rows']} training and "
        f"{settings['test_rows']} test rows a domain, at most "
        f"{settings['prompt']['max_tokens']} tokens; {training['epochs']:g} epoch(s), "
        f"batch {training['batch_size']}: {steps:.0f} steps an adapter; learning rate "
        f"{training['learning_rate']:g} ({training['scheduler']}); seeds "
        f"{', '.join(map(str, summary['seeds']))}, split seed {settings['split_seed']}. Test "
        "answers: "
        + ", ".join(f"{n} {d['answer_tokens']} tokens" for n, d in summary["domains"].items())
        + ".\n"
    )
    yield (
        f"Wall time of all cells: training {seconds['training'] / 60:.0f} min, evaluation "
        f"{seconds['evaluation'] / 60:.0f} min on {machine['cpus']} cores, {machine['processor']}, "
        "summed over the cells. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".\n"
    )


def _sums(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    head = ["subset", "measured on", "base", "own adapter", "sum", "merged data"]
    head += ["dPPL % against merged", "against base", "against own adapter"]
    rows = [
        [
            " + ".join(subset["domains"]) if index == 0 else "",
            row["domain"],
            *(_mean(row[method]) for method in ("base", "single", "sum", "merged")),
            *(_change(row[f"dppl_{method}"]) for method in ("merged", "base", "single")),
        ]
        for subset in summary["subsets"]
        for index, row in enumerate(subset["measured"])
    ]
    return head, rows


def _beside_the_paper(summary: Mapping[str, Any]) -> Iterator[str]:
    """Set the paper's changes beside ours, against merged data of both budgets where measured."""
    rows, turned, equal_steps = [], 0, False
    for subset in summary["subsets"]:
        claimed = PAPER.get(frozenset(subset["domains"]))
        if claimed is not None:
            union = subset["measured"][-1]
            row = [" + ".join(subset["domains"]), f"{claimed:+.2f}", _change(union["dppl_merged"])]
            if changes := _changes(summary, subset):
                equal_steps = True
                turned += union["dppl_merged"]["mean"] * fmean(changes) < 0
                row.append(_with_spread(changes))
            rows.append(row)
    if rows:
        yield "Beside the paper's abstract (GPT-2 Small, other data, another perplexity):\n"
        head = ["pair", "paper, dPPL %", "here, on the union", "merged data of equal steps"]
        yield from _table(head[: len(rows[0])], rows)
    if equal_steps:
        yield (
            "Merged data for equal epochs takes K times the steps of one adapter; against merged "
            f"data of one adapter's steps the sign turns in {turned} of {len(rows)} pairs.\n"
        )


def _methods(summary: Mapping[str, Any]) -> Iterator[str]:
    rows = summary["methods"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    yield "### One adapter for several domains: tuned, average, naive, merged data\n"
    yield (
        "Perplexity; in brackets dPPL % against merged data at equal epochs, and against each "
        "domain's own adapter. " + " ".join(NOTES[m] for m in methods if m in NOTES) + "\n"
    )
    groups = [rows[start : start + len(methods)] for start in range(0, len(rows), len(methods))]
    head = ["subset", "measured on", *(TITLES[method] for method in methods)]
    yield from _table(head, [_side_by_side(group) for group in groups])


def _side_by_side(group: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line: a subset's methods on one domain."""
    names, domain = group[0]["subset"], group[0]["domain"]
    figures = [
        f"{_mean(row['perplexity'])} ({_with_spread(row['dppl_merged']['values'])}; "
        f"{_with_spread(row['dppl_single']['values'])})"
        for row in group
    ]
    return [" + ".join(names) if domain == names[0] else "", domain, *figures]


def _forecast(summary: Mapping[str, Any]) -> Iterator[str]:
    found = summary["forecast"]
    cost, figures, inside = found["calibration"], found["interference"], found["inside"]
    yield "### Predicted beside measured\n"
    yield (
        "The naive sums' losses in nats an answer token, with 95 % intervals, predicted from "
        f"{cost['rows']} calibration rows ({cost['tokens']:,} tokens, "
        f"{cost['forward_equivalents']:g} forward passes of each, {cost['seconds']:.0f} s for all "
        "seeds; neither trained nor tested on), and measured on the test rows. Interference: nats "
        "more than under the domain's own adapter.\n"
    )
    sizes = {len(row["subset"]) for row in found["predictions"]}
    known = f"*Predicted* is from calibration rows: {told_from(sizes)}."
    if summary["name"] in EARLIER:
        known += (
            " Recorded when the fit still lay between the values that it had measured and slopes; "
            "it goes through those losses now: these columns would be others, and their intervals "
            "those of a measurement."
        )
    yield known + "\n"
    rows = [
        [
            " + ".join(row["subset"]),
            row["domain"],
            str(row["seed"]),
            _with_ends(row, "predicted_nll", ".3f"),
            f"{row['measured_nll']:.3f}",
            _with_ends(row, "predicted_interference", "+.3f"),
            f"{row['measured_interference']:+.3f}",
        ]
        for row in sorted(
            found["predictions"], key=lambda r: (len(r["subset"]), r["subset"], r["domain"])
        )
    ]
    head = ["subset", "domain", "seed", "loss, predicted", "measured"]
    yield from _table([*head, "interference, predicted", "measured"], rows)
    yield (
        f"Interference predicted against measured, {figures['n']} points: Pearson "
        f"{_figure(figures['pearson'], None)}, Spearman {_figure(figures['spearman'], None)}, mean "
        f"absolute error {figures['mean_absolute_error']:.4f} nats where the mean measured is "
        f"{figures['mean_measured']:.4f}. The measured value lies inside the interval for "
        f"{inside['nll']['inside']} of {inside['nll']['of']} losses and "
        f"{inside['interference']['inside']} of {inside['interference']['of']} interferences: the "
        "intervals are of what other rows of the domain would give on the mean, and the test rows "
        "are a sample themselves.\n"
    )
    for advice in found["advice"]:
        said = advice["reason"].rstrip(".")
        yield f"- Advice (seed {advice['seed']}): {advice['verdict']}; {said}."
    yield ""


def _points(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    figures = ["rms_cosine", "cosine", "output_overlap", "input_overlap", "energy_ratio", "norm"]
    head = ["subset", "seed", *(figure.replace("_", " ") for figure in figures)]
    head += ["dPPL % against merged", "interference (nats)"]
    rows = [
        [
            " + ".join(point["domains"]),
            str(point["seed"]),
            *("none" if point[f] is None else f"{point[f]:.4g}" for f in figures),
            f"{point['dppl_percent']:+.2f}",
            f"{point['interference']:+.4f}",
        ]
        for point in sorted(summary["points"], key=lambda p: (len(p["domains"]), p["domains"]))
    ]
    return head, rows


def _correlations(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            row["figure"].replace("_", " "),
            {"pairs": "pairs", "all": "all subsets"}[row["among"]],
            str(row["n"]),
            *(
                _figure(row[key], row[f"{key}_interval"])
                for key in ("pearson", "spearman", "slope")
            ),
        ]
        for row in summary["correlations"]
    ]
    return ["figure against dPPL %", "among", "points", "Pearson", "Spearman", "slope"], rows


def _figure(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "none"
    return f"{value:.3g}" + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")


def _with_ends(row: Mapping[str, Any], key: str, form: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"{row[key]:{form}} [{low:{form}}, {high:{form}}]"


def _mean(figure: Mapping[str, Any]) -> str:
    spread = "" if figure["spread"] is None else f" ± {figure['spread']:.2f}"
    return f"{figure['mean']:.2f}{spread}"


def _change(figure: Mapping[str, Any]) -> str:
    interval = over_seeds(figure["values"], figure["interval"])
    bounds = f" [{interval[0]:+.1f}, {interval[1]:+.1f}]" if interval else ""
    return f"{_with_spread(figure['values'])}{bounds}"


def _with_spread(values: Sequence[float]) -> str:
    return f"{fmean(values):+.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join(["---"] * len(head)) + " |"
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def main(runs: Sequence[str]) -> None:
    """Copy the named studies' results, then write the page."""
    for run in map(Path, runs):
        name = json.loads((run / "summary.json").read_text())["name"]
        (RESULTS / name).mkdir(parents=True, exist_ok=True)
        for file in ("summary.json", "table.csv", "rows.npz"):
            shutil.copyfile(run / file, RESULTS / name / file)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
