"""Models with experts, wide numbers or copies beside the adapter: what is added, and to what."""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from tests.formats.gguf import test_model as whole
from tests.formats.gguf.test_header import head, info, text

from superpose.adapter import Adapter, Delta, Place
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.formats.gguf.header import read_gguf_header
from superpose.formats.gguf.model import bake_gguf
from superpose.formats.gguf.model_rows import holds_copy

ROWS, WIDTH, EXPERTS = 6, 4, 3
EXPERT = "model.layers.0.mlp.experts"


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def model_of(path: Path, tensors: dict[str, np.ndarray], architecture: str = "llama") -> Path:
    """Write a model's GGUF file of these tensors as llama.cpp's package does."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("model")
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_expert_count(EXPERTS)
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tied(tmp_path: Path, kind: Type = Type.F32) -> Path:
    return whole.write_model.__wrapped__(tmp_path)(kind, tied=True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("block", [1 << 20, 2 * WIDTH], ids=["at once", "two rows at a time"])
def test_each_experts_change_goes_to_its_own_rows(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("superpose.formats.gguf.model_rows.BLOCK", block)
    own = {
        "blk.0.ffn_down_exps": random(EXPERTS, ROWS, WIDTH),
        "blk.0.ffn_gate_exps": random(EXPERTS, WIDTH, ROWS),
        "blk.0.ffn_up_exps": random(EXPERTS, WIDTH, ROWS, seed=1),
    }
    base = model_of(tmp_path / "base.gguf", own, "qwen3moe")
    deltas, changes = {}, {name: np.zeros(x.shape) for name, x in own.items()}
    for n in (0, 2):
        place = Place(EXPERT, "down_proj", "experts", block=n, blocks=EXPERTS)
        B, A = random(ROWS, 2, seed=n), random(2, WIDTH, seed=n)
        deltas[place.key] = Delta.of(B, A, 0.5, place)
        changes["blk.0.ffn_down_exps"][n] = 0.5 * B @ A
        place = Place(EXPERT, "gate_up_proj", "experts", block=n, blocks=EXPERTS)
        B, A = random(2 * WIDTH, 2, seed=n), random(2, ROWS, seed=n)
        deltas[place.key] = Delta.of(B, A, 0.5, place)
        changes["blk.0.ffn_gate_exps"][n], changes["blk.0.ffn_up_exps"][n] = (
            0.5 * B[:WIDTH] @ A,
            0.5 * B[WIDTH:] @ A,
        )
    made = bake_gguf(base, Adapter(deltas, name="some"), tmp_path / "made.gguf")
    assert dict(made.types) == {"float64": 3}
    found = {t.name: t.data for t in gguf.GGUFReader(made.path).tensors}
    for name, before in own.items():
        right = before + changes[name]
        np.testing.assert_allclose(found[f"{name}.weight"], right, rtol=0, atol=1e-14)


def test_experts_of_another_number_are_of_another_base(tmp_path: Path) -> None:
    own = {"blk.0.ffn_down_exps": random(EXPERTS, ROWS, WIDTH)}
    base = model_of(tmp_path / "base.gguf", own, "qwen3moe")
    place = Place(EXPERT, "down_proj", "experts", block=0, blocks=8)
    some = Adapter({place.key: Delta.of(np.ones((ROWS, 1)), np.ones((1, WIDTH)), 1.0, place)})
    with pytest.raises(DifferentBase, match=r"has shape \(3, 6, 4\), .* change of it \(8, 6, 4\)"):
        bake_gguf(base, some, tmp_path / "made.gguf")


def test_what_was_made_is_said_and_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    made = bake_gguf(
        tied(tmp_path), whole.adapter("lm_head"), tmp_path / "made.gguf",
        progress=lambda *done: told.append(done),
    )  # fmt: skip
    first, second = made.notes()
    assert first.startswith("changed: 1 in float32; rounding takes ")
    assert second == "embedding and output layer, tied in the base model, differ now"
    assert made.to_json()["new"] == ["output.weight"]
    written = [done for done, _ in told]
    assert written == sorted(written)
    assert {total for _, total in told} == {made.bytes}
    assert made.bytes - 32 < written[-1] <= made.bytes
    both = bake_gguf(tied(tmp_path), whole.adapter(whole.DOWN), tmp_path / "both.gguf")
    assert len(both.notes()) == 1


@pytest.mark.parametrize("tensor", ["model.embed_tokens.weight", "lm_head.weight"])
def test_a_copy_of_the_bases_own_tensor_tells_whether_it_is_the_base(
    tensor: str, tmp_path: Path
) -> None:
    """Of tied weights both names mean one; of a quantised tensor its shape alone tells."""
    base = tied(tmp_path)
    own = whole.values(base)["token_embd.weight"].astype(np.float32)
    some = whole.adapter(whole.DOWN)

    def bake(copy: np.ndarray, model: Path = base) -> int:
        adapter = Adapter(some.deltas, name="a", copies={tensor: copy})
        return bake_gguf(model, adapter, tmp_path / "made.gguf", force=True).changed

    assert bake(own) == 1
    other = own.copy()
    other[3] += 1.0
    for copy in (other, own[:-1]):
        with pytest.raises(DifferentBase, match=rf"`{tensor}`, .* than this model's `token_embd\."):
            bake(copy)
    assert bake(other, tied(tmp_path, Type.Q8_0)) == 1


def test_a_tensor_that_ends_before_its_header_says_is_truncated(tmp_path: Path) -> None:
    path = model_of(tmp_path / "base.gguf", {"token_embd": random(ROWS, WIDTH)})
    header = read_gguf_header(path)
    copy = random(ROWS, WIDTH)
    assert holds_copy(path, header, "token_embd.weight", copy)
    os.truncate(path, header.data + 10)
    with pytest.raises(BadInput, match=r"truncated: tensor `token_embd\.weight` goes on behind"):
        holds_copy(path, header, "token_embd.weight", copy)


def test_a_copy_beside_a_model_without_an_embedding_is_refused(tmp_path: Path) -> None:
    own = {"blk.0.ffn_down": random(256, 512).astype(np.float32)}
    base = model_of(tmp_path / "base.gguf", own)
    some = whole.adapter(whole.DOWN)
    copies = {"model.embed_tokens.weight": np.ones((4, 4), np.float32)}
    with pytest.raises(BadInput, match=r"has no tensor `token_embd\.weight`, of which the adapter"):
        bake_gguf(base, Adapter(some.deltas, name="a", copies=copies), tmp_path / "made.gguf")


def test_rows_that_are_no_whole_blocks_are_refused_by_name(tmp_path: Path) -> None:
    keys = {"general.type": "model", "general.architecture": "llama"}
    noted = b"".join(
        text(k.encode()) + (8).to_bytes(4, "little") + text(v.encode()) for k, v in keys.items()
    )
    raw = head(tensors=1, keys=2) + noted + info(b"blk.0.ffn_down.weight", (33, 2), 8)
    (tmp_path / "base.gguf").write_bytes(raw + bytes(-len(raw) % 32 + 4096))
    some = Adapter({whole.DOWN: Delta.of(np.ones((2, 1)), np.ones((1, 33)))}, name="a")
    with pytest.raises(Refused, match=r"rows of 33 are no whole blocks of Q8_0") as caught:
        bake_gguf(tmp_path / "base.gguf", some, tmp_path / "made.gguf")
    assert "blk.0.ffn_down.weight" in str(caught.value)
