"""PEFT folders whose two files do not belong together: refused by the tensor's or key's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import superpose
from superpose.errors import BadInput, Refused, SuperposeError, SuperposeWarning

if TYPE_CHECKING:
    from collections.abc import Mapping

Shapes = dict[str, tuple[int, ...]]
M = "model.layers.0.mlp"


def folder_of(path: Path, tensors: Mapping[str, Any], **config: Any) -> Path:
    """Write a folder by hand. tensors: by name without the prefix, of ones where it is a shape."""
    path.mkdir(exist_ok=True)
    own = {
        f"base_model.model.{name}": np.ones(x, np.float32) if isinstance(x, tuple) else x
        for name, x in tensors.items()
    }
    save_file(own, path / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q"], **config}
    (path / "adapter_config.json").write_text(json.dumps(settings))
    return path


def lora(module: str, A: tuple[int, ...], B: tuple[int, ...]) -> Shapes:
    return {f"{module}.lora_A.weight": A, f"{module}.lora_B.weight": B}


def ada(A: tuple[int, ...] = (2, 8), B: tuple[int, ...] = (8, 2)) -> Shapes:
    return {"q.lora_A": A, "q.lora_B": B, "q.lora_E": (A[0], 1)}


PLAIN = lora("q", (2, 8), (8, 2))
PARAMETERS = {"target_modules": [], "target_parameters": [f"{M}.experts.down_proj"]}
BOTH = {**PARAMETERS, "target_parameters": [f"{M}.experts.{p}" for p in ("up_proj", "down_proj")]}
ODD = {**PARAMETERS, "target_parameters": [f"{M}.experts.{p}" for p in ("one", "two")]}
ADA = {"peft_type": "ADALORA", "init_r": 2}
OLD = {"enable_lora": [True]}
MERGED = lora("q", (2, 8), (8, 2, 1))
DAMAGED: dict[str, tuple[Shapes, dict[str, Any], str]] = {
    "rows in no blocks": (
        lora("q", (3, 8), (8, 1)),
        {"r": 3, "use_bdlora": {"target_modules_bd_b": ["q"], "nblocks": 3}},
        r"8 rows do not make 3 blocks \(use_bdlora\.nblocks\)",
    ),
    "columns in no blocks": (
        lora("q", (2, 8), (8, 2)),
        {"use_bdlora": {"target_modules_bd_b": ["q"], "nblocks": 2}},
        r"`.*q\.lora_A\.weight` \(2, 8\) and `.*q\.lora_B\.weight` \(8, 2\) do not have one rank",
    ),
    "blocks that are no object": (PLAIN, {"use_bdlora": "yes"}, "use_bdlora is 'yes', not an obj"),
    "groups of nothing": (
        PLAIN,
        {"use_qalora": True, "qalora_group_size": 0},
        "qalora_group_size is '0'; it must be a whole number of at least 1",
    ),
    "layers in no ranges": (
        PLAIN,
        {"layer_replication": [[0, 1], [2]]},
        "layer_replication is .*, not a list of ranges of layers",
    ),
    "experts of half a rank": (
        lora(f"{M}.experts", (5, 8), (8, 5)),
        PARAMETERS,
        r"`.*experts\.lora_A\.weight` has rank 5, but adapter_config\.json says 2",
    ),
    "one of two parameters": (
        lora(f"{M}.experts", (4, 8), (8, 4)),
        BOTH,
        rf"`{M}\.experts` has factors for 1 parameters and target_parameters names 2 of them",
    ),
    "parameters in no known order": (
        lora(f"{M}.experts", (4, 8), (8, 4)) | lora(f"{M}.experts.base_layer", (4, 8), (8, 4)),
        ODD,
        "the order in which it registers `(one|two)` is not known",
    ),
    "a convolution of width 3 twice": (
        lora("q", (2, 8, 3), (8, 2, 3)),
        {},
        r"\(2, 8, 3\) and `.*q\.lora_B\.weight` \(8, 2, 3\) are not the factors of a convolution",
    ),
    "three groups of eight": (
        lora("q", (6, 8, 3), (8, 2, 1)),
        {"r": 6},
        r"lora_B\.weight` \(8, 2, 1\) does not divide into 3 groups",
    ),
    "AdaLoRA that acts on some tokens": (
        ada(),
        {**ADA, "alora_invocation_tokens": [1]},
        "cannot be part of a sum: .*alora_invocation_tokens",
    ),
    "AdaLoRA of nothing": (
        ada(),
        {**ADA, "rank_pattern": {"q.lora_E": [False, False]}},
        "holds no factors of type ADALORA",
    ),
    "AdaLoRA whose pattern holds numbers": (
        ada(),
        {**ADA, "rank_pattern": {"q.lora_E": [1, 0]}},
        "rank_pattern holds something else than lists of true and false",
    ),
    "AdaLoRA whose pattern is a list": (
        ada(),
        {**ADA, "rank_pattern": [True]},
        "rank_pattern holds something else than lists of true and false",
    ),
    "AdaLoRA of a textual rank": (
        ada(),
        {**ADA, "init_r": "2"},
        "init_r is '2'; a rank is a whole number of at least 1",
    ),
    "enable_lora with a magnitude": (
        MERGED | {"q.lora_magnitude_vector": (8,)},
        OLD,
        r"cannot be part of a sum: `.*lora_magnitude_vector`: peft of that time had none",
    ),
    "enable_lora of nothing": ({}, OLD, "holds no LoRA factors"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_files_that_do_not_belong_together_are_refused_by_name(case: str, tmp_path: Path) -> None:
    tensors, config, words = DAMAGED[case]
    folder = folder_of(tmp_path / "odd", tensors, **config)
    with pytest.raises(SuperposeError, match=words) as caught:
        superpose.load(folder)
    assert isinstance(caught.value, BadInput | Refused)
    assert str(folder) in str(caught.value)


def test_a_batch_count_that_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    name = "norm.num_batches_tracked"
    own = {"q.lora_A.weight": (2, 8), "q.lora_B.weight": (8, 2), "norm.weight": (4,)}
    for count, good in ((2**24 + 1, False), (2**24, True)):
        tensors = {**own, name: np.array(count, np.int64)}
        folder = folder_of(tmp_path / "odd", tensors, modules_to_save=["norm"])
        if good:
            assert superpose.load(folder).replacements[name].value() == 2**24
            continue
        with pytest.raises(BadInput, match=f"`.*{name}` holds integers of more than 24 bits"):
            superpose.load(folder)


def test_adalora_without_any_rank_said_has_pefts_own(tmp_path: Path) -> None:
    """Factors of two ranks, and a pattern that names no lora_E: init_r is 12, its default."""
    tensors = ada() | {name.replace("q.", "v."): x for name, x in ada((3, 8), (8, 3)).items()}
    pattern = {"q.lora_E": [True] * 2, "v.lora_E.default": [True] * 3, "w": [True]}
    config = {"peft_type": "ADALORA", "rank_pattern": pattern, "target_modules": ["q", "v"]}
    adapter = superpose.load(folder_of(tmp_path / "ada", tensors, **config))
    assert {t.coefficient for d in adapter.values() for t in d.terms} == {4 / (12 + 1e-5)}


@pytest.mark.parametrize("config", [ADA, OLD], ids=["AdaLoRA", "enable_lora"])
def test_factors_that_are_zero_are_a_warning(config: dict[str, Any], tmp_path: Path) -> None:
    tensors = {k: np.zeros(x, np.float32) for k, x in (ada() if config is ADA else MERGED).items()}
    with pytest.warns(SuperposeWarning, match="this adapter adds nothing"):
        superpose.load(folder_of(tmp_path / "zero", tensors, **config))
