"""Sums that one PEFT folder or one dtype cannot hold: refused by name, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.formats.test_odd_folders import folder_of, lora

import superpose
from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.errors import BadInput, Refused
from superpose.files.held import HeldTensors
from superpose.formats.peft.read import read_loaded
from superpose.lowrank import dense

Q, V, E = "layers.0.self_attn.q_proj", "layers.0.self_attn.v_proj", "embed_tokens"


def delta(place: Place | None = None, *, out: int = 8, width: int = 8, size: float = 1.0) -> Delta:
    return Delta.of(size * np.ones((out, 2)), np.ones((2, width)), 1.0, place)


def whole(name: str, value: np.ndarray) -> dict[str, Replacement]:
    owner = name.rpartition(".")[0]
    return {name: Replacement((Part(1.0, Stored(value)),), name, owner=owner)}


BIAS = Place(Q, "bias", "bias")
SUMS: dict[str, tuple[Adapter, dict[str, Any], str]] = {
    "two group sizes": (
        Adapter({Q: delta(Place(Q, pooled=4)), V: delta(Place(V, pooled=2))}),
        {},
        "one PEFT adapter has one group size",
    ),
    "pooled and not": (
        Adapter({Q: delta(Place(Q, pooled=4)), V: delta()}),
        {},
        "QA-LoRA with pooled inputs and others are not",
    ),
    "a bias beside an embedding": (
        Adapter({Q: delta(), BIAS.key: delta(BIAS, width=1), E: delta(Place(E, kind="embedding"))}),
        {},
        rf"`{Q}\.bias` and `{E}` cannot be in one PEFT adapter: it takes no lora_bias beside LoRA",
    ),
    "a head beyond float16": (
        Adapter({Q: delta()}, replacements=whole("lm_head.weight", np.full((4, 8), 1e5))),
        {"dtype": "float16"},
        r"`lm_head\.weight` holds values too large for float16; nothing was written\n.*float32",
    ),
    "factors beyond float64": (
        Adapter({Q: Delta.of(1e300 * np.ones((8, 2)), np.ones((2, 8)), 1e300)}),
        {},
        r"lora_B\.weight` holds values too large for float64; .*\n.*task weights nearer to 1",
    ),
}


@pytest.mark.parametrize("case", SUMS)
def test_what_one_folder_cannot_hold_is_refused_by_name(case: str, tmp_path: Path) -> None:
    adapter, options, words = SUMS[case]
    with pytest.raises(BadInput, match=words):
        superpose.save(adapter, tmp_path / "out", **options)
    assert not any(tmp_path.iterdir())


def test_tensors_of_torch_are_written_as_they_are(tmp_path: Path) -> None:
    """Of bfloat16 too, which NumPy does not take from torch."""
    B, A = torch.tensor([[1.5], [2.0]]), torch.tensor([[0.25, 3.0, 1.0]])
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        adapter = Adapter({Q: Delta.of(B.to(dtype), A.to(dtype))})
        superpose.save(adapter, tmp_path / "out", force=True)
        found = superpose.load(tmp_path / "out")
        np.testing.assert_array_equal(dense(found[Q].terms), (B @ A).numpy())


def test_a_layer_that_a_loaded_model_gives_no_scaling_is_named() -> None:
    shapes = lora("q", (2, 8), (8, 2)) | lora("v", (2, 8), (8, 2))
    tensors = {f"base_model.model.{n}": np.ones(s, np.float32) for n, s in shapes.items()}
    raw = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q", "v"]}
    file = HeldTensors.of(tensors)
    found = read_loaded(raw, file, "mine", scalings={"q": 0.5, "v": 3.0})
    assert [t.coefficient for d in found.values() for t in d.terms] == [0.5, 3.0]
    with pytest.raises(BadInput, match=r"mine.*: `v` has factors and no scaling in the model"):
        read_loaded(raw, file, "mine", scalings={"q": 0.5})


def test_of_targets_by_an_expression_nobody_knows_which_a_tie_brought(tmp_path: Path) -> None:
    """A list says that `lm_head` was not asked for, and other factors in it are damage."""
    tensors = {
        f"{E}.lora_embedding_A": (2, 5),
        f"{E}.lora_embedding_B": (8, 2),
        **lora("lm_head", (2, 8), (5, 2)),
    }
    own = {name: np.full(x, n + 1, np.float32) for n, (name, x) in enumerate(tensors.items())}
    for targets in (".*(embed_tokens|lm_head)", [E, "lm_head"]):
        config = {"target_modules": targets, "ensure_weight_tying": True}
        adapter = superpose.load(folder_of(tmp_path / "a", own, **config))
        assert (set(adapter), adapter.tied) == ({E, "lm_head"}, {})
    with pytest.raises(Refused, match=rf"`lm_head` and `{E}` hold different factors"):
        superpose.load(folder_of(tmp_path / "a", own, target_modules=[E], ensure_weight_tying=True))
