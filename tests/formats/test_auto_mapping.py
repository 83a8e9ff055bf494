"""AutoPeftModel makes the base model of a written sum, by the class that its parents name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

import superpose
from superpose.errors import SuperposeWarning

TOKENS = torch.arange(24).reshape(2, 12) % 61


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, oracle: Any) -> Path:
    """A tiny GPT-2 with its head, as a folder."""
    folder = tmp_path_factory.mktemp("base") / "tiny-gpt2"
    oracle.gpt2().save_pretrained(folder)
    return folder


def write(folder: Path, base: Path, kind: str, seed: int, **settings: Any) -> Path:
    """Train nothing, but save an adapter on a class of the base, as PEFT does it."""
    model = getattr(transformers, kind).from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, **settings)
        adapted = peft.get_peft_model(model, config)
        torch.manual_seed(seed)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter)
        adapted.save_pretrained(folder)
    return folder


def mapping(folder: Path) -> Any:
    return json.loads((folder / "adapter_config.json").read_text())["auto_mapping"]


def output(model: Any) -> Any:
    with torch.no_grad():
        return model.eval()(input_ids=TOKENS)[0].double()


@pytest.mark.parametrize("kind", ["GPT2Model", "GPT2LMHeadModel"])
def test_a_written_sum_and_a_written_copy_load_by_themselves(
    kind: str, base: Path, tmp_path: Path
) -> None:
    one, two = (write(tmp_path / name, base, kind, n) for n, name in enumerate("ab"))
    assert mapping(one)["base_model_class"] == kind
    superpose.save(+superpose.load(one), tmp_path / "copy")
    superpose.save(superpose.load(one) + superpose.load(two), tmp_path / "sum")
    loaded = peft.AutoPeftModel.from_pretrained(tmp_path / "copy")
    right = output(peft.AutoPeftModel.from_pretrained(one))
    torch.testing.assert_close(output(loaded), right, rtol=1e-5, atol=1e-5)
    merged = peft.AutoPeftModel.from_pretrained(one).merge_and_unload()
    both = output(peft.PeftModel.from_pretrained(merged, two))
    found = output(peft.AutoPeftModel.from_pretrained(tmp_path / "sum"))
    torch.testing.assert_close(found, both, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("first", ["GPT2Model", "GPT2LMHeadModel"])
def test_of_two_classes_that_differ_by_their_head_the_one_that_fits_the_names_is_written(
    first: str, base: Path, tmp_path: Path
) -> None:
    second = {"GPT2Model": "GPT2LMHeadModel", "GPT2LMHeadModel": "GPT2Model"}[first]
    one = write(tmp_path / "a", base, first, 0)
    two = write(tmp_path / "b", base, second, 1)
    with pytest.warns(SuperposeWarning) as said:
        total = superpose.load(one) + superpose.load(two)
    assert any("AutoPeftModel makes the sum's base model as" in str(w.message) for w in said)
    superpose.save(total, tmp_path / "sum")
    found = peft.AutoPeftModel.from_pretrained(tmp_path / "sum")
    assert type(found.get_base_model()).__name__ == mapping(tmp_path / "sum")["base_model_class"]
    plain = getattr(transformers, mapping(tmp_path / "sum")["base_model_class"])
    bare = plain.from_pretrained(base)
    superpose.save(superpose.load(tmp_path / "sum"), tmp_path / "again")
    changed = output(found) - output(bare)
    assert changed.norm() > 1  # the factors were found, by the names that this class has
    loaded = peft.PeftModel.from_pretrained(plain.from_pretrained(base), tmp_path / "again")
    torch.testing.assert_close(output(loaded), output(found))


def test_beside_an_adapter_with_a_task_the_class_of_the_other_is_kept(
    base: Path, tmp_path: Path
) -> None:
    one = write(tmp_path / "a", base, "GPT2LMHeadModel", 0)
    two = write(tmp_path / "b", base, "GPT2LMHeadModel", 1, task_type="CAUSAL_LM")
    assert mapping(two) is None
    for n, parts in enumerate(((one, two), (two, one))):
        superpose.save(sum(map(superpose.load, parts)), tmp_path / f"sum{n}")
        assert mapping(tmp_path / f"sum{n}") == mapping(one)
        peft.AutoPeftModel.from_pretrained(tmp_path / f"sum{n}")


def test_a_class_without_a_head_is_not_written_for_names_with_one(
    base: Path, tmp_path: Path
) -> None:
    one = write(tmp_path / "a", base, "GPT2Model", 0)
    two = write(tmp_path / "b", base, "GPT2LMHeadModel", 1, task_type="CAUSAL_LM")
    with pytest.warns(SuperposeWarning):
        total = superpose.load(one) + superpose.load(two)
    assert "auto_mapping" not in total.settings


@pytest.mark.parametrize("value", ["GPT2Model", [], {}, {"base_model_class": 1}, 3])
def test_a_mapping_of_another_form_is_left_out(value: Any, base: Path, tmp_path: Path) -> None:
    one = write(tmp_path / "a", base, "GPT2Model", 0)
    path = one / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_mapping": value}))
    assert "auto_mapping" not in superpose.load(one).settings
