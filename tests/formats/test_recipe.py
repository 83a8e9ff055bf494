"""What CONTRIBUTING says of a new option of PEFT: it is named until it is read and has its kind."""

from __future__ import annotations

import pytest
from tests.formats import test_fields as battery

from superpose.formats.peft.fields import HARMLESS, USED

classified = battery.test_each_field_of_peft_is_used_harmless_or_refused
read = battery.test_each_field_that_is_used_is_read
of_a_kind = battery.test_each_field_that_is_used_has_its_kind_of_adapter


def test_a_new_field_is_named_until_somebody_has_said_what_it_does() -> None:
    with pytest.raises(AssertionError, match="novelty is classified 0 times"):
        classified("novelty")


def test_a_harmless_field_needs_a_reason_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(battery, "HARMLESS", {**HARMLESS, "novelty": "acts in training alone"})
    classified("novelty")
    read()


def test_a_used_field_is_named_until_it_is_read_and_until_an_adapter_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(battery, "USED", USED | {"novelty"})
    classified("novelty")
    with pytest.raises(AssertionError, match="novelty"):
        read()
    with pytest.raises(AssertionError, match="no kind is made with novelty"):
        of_a_kind("novelty")
    monkeypatch.setattr(battery, "KINDS", [*battery.KINDS, {"novelty": True}])
    of_a_kind("novelty")
