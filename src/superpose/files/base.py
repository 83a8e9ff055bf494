"""What a base model's name means: the one reading of it, in every command and in Python.

`smollm2` is the embedded model, unless the folder of a model is called so here. A path is a
transformers folder; whatever exists here wins over the hub. `org/name`, `org/name/folder@revision`
and an address from a browser are places on the hub; a few old ones, such as `gpt2`, have no owner.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from superpose.errors import BadInput, Missing, MissingBase, Refused
from superpose.files import embedded
from superpose.files.checkpoint import CONFIG, Checkpoint
from superpose.files.file_format import GGUF, PEFT
from superpose.files.home import with_home
from superpose.files.hub_base import (
    adapter_for_base,
    cached_config,
    fetch_base,
    fetch_config,
)
from superpose.files.hub_name import HubName, parse_base_name
from superpose.files.names import exists, folder_of, is_hub_name
from superpose.files.text import with_an_end

__all__ = [
    "BaseName",
    "LocatedBase",
    "base_at_hand",
    "check_base",
    "locate_base",
    "name_at_hand",
    "named_base",
    "read_base_name",
]

_KINDS = (
    "A base model is `smollm2`, a transformers folder, or a hub name: org/name, org/name@revision."
)


@dataclass(frozen=True)
class BaseName:
    """What a base model's name means; nothing is fetched or converted before it is asked for.

    given: what the user called it. path: what is here of that name. on_hub: the place on the hub
    that it means. Neither is the embedded model's.
    """

    given: str
    path: Path | None = None
    on_hub: HubName | None = None

    @property
    def name(self) -> str:
        """What an adapter of it calls it; the revision has a field of its own there."""
        if self.path is not None:
            return self.given
        return (
            embedded.HUB_NAME if self.on_hub is None else str(replace(self.on_hub, revision=None))
        )

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit on the hub that was asked for."""
        return None if self.on_hub is None else self.on_hub.revision

    def folder(self) -> Path:
        """Bring the model onto this machine and give its folder.

        Of the hub configuration, tokenizer and safetensors weights are fetched; the embedded model
        is converted on first use.

        Raises MissingBase when it cannot be had, MissingExtra when that needs what is not
        installed, BadInput for a file, or a repository without safetensors weights.
        """
        if self.on_hub is not None:
            return fetch_base(self.given, self.on_hub)
        if self.path is None:
            return embedded.folder()
        if not self.path.is_dir():
            hint = f"Give {folder_of(self.path)}"
            if GGUF.takes(self.path):
                hint = "Give its folder; superpose bake --for gguf alone takes a model's GGUF file."
            raise BadInput("is a file; a base model is a folder", where=self.given, hint=hint)
        return self.path

    def config(self) -> Path:
        """Give the path of its config.json, of the hub that alone; raises as `folder` does."""
        if self.on_hub is not None:
            return fetch_config(self.given, self.on_hub)
        return self.folder() / CONFIG

    def at_hand(self) -> Path | None:
        """Give the folder where config.json lies on this machine; nothing is fetched or made."""
        if self.path is not None:
            return self.path if (self.path / CONFIG).is_file() else None
        if self.name == embedded.HUB_NAME and self.revision is None:
            made = embedded.converted()
            if made is not None or self.on_hub is None:
                return made
        found = None if self.on_hub is None else cached_config(self.on_hub)
        return None if found is None else found.parent


def name_at_hand(name: str) -> str:
    """Give the name by which the base model that an adapter names is loaded on this machine.

    That of the embedded model is the hub's: where it was converted here, and the hub's own is not
    in the cache, adapters that name it were trained on the embedded one.
    """
    if not name.startswith(embedded.HUB_NAME):
        return name
    meant = read_base_name(name)
    if meant.name != embedded.HUB_NAME or meant.revision or meant.on_hub is None:
        return name
    at_home = embedded.converted() is not None and cached_config(meant.on_hub) is None
    return embedded.NAME if at_home else name


@dataclass(frozen=True)
class LocatedBase(os.PathLike[str]):
    """A base model on this machine. Taken wherever a base model's name is.

    folder: of transformers' files. meant: the name that it was found by.
    """

    folder: Path
    meant: BaseName

    @property
    def name(self) -> str:
        """What an adapter of it calls it."""
        return self.meant.name

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit on the hub that was asked for."""
        return self.meant.revision

    def __fspath__(self) -> str:
        return os.fspath(self.folder)

    def __str__(self) -> str:
        """What people call it: its name, and the revision if one was asked for."""
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def locate_base(given: str | os.PathLike[str]) -> LocatedBase:
    """Bring a base model onto this machine, and say where it lies and what it is called.

    given: a name, as this module reads it. Raises as `read_base_name` and `BaseName.folder` do, and
    BadInput for an adapter.

    >>> locate_base("smollm2").name  # doctest: +SKIP
    'HuggingFaceTB/SmolLM2-135M-Instruct'
    """
    if isinstance(given, LocatedBase):
        return given
    meant = read_base_name(given)
    folder = meant.folder()
    check_no_adapter(folder, meant.given)
    return LocatedBase(folder, meant)


def read_base_name(
    given: str | os.PathLike[str], *, beside: str | os.PathLike[str] | None = None
) -> BaseName:
    """Read what a base model's name means; nothing is fetched.

    given: a name; one that is no str is a path. beside: a folder in which a path is looked for
    before the working folder.

    Raises MissingBase when it can only be a path and nothing is there, BadInput when it is empty or
    no name at all.
    """
    if isinstance(given, LocatedBase):
        return given.meant
    text = os.fspath(given)
    if not text:
        raise BadInput("the name of a base model is empty")
    places = [text] if beside is None else [str(Path(beside) / text), text]
    for place in places:
        if (here := _here(place, text)) is not None:
            return here
    if text == embedded.NAME and isinstance(given, str):
        return BaseName(text)
    if _close_to_embedded(text):
        raise MissingBase(
            f"the base model {text!r} is not here", hint=f"Did you mean `{embedded.NAME}`?"
        )
    if is_hub_name(given, parse_base_name):
        return BaseName(text, on_hub=parse_base_name(text))
    raise MissingBase("there is no such folder", where=text, hint=_KINDS)


def named_base(name: str) -> BaseName | None:
    """Read the name that an adapter's file has for its base model; None for what says nothing here.

    Nobody typed it here: a path is mostly another machine's.
    """
    try:
        if (here := _here(name, name)) is not None or name == embedded.NAME:
            return here or BaseName(name)
        on_hub = parse_base_name(name)
    except BadInput:
        return None
    return None if on_hub is None else BaseName(name, on_hub=on_hub)


def base_at_hand(name: str | os.PathLike[str] | None) -> Checkpoint | None:
    """Open the headers of a base model that is here; None where it is not, or cannot be added to.

    name: as it was given, or as an adapter names it. Weights that are quantised, pickles or cut off
    are as good as not here.
    """
    meant = None if name is None else named_base(os.fspath(name))
    try:
        folder = None if meant is None else meant.at_hand()
        return None if folder is None else Checkpoint.open(folder)
    except (BadInput, Missing, Refused):
        return None


def check_base(given: str | os.PathLike[str]) -> None:
    """Raise for what is no base model, as far as its name and a look at its folder tell.

    Nothing is fetched. A pipeline of diffusers is one; so is a file, which may be a GGUF model's.

    Raises as `read_base_name`, and BadInput for a folder that holds no model.
    """
    path = read_base_name(given).path
    if path is None or not path.is_dir():
        return
    check_no_adapter(path, given)
    if not any(with_an_end(path / name).is_file() for name in (CONFIG, "model_index.json")):
        raise BadInput(
            f"holds no {CONFIG}: it is no base model's folder",
            where=given,
            hint="A base model is a folder as transformers' save_pretrained writes it.",
        )


def check_no_adapter(folder: Path, given: object) -> None:
    """Raise BadInput for the folder of an adapter."""
    if (folder / PEFT.folder[0]).exists() and not (folder / CONFIG).exists():
        raise adapter_for_base(given)


def _here(place: str, text: str) -> BaseName | None:
    """Give what stands at `place`, called `text`; raises BadInput when the system won't tell."""
    path = with_home(place)
    there = exists(path, text)
    if text == embedded.NAME and not (path / CONFIG).is_file():
        return None  # a folder called by its name need not be a model: a study's, for one
    return BaseName(place, path=path) if there else None


def _close_to_embedded(text: str) -> bool:
    """Say whether a name differs from the embedded model's by a letter or two."""
    if abs(len(text) - len(embedded.NAME)) > 3:
        return False
    from difflib import get_close_matches

    return bool(get_close_matches(text.lower(), [embedded.NAME], cutoff=0.8))
