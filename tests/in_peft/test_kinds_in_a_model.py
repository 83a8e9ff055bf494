"""Every kind of thing that adapters in one PeftModel can be: the new one is their sum, exactly."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
from tests.formats.kinds import CLOSE, outputs, quietly
from tests.in_peft.loaded import (
    KINDS,
    NAMES,
    apart,
    is_as_before,
    loaded,
    right_outputs,
    saved,
    snapshot,
)  # fmt: skip

from superpose.peft import add_weighted_adapter


@quietly
@pytest.mark.parametrize("kind", KINDS)
def test_the_new_adapter_is_the_sum_in_the_model_and_when_it_is_saved(
    kind: str, tmp_path: Path
) -> None:
    base, settings, weights = KINDS[kind]
    paths = saved(tmp_path, base, settings)
    names = NAMES[: len(paths)]
    right, bare = right_outputs(base, list(zip(paths, weights, strict=True)))
    model = loaded(base(), paths)
    before = snapshot(model)
    made = add_weighted_adapter(model, names, weights, "both")
    assert made.exact
    assert is_as_before(model, before, "both")
    assert not any(x.requires_grad for n, x in model.named_parameters() if ".both" in n)
    model.set_adapter("both")
    model.save_pretrained(tmp_path, selected_adapters=["both"])
    assert apart(outputs(model), right, bare) < CLOSE
    again = peft.PeftModel.from_pretrained(base(), tmp_path / "both")
    assert apart(outputs(again), right, bare) < CLOSE
