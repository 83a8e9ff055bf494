"""What stands before a weight's own name: the prefix of the body, of the towers and of the heads.

One model is `layers.0...` to AutoModel, `model.layers.0...` to AutoModelForCausalLM,
`language_model.model.layers.0...` to a vision-language model before transformers 4.52 and
`model.language_model.layers.0...` since. A file writes all of its names in one such way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from superpose.names.identity import Parsed
from superpose.names.words import CORE, HEADS, TOWERS

Region: TypeAlias = Literal["body", "tower", "head"]

Renaming: TypeAlias = Mapping[tuple[Region, str], str]
"""(region, prefix) -> the prefix to write in its place."""


class _Scheme(NamedTuple):
    """Prefixes that go together."""

    body: str
    tower: str
    head: str


_KNOWN = (
    _Scheme("model.language_model.", "model.", ""),
    _Scheme("language_model.model.", "", "language_model."),
    _Scheme("model.text_model.", "model.", ""),
    _Scheme("text_model.model.", "", "text_model."),
    _Scheme("model.", "", ""),
    _Scheme("model.model.", "model.", ""),
    _Scheme("language_model.", "", ""),
    _Scheme("text_model.", "", ""),
)
"""The newest first. Source: transformers 5.24, conversion_mapping.py: llava and those like it,
Qwen2VL; 4.51 before them."""


def region_of(parsed: Parsed) -> Region:
    """Say which part of a model a tensor lies in, by the first word of its own name."""
    first = parsed.identity.partition(".")[0]
    if first in HEADS:
        return "head"
    return "tower" if first in TOWERS else "body"


def renamings(
    files: Sequence[Collection[Parsed]], base: Mapping[tuple[Region, str], str] | None = None
) -> Sequence[Renaming]:
    """Give for each file the prefixes to write in place of its own, so that names agree.

    files: names of each. base: the base's prefixes, where it is at hand, by region and first word,
    and by region and "" the usual ones. Empty where nothing is called in two ways. Which way is
    kept does not depend on the order of the files: the base's if it is one of them, else the
    newest, and of a model with its head before one without.
    """
    ways = [_ways(names) for names in files]
    changes: list[dict[tuple[Region, str], str]] = [{} for _ in files]
    for region, word in sorted(set().union(*ways)):
        found = {frozenset(way[region, word]) for way in ways if (region, word) in way}
        if len(found) < 2:
            continue
        every = frozenset[str]().union(*found)
        kept = min(every, key=_age if region == "body" else _age_beside)
        if base is not None:
            own_name = base.get((region, word), base.get((region, "")))
            kept = own_name if own_name is not None and own_name in every else kept
        for own, way in zip(changes, ways, strict=True):
            for prefix in sorted(way.get((region, word), set()) - {kept}):
                beside = _beside(prefix, kept) if region == "body" else {}
                own |= {**beside, **own, (region, prefix): kept}
    _bring_halves_together(ways, changes)
    return changes


def _bring_halves_together(
    ways: Sequence[Mapping[tuple[Region, str], set[str]]],
    changes: Sequence[dict[tuple[Region, str], str]],
) -> None:
    """Add what one file's half of a model tells of another's: text alone beside vision alone.

    `model.language_model.` stands beside `model.vision_tower.`, `language_model.model.` beside
    `vision_tower.`; and where `model.visual.` is, no body is `model.layers`.
    """
    newest = _KNOWN[0]
    bodies = [way.get(("body", ""), set()) for way in ways]
    towers = [
        {prefix for (region, _), found in way.items() if region == "tower" for prefix in found}
        for way in ways
    ]
    of_today = any(newest.body in body for body in bodies)
    alone = any(
        newest.tower in tower and not body for tower, body in zip(towers, bodies, strict=True)
    )
    visual = any(newest.tower in way.get(("tower", "visual"), set()) for way in ways)
    for own, body, tower in zip(changes, bodies, towers, strict=True):
        if of_today and not body and tower == {""}:
            own.setdefault(("tower", ""), newest.tower)
        if body == {"language_model.model."} and alone:
            own.update({**_beside("language_model.model.", newest.body), **own})
            own["body", "language_model.model."] = newest.body
        if body == {"model."} and not tower and visual:
            own["body", "model."] = newest.body


def _ways(names: Collection[Parsed]) -> dict[tuple[Region, str], set[str]]:
    """Give the prefixes that one file has, by region and first word.

    Words that every body has count as one, "", unless the file itself has several prefixes for
    them: then they may be parts of a model that is none of transformers'.
    """
    ways: dict[tuple[Region, str], set[str]] = {}
    core = set()
    for parsed in names:
        first = parsed.identity.partition(".")[0]
        ways.setdefault((region_of(parsed), first), set()).add(parsed.prefix)
        if first in CORE:
            core.add(parsed.prefix)
    if len(core) == 1:
        ways["body", ""] = core
    return ways


def _age(prefix: str) -> tuple[int, int, str]:
    bodies = [scheme.body for scheme in _KNOWN]
    known = bodies.index(prefix) if prefix in bodies else len(bodies)
    return known, 0 if prefix else 1, prefix


def _age_beside(prefix: str) -> tuple[int, str]:
    # `model.visual` is newer than `visual`, `lm_head` newer than `language_model.lm_head`.
    return (0 if prefix == "model." else 1 if not prefix else 2), prefix


def _beside(before: str, after: str) -> Renaming:
    """Give what changes at towers and heads where a body's prefix does."""
    old, new = (next((s for s in _KNOWN if s.body == p), None) for p in (before, after))
    if old is None or new is None:
        return {}
    both: list[tuple[Region, str, str]] = [
        ("tower", old.tower, new.tower), ("head", old.head, new.head)
    ]  # fmt: skip
    return {(region, x): y for region, x, y in both if x != y}


def modern(stored: Mapping[Region, str], *, bare: bool) -> dict[Region, str]:
    """Give the prefixes that transformers of today makes of those in a file, of several inputs.

    bare: the model has no head (`AutoModel`). A body that goes by a name of its own (text_model)
    keeps it.
    """
    body = stored.get("body", "")
    own = body.removeprefix("model.") if body.startswith("model.text_model") else ""
    inner = own or "language_model."
    if bare:
        return {"body": inner, "tower": "", "head": ""}
    return {"body": f"model.{inner}", "tower": "model.", "head": ""}
