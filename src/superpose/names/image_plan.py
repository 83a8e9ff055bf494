"""Which names the modules of several image LoRAs get, so that a weight has one name in all.

The names of the first file whose names a loader takes by themselves are kept: a component in front,
or an `.alpha` beside. Where one file has a model's original names and another diffusers', the fused
layers of the first take the rows of the others, if it has them all; else they are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from superpose.errors import Refused
from superpose.names.image import DENOISER, T5, UNTOLD, Called, dotted_path, is_clip, with_prefix
from superpose.names.image_files import File, Named, named, with_ltx
from superpose.names.image_translation import Translation, pieces_of, translation


class Move(NamedTuple):
    """Where a module's change goes.

    taken: its rows that go there, first and end, None for all. placed: the first row there, and how
    many rows there are, None where they are the module's.
    """

    module: str
    taken: tuple[int, int] | None = None
    placed: tuple[int, int] | None = None


@dataclass(frozen=True)
class NamePlan:
    """moves: of every file, by module. leader: whose way is kept. kohya: whether without dots."""

    moves: tuple[Mapping[str, tuple[Move, ...]], ...]
    leader: int
    kohya: bool

    def renamed(self, file: int) -> tuple[str, str] | None:
        """Give a module of a file that gets another name, and that name; None for none."""
        for module, moves in self.moves[file].items():
            if moves[0].module != module:
                return module, moves[0].module
        return None


def plan(files: Sequence[File]) -> NamePlan:
    """Give the names.

    Raises Refused where one model's modules are called in ways that are not translated, or it is
    unknown which text encoder is meant; DifferentBase where the names are of different models.
    """
    taken_apart = with_ltx([named(file, at) for at, file in enumerate(files)])
    _check_text_encoders(taken_apart)
    leader = _leader(taken_apart)
    how = translation(taken_apart, leader)
    if how.to_diffusers:
        leader = _leader([n for n in taken_apart if n.family == how.target])
    kohya = leader.kohya and (leader.told or _alike(taken_apart, leader, how))
    names = _Names.led_by(leader, taken_apart, how, kohya=kohya)
    if names.undotted:
        others = [n for n in taken_apart if n.kohya and DENOISER in n.prefixes]
        leader = next(iter(others), next(n for n in taken_apart if n.kohya))
        names = _Names.led_by(leader, taken_apart, how, kohya=True)
    moves = tuple({module: names.moved(n, module) for module in n.names} for n in taken_apart)
    return NamePlan(moves, leader.at, names.kohya)


def _alike(files: Sequence[Named], leader: Named, how: Translation) -> bool:
    """Say whether all files call the denoiser's modules as the leader does."""
    ways = {n.prefixes[DENOISER] for n in files if DENOISER in n.prefixes}
    return how.source is None and ways <= set(leader.prefixes.values())


@dataclass(frozen=True)
class _Names:
    """The way of calling: kohya's or dotted, with these prefixes; paths: dotted, by identity."""

    kohya: bool
    prefixes: Mapping[str, str]
    paths: Mapping[tuple[str, str], str | None]
    how: Translation

    @classmethod
    def led_by(
        cls, leader: Named, files: Sequence[Named], how: Translation, *, kohya: bool
    ) -> _Names:
        """Take the leader's way, and paths from files that have dots before those that are told."""
        paths: dict[tuple[str, str], str | None] = {}
        for n in sorted(files, key=lambda n: (n.kohya, n is not leader)):
            for module, name in n.names.items():
                if name.component == DENOISER and how.to_diffusers and n.family != how.target:
                    for piece in pieces_of(n, module, how):
                        paths.setdefault((DENOISER, piece.name.replace(".", "_")), piece.name)
                elif n.family == how.source or not _is_inverse(how, name):
                    paths.setdefault(name.identity, dotted_path(name))
        alike = [n for n in (leader, *files) if n.kohya == kohya]
        return cls(kohya, _prefixes(files, alike, how, kohya=kohya), paths, how)

    @property
    def undotted(self) -> bool:
        """Whether the dots of a name that needs them cannot be told."""
        return not self.kohya and None in self.paths.values()

    def moved(self, n: Named, module: str) -> tuple[Move, ...]:
        """Say where a module of a file goes."""
        name = n.names[module]
        if name.component == DENOISER and self.how.to_diffusers and n.family != self.how.target:
            pieces = pieces_of(n, module, self.how)
            return tuple(
                Move(self._spelled((DENOISER, p.name.replace(".", "_"))), p.rows) for p in pieces
            )
        if _is_inverse(self.how, name):
            there, first, whole = self.how.inverse[name.flat]
            return (Move(self._spelled(there.identity), None, (first, whole) if whole else None),)
        return (Move(self._spelled(name.identity)),)

    def _spelled(self, identity: tuple[str, str]) -> str:
        component, flat = identity
        return with_prefix(
            self.prefixes[component], flat if self.kohya else str(self.paths[identity])
        )


def _is_inverse(how: Translation, name: Called) -> bool:
    return name.component == DENOISER and name.flat in how.inverse


def _leader(files: Sequence[Named]) -> Named:
    with_denoiser = [n for n in files if DENOISER in n.prefixes]
    told = [n for n in with_denoiser if n.told]
    return next(iter(told or with_denoiser or files))


def _check_text_encoders(files: Sequence[Named]) -> None:
    untold = [n for n in files if UNTOLD in n.prefixes]
    if not untold:
        return
    ways = {(c, p) for n in files for c, p in n.prefixes.items() if _is_text(c)}
    others = any(n.prefixes.get(DENOISER, "") for n in files)
    if len(ways) == 1 and not others:
        return
    module = next(m for m, name in untold[0].names.items() if name.component == UNTOLD)
    raise Refused(
        f"`{module}` of {untold[0].file.label} is a text encoder's module, and a pipeline may have "
        "several: nobody can tell which",
        where=module,
        hint="Say it in the names, here of the first (the second is text_encoder_2):\n"
        '  python -c "import sys; from safetensors.torch import load_file, save_file; '
        "save_file({'text_encoder.' + k: v for k, v in load_file(sys.argv[1]).items()}, "
        'sys.argv[2])" OLD.safetensors NEW.safetensors',
    )


def _is_text(component: str) -> bool:
    return component.startswith("text_encoder") or component in (T5, UNTOLD)


def _prefixes(
    files: Sequence[Named], alike: Sequence[Named], how: Translation, *, kohya: bool
) -> dict[str, str]:
    """Give what stands before the paths of each component: as the first of `alike` has it.

    A model's own names have other prefixes than diffusers' names for it.
    """
    components = dict.fromkeys(c for n in files for c in n.prefixes)
    found = {}
    for component in components:
        have = [n for n in alike if component in n.prefixes]
        if component == DENOISER and how.to_diffusers:
            have = [n for n in have if n.family == how.target]
        own = [n.prefixes[component] for n in have]
        with_text_model = [p for p in own if p.endswith(("text_model.", "text_model_"))]
        prefix = next(iter(with_text_model or own), None)
        bare = prefix == "" and len(components) > 1 and UNTOLD not in components
        if prefix is None or bare:
            prefix = _usual_prefix(component, kohya, components, files)
        found[component] = prefix
    return found


def _usual_prefix(
    component: str, kohya: bool, components: Iterable[str], files: Sequence[Named]
) -> str:
    """Give what a component is called where no file with names like the leader's says so."""
    unet = any(n.family in ("unet", "sgm") for n in files)
    if component == DENOISER:
        return "lora_unet_" if kohya else "unet." if unet else "transformer."
    own = [m.flat for n in files for m in n.names.values() if m.component == component]
    clip = any(map(is_clip, own))
    if not kohya:
        if component == T5:
            component = "text_encoder_3" if "text_encoder_2" in components else "text_encoder_2"
        return f"{component}.text_model." if clip else f"{component}."
    sdxl = "text_encoder_2" in components or any(n.family == "sgm" for n in files)
    one = unet and not sdxl
    first = "lora_te_" if one else "lora_te1_"
    usual = {"text_encoder": first, T5: "lora_te3_"}
    prefix = usual.get(component, f"lora_{component.replace('text_encoder_', 'te')}_")
    return f"{prefix}text_model_" if clip else prefix
