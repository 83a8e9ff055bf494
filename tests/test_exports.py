"""What a package says it offers, it offers: `__all__` is sorted, complete and importable."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

import superpose


def packages_and_modules() -> list[str]:
    found = pkgutil.walk_packages(superpose.__path__, prefix="superpose.")
    return ["superpose", *(module.name for module in found if module.name != "superpose.__main__")]


def offered(package: ModuleType) -> list[str]:
    """What a package re-exports: its public names, but for submodules and `annotations`."""
    public = {name: value for name, value in vars(package).items() if name[0] != "_"}
    kinds = (ModuleType, type(annotations))
    return [name for name, value in public.items() if not isinstance(value, kinds)]


def in_order(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions, each by the alphabet (ruff's RUF022)."""
    return not name.isupper(), not name[:1].isupper(), name


@pytest.mark.parametrize("name", packages_and_modules())
def test_all_is_sorted_and_importable(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        assert not hasattr(module, "__path__") or offered(module) == [], f"{name} has no __all__"
        return
    assert list(listed) == sorted(listed, key=in_order)
    assert len(set(listed)) == len(listed)
    missing = [item for item in listed if not hasattr(module, item)]
    assert missing == []


def test_a_star_import_brings_what_all_lists() -> None:
    names: dict[str, object] = {}
    exec("from superpose import *", names)
    assert set(superpose.__all__) <= set(names)
