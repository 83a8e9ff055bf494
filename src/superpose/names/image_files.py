"""One image LoRA's modules by name and shape, and what their names say together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from superpose.errors import Refused
from superpose.names.image import DENOISER, Called, image_name
from superpose.names.image_tables import SAME_MODEL, family_of, translated

Shape = tuple[int, int]


class File(NamedTuple):
    """One image LoRA. shapes: (out, in) by module. marked: components with an alpha beside."""

    label: str
    shapes: Mapping[str, Shape]
    marked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Named:
    """A file's names taken apart.

    at: its number. names: by module. family: how its denoiser's modules are called, None where they
    do not tell. prefixes: what stands before the names of each component.
    """

    file: File
    at: int
    names: Mapping[str, Called]
    family: str | None
    prefixes: Mapping[str, str]

    @property
    def kohya(self) -> bool:
        """Whether its names have no dots."""
        return any(name.kohya for name in self.names.values())

    @property
    def told(self) -> bool:
        """Whether loaders find all of the denoiser's modules by such names.

        Of bare names diffusers finds those with an alpha beside; of OneTrainer's for FLUX only
        attention (0.42.1, `_convert_mixture_state_dict_to_diffusers`), of LyCORIS' none but LoKr;
        PEFT's names alone for few models. kohya's of Stable Diffusion 3 it passes over, and
        HunyuanVideo's loader raises (`_convert_hunyuan_video_lora_to_diffusers`).
        """
        if self.kohya and (self.family == "joint" or any(map(_is_hunyuan, self.names.values()))):
            return False
        prefix = self.prefixes.get(DENOISER, "")
        if prefix == "":
            return DENOISER in self.file.marked
        return prefix not in ("lycoris_", "lora_transformer_", "base_model.model.")

    def denoiser(self) -> Mapping[str, Called]:
        """Give the names of the denoiser's modules."""
        return {m: name for m, name in self.names.items() if name.component == DENOISER}


_HUNYUAN = re.compile(r"(double|single)_blocks_\d+_(.+_mlp_fc[12]|.*mod_linear|modulation_linear)")
"""What HunyuanVideo calls otherwise than FLUX."""


def _is_hunyuan(name: Called) -> bool:
    return name.component == DENOISER and _HUNYUAN.fullmatch(name.flat) is not None


def named(file: File, at: int) -> Named:
    """Take a file's names apart. at: its number."""
    names = {module: image_name(module) for module in file.shapes}
    prefixes: dict[str, str] = {}
    # CLIP's projection lies beside its text model: it does not say what stands before the others.
    for name in sorted(names.values(), key=lambda n: n.flat.startswith("text_projection")):
        prefixes.setdefault(name.component, name.prefix)
    own = [name.flat for name in names.values() if name.component == DENOISER]
    return Named(file, at, names, family_of(own), prefixes)


def with_ltx(files: Sequence[Named]) -> list[Named]:
    """Tell LTX' own names, of which those of its blocks are diffusers', by another file's.

    `adaln_single` is diffusers' name in PixArt and Sana; LTX' is `time_embed` there.
    """
    others = [n.family == "transformer" and _named_so(n, "time_embed_") for n in files]
    if not any(others):
        return list(files)
    return [
        replace(n, family="ltx")
        if n.family in (None, "transformer") and _named_so(n, "adaln_single_")
        else n
        for n in files
    ]


def _named_so(n: Named, start: str) -> bool:
    own = (start + "linear", start + "emb_timestep_embedder_")
    return any(name.flat.startswith(own) for name in n.denoiser().values())


def check_once(shapes: Mapping[str, Shape], where: object) -> None:
    """Raise Refused where a file has one layer, or a part of it, under two names.

    shapes: (out, in) by module. where: the file, for the message.
    """
    first: dict[tuple[str, str], str] = {}
    found = named(File(str(where), shapes), 0)
    for module, name in found.names.items():
        for flat in _layers(name, found.family, shapes[module]):
            other = first.setdefault((name.component, flat), module)
            if other != module:
                raise Refused(
                    f"holds one weight's change under two names, `{other}` and `{module}`: loaders "
                    "apply one of them, and nobody can tell which",
                    where=where,
                    hint="Take one out of the file:\n"
                    '  python -c "import sys; from safetensors.torch import load_file, save_file; '
                    "save_file({k: v for k, v in load_file(sys.argv[1]).items() "
                    f"if not k.startswith('{module}.')}}, sys.argv[2])\" "
                    "OLD.safetensors NEW.safetensors",
                )


def _layers(name: Called, family: str | None, shape: Shape) -> list[str]:
    if name.component == DENOISER and family in SAME_MODEL:
        pieces = translated(str(family), name.flat, shape)
        if pieces is not None:
            return [piece.name.replace(".", "_") for piece in pieces]
    return [name.flat]
