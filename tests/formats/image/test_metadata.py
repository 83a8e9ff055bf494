"""A written file's metadata: kept where it is true, made true where it is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

import superpose

from .conftest import MODULES, WriteLora

METADATA = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "ss_network_dim": "2",
    "ss_network_alpha": "1.0",
    "ss_network_module": "lycoris.kohya",
    "ss_network_args": '{"algo": "loha"}',
    "ss_clip_skip": "2",
    "ss_tag_frequency": '{"cats": {"a cat": 3}}',
    "sshs_model_hash": "00",
    "sshs_legacy_hash": "11",
    "modelspec.hash_sha256": "0x00",
    "modelspec.title": "cats",
    "notes": "mine",
}


def kohya_hash(path: Path) -> str:
    """Kohya's precalculate_safetensors_hashes: of what safetensors makes of the tensors."""
    raw = save(load_file(path))
    return hashlib.sha256(raw[8 + int.from_bytes(raw[:8], "little") :]).hexdigest()


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        found: dict[str, str] = file.metadata()
        return found


def test_metadata_is_kept_and_what_is_no_longer_true_is_made_true(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    path = write_lora("a", metadata=METADATA, dtype=torch.float16)
    superpose.save(0.5 * superpose.load(path), tmp_path / "half.safetensors")
    digest = kohya_hash(tmp_path / "half.safetensors")
    found = metadata_of(tmp_path / "half.safetensors")
    note = json.loads(found.pop("superpose"))
    assert note["parents"] == [{"name": "a", "path": str(path), "weight": 0.5, "words": ["a cat"]}]
    gone = {"ss_network_args", "sshs_legacy_hash"}
    changed = {
        "ss_network_module": "networks.lora",
        "ss_network_alpha": "2.0",
        "sshs_model_hash": digest,
        "modelspec.hash_sha256": f"0x{digest}",
    }
    assert found == {k: v for k, v in METADATA.items() if k not in gone} | changed
    assert superpose.load(path).base_model == "sdxl_base_v1-0"


def test_a_sum_keeps_the_metadata_on_which_all_parents_agree(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    a = write_lora("a", metadata=METADATA)
    b = write_lora("b", metadata=METADATA | {"ss_clip_skip": "1", "modelspec.title": "dogs"})
    superpose.save(superpose.load(a) + superpose.load(b), tmp_path / "sum.safetensors")
    found = metadata_of(tmp_path / "sum.safetensors")
    assert "ss_clip_skip" not in found
    assert "modelspec.title" not in found
    assert found["ss_tag_frequency"] == METADATA["ss_tag_frequency"]
    again = superpose.load(tmp_path / "sum.safetensors")
    assert [parent.name for parent in again.parents] == ["a", "b"]
    assert "superpose" not in again.metadata


@pytest.mark.filterwarnings("ignore:nothing shows that")  # the two have no module in common
def test_differing_ranks_are_called_dynamic_as_kohya_does(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    path = write_lora("a", rank=3, modules=MODULES[:2])
    extra = write_lora("b", rank=2, modules=MODULES[3:])
    superpose.save(superpose.load(path) + superpose.load(extra), tmp_path / "sum.safetensors")
    found = metadata_of(tmp_path / "sum.safetensors")
    assert (found["ss_network_dim"], found["ss_network_alpha"]) == ("Dynamic", "Dynamic")
