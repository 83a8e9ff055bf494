"""Every field of PEFT's LoraConfig is classified once, and the table holds no other."""

from __future__ import annotations

import dataclasses
from typing import Any

import peft
import pytest

from superpose.formats.peft.fields import HARMLESS, REFUSED, USED, is_plain_init, refusals

FIELDS = {field.name: field for field in dataclasses.fields(peft.LoraConfig)}


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_of_peft_is_used_harmless_or_refused(name: str) -> None:
    homes = [home for home in (USED, HARMLESS, REFUSED) if name in home]
    assert len(homes) == 1, f"{name} is classified {len(homes)} times"


def test_the_table_holds_no_field_that_peft_does_not_have() -> None:
    assert {*USED, *HARMLESS, *REFUSED} == set(FIELDS)


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
