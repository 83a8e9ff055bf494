"""The config.json of a base model on the hub, without its weights."""

from __future__ import annotations

from pathlib import Path

from superpose.errors import BadInput, Missing, MissingBase, MissingExtra
from superpose.files.hub import snapshot
from superpose.files.hub_name import parse_base_name

CONFIG = "config.json"


def fetch_config(given: str) -> Path:
    """Bring a base model's config.json into the hub's cache and give its path.

    given: a hub name. Raises MissingBase when it cannot be had, MissingExtra without
    huggingface_hub.
    """
    name = parse_base_name(given)
    if name is None:
        raise MissingBase("there is no such base model", where=given)
    try:
        path = snapshot(given, name, [CONFIG]) / CONFIG
    except MissingExtra:
        raise
    except (BadInput, Missing) as error:
        raise MissingBase(error.problem, where=given, hint=error.hint) from error
    if not path.is_file():
        raise BadInput(f"holds no {CONFIG}", where=given)
    return path


def cached_config(given: str) -> Path | None:
    """Give a hub name's config.json that is in the hub's cache on this machine; None if none is."""
    name = parse_base_name(given)
    if name is None:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    inside = f"{name.path}/{CONFIG}" if name.path else CONFIG
    found = try_to_load_from_cache(name.repo, inside, revision=name.revision)
    return Path(found) if isinstance(found, str) else None
