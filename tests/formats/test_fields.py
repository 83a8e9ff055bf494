"""Every field of PEFT's LoraConfig is classified once, and the table holds no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import peft
import pytest
from tests.formats.conftest import SPELLINGS
from tests.formats.test_kinds import DELTAS, WHOLE

from superpose.formats.peft.config import parse_config
from superpose.formats.peft.fields import HARMLESS, REFUSED, USED, is_plain_init, refusals

FIELDS = {field.name: field for field in dataclasses.fields(peft.LoraConfig)}


KINDS = [settings for _, settings in (DELTAS | WHOLE).values()]
KINDS += [settings for _, settings, _ in SPELLINGS.values()]
"""What adapters are made with that PEFT itself merges, beside the written sum."""

BESIDE_KINDS = {
    "base_model_name_or_path": "test_recognise.py",
    "init_lora_weights": "test_fields.py",
    "layer_replication": "test_kinds.py",
    "peft_type": "test_recognise.py",
    "qalora_group_size": "test_kinds.py",
    "use_dora": "test_kinds_dora.py",
    "use_qalora": "test_kinds.py",
}
"""Fields that no kind has, and where they are tested: PEFT merges no such adapter exactly, or the
field is none of a delta."""


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_of_peft_is_used_harmless_or_refused(name: str) -> None:
    homes = [home for home in (USED, HARMLESS, REFUSED) if name in home]
    assert len(homes) == 1, f"{name} is classified {len(homes)} times"


def test_the_table_holds_no_field_that_peft_does_not_have() -> None:
    assert {*USED, *HARMLESS, *REFUSED} == set(FIELDS)


class Watched(dict[str, Any]):
    """A configuration that knows which of its fields were asked for."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)


def test_each_field_that_is_used_is_read() -> None:
    """With every switch on: a size may be asked for where its switch is alone."""
    made = peft.LoraConfig(target_modules=["q_proj"], use_qalora=True).to_dict()
    config = Watched(made, target_modules=["q_proj"])
    parse_config(config, "here")
    recognised = {"peft_type"}  # before the rest is looked at
    assert set(USED) - config.asked == recognised


@pytest.mark.parametrize("name", sorted(USED))
def test_each_field_that_is_used_has_its_kind_of_adapter(name: str) -> None:
    if name in BESIDE_KINDS:
        path = Path(__file__).with_name(BESIDE_KINDS[name])
        assert name in path.read_text(encoding="utf-8")
    else:
        assert any(name in settings for settings in KINDS), f"no kind is made with {name}"


def test_a_default_configuration_of_peft_is_not_refused() -> None:
    config = peft.LoraConfig(target_modules=["q_proj"]).to_dict()
    assert refusals(config) == []


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("value", [True, 1, "x", [1], {"a": 1}], ids=repr)
def test_a_refused_field_with_any_value_is_named_in_the_reason(name: str, value: Any) -> None:
    (reason,) = refusals({name: value})
    assert reason.startswith(f"{name} is")


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("value", [None, False, [], {}, "", 0], ids=repr)
def test_a_refused_field_that_is_empty_does_not_stand_in_the_way(name: str, value: Any) -> None:
    assert refusals({name: value}) == []


@pytest.mark.parametrize("value", [True, False, None, "gaussian", "Gaussian", "orthogonal", "eva"])
def test_initialisations_that_leave_the_base_alone_are_plain(value: Any) -> None:
    assert is_plain_init(value)
    assert refusals({"init_lora_weights": value}) == []


@pytest.mark.parametrize(
    "value",
    ["pissa", "pissa_niter_4", "olora", "OLoRA", "corda", "loftq", "lora_ga", "newest", 1, []],
)
def test_every_other_initialisation_is_refused_by_name(value: Any) -> None:
    (reason,) = refusals({"init_lora_weights": value})
    assert repr(value) in reason


@pytest.mark.parametrize("value", ["none", "all", "lora_only"])
def test_biases_are_judged_by_their_tensors_and_not_by_the_flag(value: str) -> None:
    assert refusals({"bias": value}) == []


@pytest.mark.parametrize("value", [None, "some", True])
def test_a_bias_flag_that_peft_does_not_know_is_refused(value: Any) -> None:
    (reason,) = refusals({"bias": value})
    assert reason.startswith("bias is")
