"""A content mark is one for one content, and another for any other."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.library.making import random_factors, write_factors

import superpose
from superpose.adapter import Adapter, Delta, Replacement, Stored, content_mark
from superpose.adapter.replacement import Part
from superpose.lowrank.terms import Term


def test_the_same_file_elsewhere_has_the_same_mark_whatever_it_is_called(tmp_path: Path) -> None:
    one = write_factors(tmp_path / "one", random_factors(0))
    shutil.copytree(one, tmp_path / "two")
    marks = {content_mark(superpose.load(tmp_path / name)) for name in ("one", "two")}
    assert len(marks) == 1
    loaded = [superpose.load(tmp_path / name) for name in ("one", "one", "two")]
    assert loaded[0] == loaded[1] == loaded[2]
    assert len(set(loaded)) == 1
    assert loaded[0] != dict(loaded[0])


def _held(B: np.ndarray, A: np.ndarray, coefficient: float = 1.0, bias: float = 0.5) -> Adapter:
    replaced = Replacement((Part(1.0, Stored(np.full(3, bias, np.float32))),), "q.bias")
    delta = Delta((Term(coefficient, B, A),))
    return Adapter({"q": delta}, "math", replacements={replaced.key: replaced})


def test_one_number_a_sign_a_module_or_a_stored_tensor_makes_another_mark() -> None:
    rng = np.random.default_rng(0)
    B, A = rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=(2, 4)).astype(np.float32)
    nudged = A.copy()
    nudged[1, 3] = np.nextafter(nudged[1, 3], np.float32(9))
    kept = _held(B, A)
    others = [
        -kept,
        _held(B, nudged),
        _held(B, A, coefficient=2.0),
        _held(B[:, ::-1].copy(), A),
        _held(B, A, bias=0.25),
        dataclasses.replace(kept, deltas={"k": kept["q"]}),
        dataclasses.replace(kept, replacements={}),
    ]
    assert others[0].norm() == kept.norm()
    assert len({content_mark(one) for one in [kept, *others]}) == 1 + len(others)
    assert len({kept, *others}) == 1 + len(others)
    assert not any(kept == one for one in others)
    assert kept == _held(B.copy(), A.copy()) == dataclasses.replace(kept, name="another")
    assert kept != kept.on_base("gpt2")
    assert hash(kept) == hash(-kept)
    assert kept != _held(B[:, ::-1].copy(), A[::-1].copy()), "the same delta in other factors"
    assert content_mark(_held(np.asfortranarray(B), A)) == content_mark(kept)


def test_torch_tensors_have_marks_of_their_numbers() -> None:
    torch = pytest.importorskip("torch")
    B, A = torch.ones(3, 2, dtype=torch.bfloat16), torch.ones(2, 4)
    marks = [content_mark(Adapter({"q": Delta((Term(c, B, A),))})) for c in (1.0, 1.0, -1.0)]
    assert marks[0] == marks[1] != marks[2]
    first, same, other = (
        Adapter({"q": Delta((Term(1.0, B.clone(), A + change),))}) for change in (0.0, 0.0, 1.0)
    )
    assert first == same != other
