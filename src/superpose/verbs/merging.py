"""Merge methods by name: the settings that they have between them, as options of one command."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

from superpose.errors import BadSetting
from superpose.verbs.settings import Option, held

if TYPE_CHECKING:
    from superpose.compose import Method

__all__ = ["Merging", "at_rank", "method_named", "offered"]


@dataclass(frozen=True)
class Merging:
    """Which method merges, and its settings: those left out are the method's own.

    Field names are those of the methods' own fields.
    """

    method: Annotated[
        str,
        Option(
            "What is made of the adapters: sum, average, equal-norm, ties, dare, dare-ties, della, "
            "knots, tsv, iso, core, ctm, pico, wudi, svc, star, orthogonal; with --data rows "
            "of each domain regmean and ssr (or with what superpose statistics wrote beside each "
            "adapter), tuned (or with --weights FILE from superpose tune) and regmean-tuned.",
            metavar="NAME",
        ),
    ] = "sum"
    density: Annotated[
        float | None, "ties, dare, dare-ties, della: share of entries kept, in (0, 1]."
    ] = None
    epsilon: Annotated[
        float | None, "della: how far that is less for the smallest, more for the largest."
    ] = None
    seed: Annotated[
        int | None, "dare, dare-ties, della: of what is drawn; with --data: draws the rows."
    ] = None
    rule: Annotated[
        str | None,
        Option(
            "core, knots, ctm: the method that merges there; svc, star: the one that comes before; "
            "equal-norm: mean or meta.",
            metavar="NAME",
        ),
    ] = None
    share: Annotated[float | None, "tsv: of each adapter's directions; 1/K for K adapters."] = None
    variant: Annotated[str | None, Option("iso: c or cts.", metavar="c|cts")] = None
    common: Annotated[float | None, "iso cts: share of directions that is the sum's."] = None
    beta: Annotated[float | None, "ctm: 1 leaves adapters at their sizes, 0 makes them alike."] = (
        None
    )
    ridge: Annotated[
        float | None,
        "wudi, regmean, regmean-tuned, ssr: what is added where inputs are shared, by their mean.",
    ] = None
    alpha: Annotated[float | None, "svc: the least of a direction that counts."] = None
    eta: Annotated[float | None, "star: share of the nuclear norm that is kept."] = None
    each: Annotated[
        bool | None, Option("star: of each adapter, before the rule.", ("--each/--merged",))
    ] = None
    by: Annotated[
        str | None,
        Option(
            "tuned, regmean-tuned: what has a weight of its own: adapter, layer, kind, module or "
            "direction.",
            metavar="WHAT",
        ),
    ] = None
    mu: Annotated[float | None, "orthogonal: how far, where not wholly."] = None

    def chosen(self) -> Method:
        """Give the method with these settings. Raises BadSetting as `method_named`."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "method"}
        return method_named(self.method, {k: v for k, v in given.items() if v is not None})


def offered() -> list[str]:
    """Give the names of the methods that merge adapters and what lies beside them."""
    from superpose.compose import FROM_DATA, METHODS

    return [name for name in (*METHODS, *FROM_DATA) if " " not in name]


def method_named(name: str, settings: Mapping[str, Any], *, where: str = "method") -> Method:
    """Give a method by its name, with settings: those that it has not go to its rule.

    Raises BadSetting for a name that is none, a setting that neither has, and what the method
    refuses.
    """
    from superpose.compose import FROM_DATA, METHODS

    if name not in offered():
        raise BadSetting(f"`{name}` is no method; there are {', '.join(offered())}", where=where)
    kind = {**METHODS, **FROM_DATA}[name]
    given = dict(settings)
    names = [f.name for f in fields(kind) if f.repr and f.name != "rank"]
    left = {key: given.pop(key) for key in list(given) if key not in names}
    rule = _default_rule(kind)
    if rule is not None:
        inner = str(given.get("rule", rule.name))
        if inner not in (rules := _rules_of(kind)):
            said = "is no method" if inner not in offered() else f"cannot be a rule of `{name}`"
            raise BadSetting(f"`{inner}` {said}; there are {', '.join(rules)}", where="rule")
        own = {} if inner != rule.name else {k: v for k, v in rule.settings if k != "rank"}
        given["rule"] = method_named(inner, {**own, **left}, where="rule")
    elif left:
        other = next(iter(left))
        there = ", ".join(names) or "none"
        raise BadSetting(f"`{name}` has no such setting; its settings: {there}", where=other)
    return kind(**given)


def at_rank(method: Method, rank: int | None) -> tuple[Method, int | None]:
    """Give a method that is to give a rank, and the rank that is left to be cut to afterwards.

    Those that know ranks themselves cut once, and say of their own result what energy is kept.
    """
    from superpose.compose import Method

    held(method, Method, "method")
    if rank is None or getattr(method, "rank", rank) is not None:
        return method, rank
    return replace(method, rank=rank), None  # type: ignore[call-arg]


def _rules_of(kind: type[Method]) -> list[str]:
    """Give the names of the methods that a method can have inside."""
    from superpose.compose import METHODS

    found = []
    for name in offered():
        with contextlib.suppress(BadSetting):
            if name in METHODS:
                kind(rule=METHODS[name]())  # type: ignore[call-arg]
                found.append(name)
    return found


def _default_rule(kind: type[Method]) -> Method | None:
    """Give the method inside a method that has one."""
    from superpose.compose import Method

    found = [f.default for f in fields(kind) if f.name == "rule"]
    return found[0] if found and isinstance(found[0], Method) else None
