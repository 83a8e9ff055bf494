"""What a package says it offers, it offers: `__all__` is sorted, complete and importable."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import superpose


def packages_and_modules() -> list[str]:
    found = pkgutil.walk_packages(superpose.__path__, prefix="superpose.")
    return ["superpose", *(module.name for module in found if module.name != "superpose.__main__")]


def in_order(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions, each by the alphabet (ruff's RUF022)."""
    return not name.isupper(), not name[:1].isupper(), name


@pytest.mark.parametrize("name", packages_and_modules())
def test_all_is_sorted_and_importable(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        assert name in {"superpose._version", "superpose.cli"} or not hasattr(module, "__path__"), (
            f"the package {name} has no __all__"
        )
        return
    assert list(listed) == sorted(listed, key=in_order)
    assert len(set(listed)) == len(listed)
    missing = [item for item in listed if not hasattr(module, item)]
    assert missing == []


def test_a_star_import_brings_what_all_lists() -> None:
    names: dict[str, object] = {}
    exec("from superpose import *", names)
    assert set(superpose.__all__) <= set(names)
