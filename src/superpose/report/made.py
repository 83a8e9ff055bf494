"""How a page was made: command, versions, seeds, data, machine, times, and what each figure is."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from superpose._version import __version__
from superpose.report.page import Section
from superpose.report.texts import public
from superpose.shown.words import counted

__all__ = ["COVERS", "DEFINITIONS", "Making", "made_section"]

_PACKAGES = ("numpy", "torch", "transformers", "peft")

COVERS = "having these calibration rows and not others, and what the polynomial may miss"
"""What a forecast's 95 % interval is for (docs/mathematics.md, Errors)."""

DEFINITIONS = {
    "delta": "What an adapter adds to a target module's weight: s·B·A, with scaling s and factors "
    "B and A. It is never formed; every figure comes from the factors.",
    "cosine": "Inner product of two deltas over the product of their norms, signed: 1 the same "
    "direction, 0 none in common, −1 opposite. Of whole adapters: inner products and squared norms "
    "summed over the target modules.",
    "RMS cosine": "Root mean square of the cosines of the shared target modules, the predictor of "
    "arXiv 2508.11985.",
    "floor": "Standard deviation that the cosine of two unrelated deltas has, 1/√(out·in) for one "
    "target module. Of unrelated pairs hardly one lies beyond ± 3.5 floors.",
    "overlap": "Share of the smaller side that two deltas have in common: |Qᵀ Q′|² / min(r, r′) of "
    "the spaces they write to (outputs, from B) or read from (inputs, from A). Chance: "
    "max(r, r′) / d.",
    "norm ratio": "Frobenius norm of the larger adapter over that of the smaller.",
    "energy ratio": "Squared norm of the sum over the sum of squared norms: 1 when all are "
    "orthogonal, K when equal, below 1 when they cancel.",
    "perplexity": "exp of the mean negative log-likelihood, in nats, of the answer tokens given "
    "the question. Lower is better; 1 is certainty. It says how expected an answer is, not that it "
    "is right.",
    "task weights": "λ, the coefficients of a sum: W(λ) = W₀ + Σ λₖ ΔWₖ. The naive sum has 1 "
    "everywhere, the average 1/K.",
    "prediction": "A polynomial in the task weights for each domain, through the losses that were "
    "measured on its calibration rows, and near the slopes. What it foretells has ~ before it, and "
    f"a 95 % interval for {COVERS}; what was measured at these very weights has none, and an "
    "interval for having these rows alone.",
    "interference": "Nats an answer token that a domain's loss is above that of its own adapter "
    "alone.",
    "disturbance": "What a domain loses when one other adapter joins its own, measured on "
    "calibration rows; the modules' parts, by the slopes on the way, sum to it.",
    "calibrated region": "The smallest box that holds the task weights at which a domain was "
    "measured, as far as no other adapter weighs more than twice the domain's own. Beyond it a "
    "prediction is a guess, and marked.",
    "right answers": "Of questions with choices: right where the right choice is likelier than the "
    "best wrong one, all tokens counted; the difference is the margin. Where margins were not "
    "measured each question counts with its probability to be right; the interval covers having "
    "these questions and not others, and what is not known of these.",
    "share kept": "Of what a domain's own adapter gains over the base, in nats, how much is left "
    "under the sum. Measured on test questions, its 95 % interval is a bootstrap over them in "
    "which loss and gain vary together, seeds averaged; predicted, it is that of the interference, "
    "with the gain taken as exact.",
    "merged data": "One adapter of the same configuration, trained on the union of the domains' "
    "training rows for as many epochs.",
    "dPPL": "Change of perplexity in per cent against merged data, or against what is named. The "
    "95 % interval is a bootstrap over test questions, with several seeds joined with Student's "
    "interval over them, the margins in squares; ± is the standard deviation over seeds.",
    "correlation": "Pearson's r over combinations and seeds, with a bootstrap interval over "
    "domains and seeds where there are at least five domains. Points that share an adapter are not "
    "independent.",
    "objective": "Mean, or largest, of the domains' losses above their own adapters, in nats an "
    "answer token.",
}
"""What each figure on a page is."""


@dataclass(frozen=True)
class Making:
    """What a command knows of its own run.

    command: as it was typed. seconds: by activity, wall time. seeds: none where nothing is random.
    base: what it was called. data: (what, how much, fingerprint), such as a domain's rows. versions
    and machine: of the run where it was another process, else of this one.
    """

    command: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    seeds: Sequence[int] = ()
    base: str | None = None
    data: Sequence[tuple[str, str, str]] = ()
    versions: Mapping[str, str | None] | None = None
    machine: Mapping[str, object] | None = None


def made_section(made: Making, terms: Iterable[str], remarks: Sequence[str] = ()) -> Section:
    """Give the section. terms: keys of DEFINITIONS that the page speaks of."""
    machine = made.machine or {"cpus": os.cpu_count(), "processor": platform.machine()}
    facts = [
        ("Base model", made.base and public(made.base)),
        ("Seeds", ", ".join(map(str, made.seeds)) or "none: nothing here is random"),
        ("Versions", _listed(made.versions or _versions())),
        ("Machine", _machine(machine)),
        ("Time", ", ".join(f"{what} {_time(s)}" for what, s in made.seconds.items())),
        ("Page", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, superpose {__version__}"),
    ]
    values = {
        "command": made.command,
        "facts": [(name, text) for name, text in facts if text],
        "data": made.data,
        "remarks": remarks,
        "definitions": [(term, DEFINITIONS[term]) for term in dict.fromkeys(terms)],
    }
    return Section("made", "How it was made", values)


def _versions() -> dict[str, str]:
    """Versions of Python, superpose and those libraries that this run has loaded."""
    found = {"superpose": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        if name in sys.modules:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
    return found


def _listed(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items() if number)


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _machine(machine: Mapping[str, object]) -> str | None:
    counts = [(machine["cpus"], "core"), (machine.get("threads"), "thread")]
    told = [counted(int(str(count)), what) for count, what in counts if count]
    return ", ".join((*told, str(machine["processor"]))) if machine["cpus"] else None
