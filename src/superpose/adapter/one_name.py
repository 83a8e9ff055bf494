"""One weight, one name: adapters whose files call the same weights differently are respelled.

The weights' identities come from `names`. Which spelling is written is decided here: the base
model's own where it is known, otherwise the newest that one of the adapters has, so that the order
of the adapters changes nothing.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from superpose.adapter.doubtful import check_doubtful, halves_of
from superpose.adapter.renaming import one_weight_twice, renamed, tensors_of
from superpose.adapter.two_towers import in_the_whole_model
from superpose.errors import SuperposeWarning, listed
from superpose.files.file_format import Family, family_of_format
from superpose.names.identity import (
    RENAMINGS,
    Parsed,
    Rule,
    Scoped,
    abstract,
    half_of,
    parse,
    respelled,
)
from superpose.names.prefixes import Renaming, region_of, renamings

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.names.tree import Tree


def one_name(adapters: Sequence[Adapter], tree: Tree | None = None) -> tuple[Adapter, ...]:
    """Give the same adapters, each weight of the base under one name in all of them.

    tree: the base model's names, where it is at hand. Names that all adapters have alike stay,
    unless it is known what transformers made of them. What is respelled is said with a
    SuperposeWarning. Factors are shared.

    Raises Refused, naming the modules, when an adapter holds one weight under two names, or nobody
    can tell whether two names mean one weight.
    """
    if any(family_of_format(a.format) != Family.BASE for a in adapters):
        return tuple(adapters)
    given, adapters = adapters, in_the_whole_model(adapters)
    tensors = [tensors_of(adapter) for adapter in adapters]
    # Asked of names with their numbers taken out, which are few: most adapters agree.
    read = parse if tree is None else tree.read
    kinds = [{read(abstract(name)) for name in names} for names in tensors]
    changes = renamings(kinds, None if tree is None else tree.words)
    rules = [*_rules(kinds), *(() if tree is None else tree.rules)]
    if tree is None and not any(changes) and not rules:
        check_doubtful(adapters)
        _tell(given, adapters)
        return tuple(adapters)

    def name_of(tensor: str, prefixes: Renaming) -> str:
        parsed = read(tensor)
        own = prefixes.get((region_of(parsed), parsed.prefix), parsed.prefix)
        # Where nobody knows what transformers makes of the files' names, the adapters' are those of
        # the model that they were trained on.
        prefix = tree.prefix(parsed) if tree is not None and tree.decides else own
        return prefix + respelled(parsed, rules)

    found = tuple(
        renamed(adapter, partial(name_of, prefixes=own))
        for adapter, own in zip(adapters, changes, strict=True)
    )
    for adapter, names in zip(found, tensors, strict=True):
        _check_once(adapter, names)
    check_doubtful(found, () if tree is None else halves_of(list(tree.prefixes)))
    _tell(given, found)
    return found


def _rules(files: Sequence[set[Parsed]]) -> list[Scoped]:
    """Give the renamings that make one file's names those of another, and where they apply.

    One family is one change of transformers: where a file shows its names before it and another
    those after it, all of the family apply but what the newer file itself still says.
    """
    found: list[Scoped] = []
    for family in RENAMINGS:
        if not family.by_half:
            found += [Scoped(rule) for rule in _changed(family.rules, files)]
            continue
        for half in sorted({half_of(name.identity) for file in files for name in file}):
            own = [{n for n in file if half_of(n.identity) == half} for file in files]
            found += [Scoped(rule, frozenset({half})) for rule in _changed(family.rules, own)]
    return found


def _changed(own: Sequence[Rule], files: Sequence[set[Parsed]]) -> list[Rule]:
    """Give those rules of a family that some file needs to say what another says."""
    old = [any(r.before.search(n.stem) for r in own for n in file) for file in files]
    if not any(old):
        return []
    new = [any(re.search(r.after, n.stem) for r in own for n in file) for file in files]
    after = [file for file, x, y in zip(files, old, new, strict=True) if y and not x]
    mixed = [file for file, x, y in zip(files, old, new, strict=True) if x and y]
    if not (after or mixed):
        return []
    newer = after or mixed
    kept = [r for r in own if any(r.before.search(n.stem) for f in newer for n in f)]
    return [rule for rule in own if rule not in kept]


def _check_once(adapter: Adapter, names: Sequence[str]) -> None:
    """Refuse one weight under two names that could not be made one."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(parse(name).identity, name)
        if other != name:
            raise one_weight_twice(adapter, other, name)


def _tell(before: Sequence[Adapter], after: Sequence[Adapter]) -> None:
    """Say which adapter's names became others, by an example."""
    for old, new in zip(before, after, strict=True):
        names = ([n.removesuffix(".weight") for n in tensors_of(a)] for a in (old, new))
        changed = [(x, y) for x, y in zip(*names, strict=True) if x != y]
        if changed:
            said = listed([f"`{x}` that goes by `{y}` here" for x, y in changed], form="{}")
            warnings.warn(
                f"{old.label} calls one weight {said}: they are taken for the same and written "
                "under that name",
                SuperposeWarning,
                stacklevel=4,
            )
