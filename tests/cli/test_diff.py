"""`superpose diff` ends like diff: 0 the same, 1 different, 2 bad input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter

Q, V = (f"model.layers.0.self_attn.{p}_proj" for p in "qv")


def test_the_same_delta_written_otherwise_ends_with_0(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    a = write_adapter("a", alpha=8, use_rslora=True)
    out = a.parent / "sum"
    assert superpose("add", a, "-o", out).returncode == 0
    ended = superpose("diff", a, out)
    assert ended.returncode == 0, ended.stderr
    assert "the same up to rounding: relative difference" in ended.stdout
    for words in ("scaling", "5.65685", "1"):
        assert words in ended.stdout
    assert ended.stderr == ""


def test_a_copy_is_the_same_without_rounding(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    ended = superpose("diff", write_adapter("a", seed=1), write_adapter("b", seed=1))
    assert (ended.returncode, ended.stdout) == (0, "a and b: the same\n")


def test_what_differs_is_listed_and_ends_with_1(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    a = write_adapter("[a]", seed=1)
    b = write_adapter("b", seed=2, modules=(Q,), base_model="org/[other]")
    ended = superpose("diff", a, b)
    assert ended.returncode == 1
    assert ended.stderr == ""
    for words in (f"only in [a]: {V}", Q, "org/[other]", "different: base models"):
        assert words in ended.stdout
    ended = superpose("diff", a, b, "--same-base")
    assert "different in 2 of 2 modules: relative difference 1." in ended.stdout


def test_json_holds_every_module_and_the_exit_code_stays(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    a, b = write_adapter("a", seed=1), write_adapter("b", seed=1, alpha=4.001)
    ended = superpose("diff", a, b, "--json")
    found = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert found["same"] is False
    assert found["difference"] == pytest.approx(0.001 / 4.001)
    assert [m["name"] for m in found["modules"]] == [Q, V]
    assert found["facts"] == [{"name": "scaling", "a": 2.0, "b": 2.0005}]
    assert superpose("diff", a, b, "--tolerance", "0.001").returncode == 0


@pytest.mark.parametrize("args", [("missing",), ("a", "--tolerance", "nan")], ids=str)
def test_what_cannot_be_compared_ends_with_2(
    args: tuple[str, ...], write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    a = write_adapter("a")
    ended = superpose("diff", "a", *args, cwd=a.parent)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert args[-1] in ended.stderr
