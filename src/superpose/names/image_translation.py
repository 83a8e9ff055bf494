"""A model's own names beside diffusers': how they are brought together, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from superpose.errors import DifferentBase, Refused
from superpose.names.image import Called, dotted_path
from superpose.names.image_files import Named
from superpose.names.image_tables import (
    IMAGE_FAMILIES,
    LOADERS,
    SAME_MODEL,
    Piece,
    converter,
    translated,
)


@dataclass(frozen=True)
class Translation:
    """What is done where files call one model's modules in two ways.

    source: the family of the model's own names, target: of diffusers'; None where all files have
    one family. inverse: where the names become source's, a layer of target's, flat, -> the layer of
    source's that holds it, the first of its rows there, and how many rows that has (0: the same).
    """

    source: str | None = None
    target: str | None = None
    inverse: Mapping[str, tuple[Called, int, int]] = field(default_factory=dict)

    @property
    def to_diffusers(self) -> bool:
        """Whether the names become diffusers'."""
        return self.source is not None and not self.inverse


def translation(files: Sequence[Named], leader: Named) -> Translation:
    """Say how these files' names are brought together. leader: whose are kept if they can be.

    Raises Refused where they may be of one model and are not translated, DifferentBase where they
    are of two.
    """
    families = list(dict.fromkeys(n.family for n in files if n.family is not None))
    _check_untold(files, families)
    if len(families) < 2:
        return Translation()
    source = next((f for f in families if SAME_MODEL.get(f) in families), None)
    if source is None or len(families) > 2:
        raise _unrelated(files, families)
    target = SAME_MODEL[source]
    if leader.family == source:
        inverse = _inverse(files, source)
        others = [n for n in files if n.family != source]
        if all(name.flat in inverse for n in others for name in n.denoiser().values()):
            return Translation(source, target, inverse)
    return Translation(source, target)


def _check_untold(files: Sequence[Named], families: Sequence[str]) -> None:
    """Refuse a file whose names show no family, beside one with another, and none in common."""
    known = {name.flat for n in files if n.family is not None for name in n.denoiser().values()}
    for n in files:
        own = {name.flat for name in n.denoiser().values()}
        if n.family is not None or not own or not known or own & known:
            continue
        if any(translated(f, flat, (1, 1)) for f in families if f in SAME_MODEL for flat in own):
            continue
        other = next(o for o in files if o.family is not None)
        module = next(iter(n.denoiser()))
        raise Refused(
            f"nothing shows that `{module}` of {n.file.label} is of the model whose modules "
            f"{other.file.label} calls otherwise (`{next(iter(other.denoiser()))}`)",
            where=module,
            hint=converter("Flux"),
        )


def pieces_of(n: Named, module: str, how: Translation) -> tuple[Piece, ...]:
    """Give the layers of diffusers' that a module is; raises Refused for an unknown one."""
    name = n.names[module]
    pieces = translated(str(how.source), name.flat, n.file.shapes[module])
    if pieces is not None:
        return pieces
    if n.family == how.source:
        loader = LOADERS.get((str(how.source), str(how.target)))
        raise Refused(
            f"`{module}` of {n.file.label} is called by the model's own name, which superpose does "
            "not know in diffusers' names; another of the adapters has those",
            where=module,
            hint=converter(loader) if loader else None,
        )
    return (Piece(dotted_path(name) or name.flat),)  # of a file whose names tell no family


def _inverse(files: Sequence[Named], source: str) -> dict[str, tuple[Called, int, int]]:
    found: dict[str, tuple[Called, int, int]] = {}
    for n in files:
        for module, name in n.denoiser().items() if n.family == source else ():
            shape = n.file.shapes[module]
            for piece in translated(source, name.flat, shape) or ():
                first = 0 if piece.rows is None else piece.rows[0]
                whole = 0 if piece.rows is None else shape[0]
                found.setdefault(piece.name.replace(".", "_"), (name, first, whole))
    return found


def _unrelated(files: Sequence[Named], families: Sequence[str]) -> Refused | DifferentBase:
    examples = {family.name: family.example for family in IMAGE_FAMILIES}
    labels = {f: next(n for n in files if n.family == f).file.label for f in families}
    said = " and ".join(f"{labels[f]} has `{examples[f]}`" for f in families[:2])
    loader = next((LOADERS[f, g] for f in families for g in families if (f, g) in LOADERS), None)
    if loader is None:
        return DifferentBase(
            f"the names are of two models: {said}",
            hint="Was one of them trained on another base model? Such deltas have no sum.",
        )
    return Refused(
        f"one model's modules are called in two ways, so that none can be found again: {said}",
        hint=converter(loader),
    )
