"""Base models on the hub: their configuration, tokenizer and safetensors weights, and no more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import BadInput, Missing, MissingBase, MissingExtra
from superpose.files.file_format import PEFT
from superpose.files.home import with_home
from superpose.files.hub import at_commit, shards_of_index, snapshot
from superpose.files.hub_name import HubName

CONFIG = "config.json"

_SETTINGS = (
    "added_tokens.json chat_template.jinja chat_template.json config.json generation_config.json "
    "merges.txt preprocessor_config.json processor_config.json sentencepiece.bpe.model "
    "special_tokens_map.json spiece.model tekken.json tokenizer.json tokenizer.model "
    "tokenizer_config.json vocab.json vocab.txt LICENSE LICENSE.txt LICENSE.md NOTICE"
).split()
_WEIGHTS = ("model.safetensors", "diffusion_pytorch_model.safetensors")
_INDEX = ".index.json"


def fetch_base(given: str, name: HubName) -> Path:
    """Bring a base model's configuration, tokenizer and safetensors weights; give the folder.

    given: what the user called it. Of sharded weights those are fetched that the index names; no
    pickles, no code, no second copy in another format.

    Raises MissingBase when it cannot be had, BadInput when it has no safetensors weights or is an
    adapter.
    """
    with _missing_base(given):
        small = [*_SETTINGS, PEFT.folder[0], *(file + _INDEX for file in _WEIGHTS)]
        root = snapshot(given, name, small)
    if (root / PEFT.folder[0]).exists() and not (root / CONFIG).exists():
        raise adapter_for_base(given)
    indices = [path for file in _WEIGHTS if (path := root / (file + _INDEX)).exists()]
    wanted = shards_of_index(indices[0], given) if indices else _WEIGHTS
    with _missing_base(given):
        snapshot(given, at_commit(name, root), wanted)
    missing = [file for file in wanted if not (root / file).exists()]
    if missing and indices:
        raise BadInput(f"its {indices[0].name} names {missing[0]}, which is not there", where=given)
    if len(missing) == len(wanted):
        raise BadInput(
            "holds no weights as safetensors",
            where=given,
            hint="superpose opens no pickle. Load it with transformers, save it with "
            "save_pretrained, and give that folder.",
        )
    return root


def fetch_config(given: str, name: HubName) -> Path:
    """Bring a base model's config.json into the hub's cache and give its path.

    given: what the user called it. Raises MissingBase when it cannot be had, BadInput when there is
    none, MissingExtra without huggingface_hub.
    """
    with _missing_base(given):
        path = snapshot(given, name, [CONFIG]) / CONFIG
    if not path.is_file():
        raise BadInput(f"holds no {CONFIG}", where=given)
    return path


def cached_config(name: HubName) -> Path | None:
    """Give the config.json that is in the hub's cache on this machine; None if none is."""
    # The client takes longer to import than a sum takes.
    if "huggingface_hub" not in sys.modules and not _hub_cache().is_dir():
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    inside = f"{name.path}/{CONFIG}" if name.path else CONFIG
    found = try_to_load_from_cache(name.repo, inside, revision=name.revision)
    return Path(found) if isinstance(found, str) else None


def _hub_cache() -> Path:
    """Give the folder of the hub's cache. Source: huggingface_hub 1.x, `constants.py`."""
    if chosen := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return with_home(chosen)
    home = os.environ.get("HF_HOME")
    if home:
        return with_home(home) / "hub"
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return with_home(above) / "huggingface" / "hub"


def adapter_for_base(given: object) -> BadInput:
    """Say that an adapter was given where a base model is asked for."""
    return BadInput(
        "is an adapter, not a base model",
        where=given,
        hint="The base model comes first: BASE ADAPTER ...",
    )


@contextmanager
def _missing_base(given: str) -> Iterator[None]:
    """Whatever keeps a base model on the hub, it is missing here."""
    try:
        yield
    except MissingExtra:
        raise
    except (BadInput, Missing) as error:
        raise MissingBase(error.problem, where=given, hint=error.hint) from error
