"""What a comparison of merge methods found: tables, figures, a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.shown import Cell, Column, Framed, Line, Part, Shown, Table, perplexity

if TYPE_CHECKING:
    from superpose.measure.ranking import Ranked
    from superpose.measure.standing import Standing
    from superpose.report import Page

__all__ = ["Compared"]


@dataclass(frozen=True)
class Compared(Framed, Shown):
    """Methods in order, the best on the test rows first, and what they are held against.

    prompt: what rows were asked in. references: the base, each adapter on its own domain, the naive
    sum, merged data where an adapter of it was given. commands: that write the best one. data,
    seed, seconds: what the page says of its making. chance: by domain, the share of its questions
    with choices that guessing gets right; none of a domain without such questions.
    """

    TABLE: ClassVar[str] = "methods"

    base: str
    domains: tuple[str, ...]
    prompt: Mapping[str, Any]
    ranked: tuple[Ranked, ...]
    references: tuple[Standing, ...]
    commands: tuple[str, ...]
    data: tuple[tuple[str, str, str], ...]
    seed: int
    seconds: float
    chance: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Standing:
        """The best on the test rows."""
        return self.ranked[0].standing

    def to_json(self) -> dict[str, Any]:
        """Give what `compare --json` prints: figures; rows lie in the folder, if there is one."""
        return {
            "base": self.base,
            "domains": list(self.domains),
            "prompt": dict(self.prompt),
            "chance": dict(self.chance),
            "methods": [each.to_json() for each in self.ranked],
            "references": {
                one.method: {
                    "nll": {domain: score.nll for domain, score in one.scores.items()},
                    "mean_nll": one.objective,
                    "union_nll": one.union.nll,
                    "mean_accuracy": one.accuracy,
                    "accuracy_interval": one.accuracy_intervals,
                }
                for one in self.references
            },
            "commands": list(self.commands),
        }

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.report import Making, compare_page

        made = Making(
            command=command, seconds={"this run": self.seconds}, seeds=[self.seed],
            base=self.base, data=self.data,
        )  # fmt: skip
        return compare_page(self.to_json(), self.tables(), self.csv(), made)

    def csv(self) -> tuple[list[str], list[list[object]]]:
        """Give columns and rows, a row a method and domain, references among them."""
        columns = ["method", "setting", "scale", "domain", "nll", "accuracy", "verdict", "rank",
                   "bytes", "merging_seconds", "accuracy_low", "accuracy_high",
                   "chance"]  # fmt: skip
        verdicts = {each.standing.method: each.verdict for each in self.ranked}
        rows: list[list[object]] = []
        for one in (*(each.standing for each in self.ranked), *self.references):
            for domain, score in one.scores.items():
                right = one.right.get(domain)
                share = sum(right) / len(right) if right else None
                found = (one.method, setting_of(one), one.scale, domain, score.nll, share)
                costs = (verdicts.get(one.method), one.rank, one.bytes, one.merging)
                ends = one.accuracy_intervals.get(domain, (None, None))
                rows.append([*found, *costs, *ends, self.chance.get(domain)])
        return columns, rows

    def tables(self) -> tuple[Table, ...]:
        """Give the order, the domains, right answers where rows have choices, and the costs."""
        right = (self._right(),) if self.chance else ()
        return self._order(), self._domains(), *right, self._costs()

    def shown(self) -> tuple[Part, ...]:
        """Give the tables, and the commands that write the best one."""
        best = self.ranked[0]
        what = "Nothing here can be told from the plain sum" if best.verdict == "tie" else "Best"
        lines = (Line(command, f"{what}:" if not n else "", whole=True)
                 for n, command in enumerate(self.commands))  # fmt: skip
        return *self.tables(), *lines

    def _order(self) -> Table:
        accuracy = any(each.standing.accuracy is not None for each in self.ranked)
        merged = any(each.change is not None for each in self.ranked)
        columns = (
            Column("method", lambda each: each.standing.method),
            Column("setting", lambda each: setting_of(each.standing)),
            Column("scale", lambda each: each.standing.scale, ".2f"),
            Column("PPL", lambda each: each.standing.objective, perplexity),
            Column("gap", lambda each: each.closed, ".0%"),
            Column("sum", "verdict"),
            *([Column("right", lambda each: each.standing.accuracy, ".0%")] if accuracy else ()),
            *([Column("dPPL %", "change", "+.1f")] if merged else ()),
        )
        remark = (
            "PPL: geometric mean of the domains' perplexities. gap: how much of the way from the "
            "naive sum to the own adapters. sum: against the plain sum at its own scale; a tie is "
            "nearer than two standard errors over questions. The order is that of these test rows, "
            "which flatters the first of many a little."
        )
        if merged:
            remark += " dPPL: perplexity on the union against merged data."
        return Table.of("Merge methods on the test rows, the best first", columns, self.ranked,
                        remark)  # fmt: skip

    def _domains(self) -> Table:
        standings = [*self.references, *(each.standing for each in self.ranked)]
        columns = (Column("perplexity"), *(Column(d, form="") for d in self.domains),
                   Column("union", form=""))  # fmt: skip
        rows = (
            (
                Cell(one.method),
                *(_figure(one.scores[domain].nll) for domain in self.domains),
                _figure(one.union.nll),
            )
            for one in standings
        )
        return Table("Perplexity of the answers on each domain's test rows", columns, tuple(rows))

    def _right(self) -> Table:
        standings = [*self.references, *(each.standing for each in self.ranked)]
        columns = (Column("right"), *(Column(d, form="") for d in self.chance))
        guess = (Cell("chance"), *(Cell(f"{share:.0%}", value=share)
                                   for share in self.chance.values()))  # fmt: skip
        rows = ((Cell(one.method), *(_share(one, d) for d in self.chance)) for one in standings)
        remark = (
            "The share of questions whose answer is the likeliest choice, of equals the first, "
            "with Wilson's 95 % interval over questions; chance is blind guessing."
        )
        return Table(
            "Right answers of the questions with choices, with 95 % intervals",
            columns,
            (*rows, guess),
            remark,
        )

    def _costs(self) -> Table:
        columns = (
            Column("method", lambda each: each.standing.method),
            Column("rank", lambda each: each.standing.rank, "d"),
            Column("MB", lambda each: each.standing.bytes / 1e6, ".1f"),
            Column("merge s", lambda each: each.standing.merging, ".2f"),
            Column("all s", lambda each: each.standing.seconds, ".0f"),
            Column("passes", lambda each: each.standing.passes, "g"),
        )
        remark = "MB: of the factors in float32. passes: over the calibration rows, in all."
        return Table.of("What each method costs", columns, self.ranked, remark)


def setting_of(one: Standing) -> str:
    """Give the chosen settings in words; those that are not set are left out."""
    return ", ".join(
        f"{k} {v}" for k, v in one.settings.items() if v is not None and v is not False
    )


def _share(one: Standing, domain: str) -> Cell:
    right = one.right.get(domain)
    if not right:
        return Cell("")
    low, high = one.accuracy_intervals[domain]
    share = sum(right) / len(right)
    return Cell(f"{share:.0%} [{100 * low:.0f}, {100 * high:.0f}]", value=share)


def _figure(nll: float) -> Cell:
    return Cell(perplexity(nll), value=nll)
