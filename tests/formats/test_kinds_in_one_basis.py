"""Every kind of thing that a PEFT LoRA folder can hold goes into one basis and out again."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import peft
import pytest
import transformers
from tests.formats.kinds import (
    CLOSE,
    SMALL,
    classifier,
    distance,
    llama,
    make,
    opt,
    outputs,
    plain,
    quietly,
    seeded,
)
from tests.formats.test_kinds import DELTAS, WHOLE
from tests.formats.test_kinds_stored import Normed

import superpose
from superpose.adapter import Delta
from superpose.errors import BadInput, Refused


def same_files(one: Path, other: Path) -> None:
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@quietly
@pytest.mark.parametrize("kind", [*DELTAS, *WHOLE])
def test_at_full_rank_each_is_itself_in_the_model_and_the_shared_form_is_it_to_the_bit(
    kind: str, tmp_path: Path
) -> None:
    base, settings = (DELTAS | WHOLE)[kind]
    paths = [tmp_path / name for name in ("x", "y")]
    for seed, path in enumerate(paths):
        make(path, base(), settings, seed)
    found = superpose.compress([str(path) for path in paths], tmp_path / "out", rank=99)
    superpose.expand(tmp_path / "out", tmp_path / "back")
    for path, one in zip(paths, found.adapters, strict=True):
        assert one.error < 1e-6
        assert distance(base, [(path, 1.0)], tmp_path / "out" / path.name) < CLOSE
        same_files(tmp_path / "out" / path.name, tmp_path / "back" / path.name)
        before, after = superpose.load(path), superpose.load(tmp_path / "out" / path.name)
        assert list(before) == list(after)
        assert before.replacements.keys() == after.replacements.keys()
        for key, stored in before.replacements.items():
            assert np.array_equal(stored.value(), after.replacements[key].value())


@quietly
@pytest.mark.parametrize("kind", ["lora_bias", "experts", "embedding", "head", "convolutions"])
def test_at_a_small_rank_peft_computes_what_the_error_says(kind: str, tmp_path: Path) -> None:
    base, settings = (DELTAS | WHOLE)[kind]
    paths = [tmp_path / name for name in ("x", "y", "z")]
    for seed, path in enumerate(paths):
        make(path, base(), settings, seed)
    found = superpose.compress([str(path) for path in paths], tmp_path / "out", rank=6)
    for path, one, inside in zip(paths, found.adapters, found.ordinary, strict=True):
        left = superpose.load(path) - superpose.load(tmp_path / "out" / path.name)
        assert one.error == pytest.approx(left.norm() / superpose.load(path).norm(), rel=1e-6)
        assert 0.0 < one.error < 1.0
        # What PEFT makes of the file is what the factors in memory say.
        superpose.save(inside, tmp_path / "inside" / path.name, dtype="float64")
        ours = outputs(peft.PeftModel.from_pretrained(base(), tmp_path / "out" / path.name))
        right = outputs(peft.PeftModel.from_pretrained(base(), tmp_path / "inside" / path.name))
        assert float((ours - right).norm() / (right - outputs(base())).norm()) < 1e-9


@quietly
def test_heads_for_other_labels_and_counts_stay_each_adapters_own(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(**SMALL, num_labels=5, pad_token_id=0)
    five = seeded(transformers.LlamaForSequenceClassification, config)
    make(tmp_path / "three", classifier(), {"task_type": "SEQ_CLS"}, 1)
    make(tmp_path / "five", five, {"task_type": "SEQ_CLS"}, 2)
    two = [str(tmp_path / name) for name in ("three", "five")]
    found = superpose.compress(two, tmp_path / "out", rank=99)
    assert [one.own for one in found.adapters] == [(0, 1), (0, 1)]
    assert distance(classifier, [(tmp_path / "three", 1.0)], tmp_path / "out" / "three") < CLOSE
    normed = {"target_modules": ["linear"], "modules_to_save": ["norm", "scale"]}
    make(tmp_path / "counts", plain(Normed), normed, 0)
    superpose.compress([str(tmp_path / "counts")], tmp_path / "counted", rank=8)
    superpose.expand(tmp_path / "counted", tmp_path / "again")
    same_files(tmp_path / "counted" / "counts", tmp_path / "again" / "counts")


@quietly
def test_heads_with_factors_of_another_shape_are_in_no_basis(tmp_path: Path) -> None:
    for labels in (3, 5):
        config = transformers.LlamaConfig(**SMALL, num_labels=labels, pad_token_id=0)
        base = seeded(transformers.LlamaForSequenceClassification, config)
        make(tmp_path / f"{labels}", base, {"target_modules": ["q_proj", "score"]}, labels)
    two = [str(tmp_path / name) for name in "35"]
    found = superpose.compress(two, tmp_path / "out", rank=2)
    assert [one.own for one in found.adapters] == [(1, 0), (1, 0)]
    for name in "35":
        before, after = (superpose.load(tmp_path / at / name) for at in (".", "out"))
        assert (before - after)["score"].terms
        assert superpose.Adapter({"score": before["score"]}).cosine(
            superpose.Adapter({"score": after["score"]})
        ) == pytest.approx(1.0, abs=1e-12)


@quietly
def test_dora_is_refused_by_name_and_its_way_out_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    llama().save_pretrained("BASE")
    make(tmp_path / "ADAPTER", llama(), {"use_dora": True}, 1)
    make(tmp_path / "other", llama(), {}, 2)
    with pytest.raises(Refused, match="DoRA"):
        superpose.compress(["ADAPTER", "other"], "out", rank=4)
    assert not Path("out").exists()
    loaded = superpose.load("ADAPTER", dora=True)
    with pytest.raises(Refused, match="q_proj") as refused:
        superpose.compress([loaded, "other"], "out", rank=4)
    command = shlex.split(str(refused.value.hint).partition("superpose ")[2].rstrip("."))
    assert request.getfixturevalue("superpose")(*command, cwd=tmp_path).returncode == 0
    assert superpose.compress(["PLAIN", "other"], "out", rank=4).adapters[0].error < 1.0


@quietly
def test_names_that_nobody_can_tell_are_refused_and_the_base_tells(tmp_path: Path) -> None:
    make(tmp_path / "x", llama(), {}, 1)
    make(tmp_path / "y", opt(), {}, 2)
    two = [str(tmp_path / name) for name in "xy"]
    with pytest.raises(Refused, match="--base"):
        superpose.compress(two, rank=4)
    opt().save_pretrained(tmp_path / "base")
    with pytest.raises(BadInput):  # and that they are none of this base's
        superpose.compress(two, rank=4, base=str(tmp_path / "base"))


@pytest.mark.parametrize("name", ["kohya", "diffusers"])
def test_image_loras_go_into_one_basis_and_out_again(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(2):
        modules = [f"unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_{m}" for m in "qv"]
        factors = [(rng.normal(size=(8, 2)), rng.normal(size=(2, 8))) for _ in modules]
        deltas = {
            module: Delta.of(B.astype(np.float32), A.astype(np.float32))
            for module, (B, A) in zip(modules, factors, strict=True)
        }
        paths.append(str(tmp_path / f"{number}.safetensors"))
        superpose.save(superpose.Adapter(deltas, f"{number}", format=name), paths[-1])
    found = superpose.compress(paths, tmp_path / "out", rank=4)
    superpose.expand(tmp_path / "out", tmp_path / "back")
    for path, one in zip(paths, found.adapters, strict=True):
        assert one.error < 1e-6
        written = tmp_path / "out" / one.output
        again = tmp_path / "back" / written.name
        assert written.read_bytes() == again.read_bytes()
        assert superpose.diff(path, written, tolerance=1e-5).same
        assert superpose.load(written).format == superpose.load(path).format
    anew = superpose.Writing(force=True)
    superpose.compress(paths[:1], tmp_path / "out", rank=1, writing=anew)
    assert not (tmp_path / "out" / "1.safetensors").exists()
