"""What an engine finds of an adapter in its base model: which of its names are modules there."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.adapter import Adapter, in_head, place_of
from superpose.adapter.brought_together import of_its_class
from superpose.baking.layout import place_delta, place_replacement
from superpose.errors import BadInput
from superpose.files.checkpoint import Checkpoint
from superpose.names.tree import Tree, tree_of


@dataclass(frozen=True)
class ReadBack:
    """What became of an adapter's parts on a base. total: of its keys.

    missing: key -> why the base takes nothing of it. headless: the names are those of the model
    without its head, and the base's configuration names a class with one.
    """

    base: str
    total: int
    missing: dict[str, str]
    headless: bool = False

    def __str__(self) -> str:
        if not self.missing:
            how = " as loaded without its head (AutoModel)" if self.headless else ""
            return f"read back: {_both(self.total)} found in {self.base}{how}"
        return f"read back: {len(self.missing)} of {self.total} parts are not found in {self.base}"

    def to_json(self) -> dict[str, object]:
        """Give it for `--json`."""
        return {
            "base": self.base,
            "parts": self.total,
            "missing": self.missing,
            "headless": self.headless,
        }


def _both(count: int) -> str:
    return "its one part is" if count == 1 else f"all {count} parts are"


def tree_of_base(base: Checkpoint) -> Tree:
    """Give the names that transformers of today has for a base model's tensors."""
    return tree_of({name: base.entry(name).shape for name in base.names}, base.config)


def found_in(adapter: Adapter, base: Checkpoint, called: str) -> ReadBack:
    """Say which parts of an adapter an engine finds: by name and by shape, in the base's headers.

    called: what the base is called. An engine loads what lies under the name that its own module
    has; a part under another, or of another shape, it leaves out or refuses.
    """
    own = tree_of_base(base)
    tree = of_its_class([adapter], own)
    assert tree is not None
    bodies = [names.usual.get("body", "") for names in (tree, own)]
    headless = len(bodies[0]) < len(bodies[1]) and not in_head(adapter)
    missing = {}
    for key, delta in adapter.items():
        tensor = place_of(key, delta.place).tensor
        try:
            place_delta(base, key, delta, base.resolve(tensor))
        except BadInput as error:
            missing[key] = error.problem
            continue
        if own_name := tree.elsewhere(tensor):
            missing[key] = f"the model calls it `{own_name.removesuffix('.weight')}`"
    for key, stored in adapter.replacements.items():
        held = base.resolve(stored.tensor)
        if held is None and stored.owner is not None and not stored.needs_base:
            continue  # a head of its own, which PEFT puts on the base
        try:
            place_replacement(base, key, stored, held)
        except BadInput as error:
            missing[key] = error.problem
    return ReadBack(called, len(adapter) + len(adapter.replacements), missing, headless)
