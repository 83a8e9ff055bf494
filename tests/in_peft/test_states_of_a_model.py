"""Whatever was done to a loaded model, the sum is that of its adapters as they act in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from tests.formats.kinds import CLOSE, llama, make, outputs, quietly
from tests.in_peft.loaded import (
    BOTH,
    WEIGHTS,
    apart,
    is_as_before,
    loaded,
    right_outputs,
    saved,
    snapshot,
)

from superpose.errors import Refused, SuperposeWarning
from superpose.peft import add_weighted_adapter


def delta(model: Any, name: str, module: str = "self_attn.q_proj") -> torch.Tensor:
    layer = model.get_base_model().get_submodule(f"model.layers.0.{module}")
    B, A = layer.lora_B[name].weight.double(), layer.lora_A[name].weight.double()
    return layer.scaling[name] * B @ A


@quietly
def test_a_scale_that_was_set_in_the_model_counts(pair: Any, right: Any) -> None:
    model = loaded(llama(), pair)
    for layer in model.modules():
        if isinstance(layer, peft.tuners.lora.LoraLayer):
            layer.set_scale("math", 2.0)
    add_weighted_adapter(model, BOTH, [0.5, -0.7], "both")
    model.set_adapter("both")
    assert apart(outputs(model), *right) < CLOSE


@quietly
def test_patterns_count_in_the_order_that_they_had_when_the_model_was_made() -> None:
    """Saving sorts them, after which another one is the first to match."""
    pattern = {"q_proj": 64, "layers.0.self_attn.q_proj": 4}
    settings = peft.LoraConfig(target_modules=["q_proj"], alpha_pattern=pattern)
    model = peft.get_peft_model(llama(), settings, adapter_name="math")
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    add_weighted_adapter(model, ["math"], [0.5], "less")
    twice = (2 * delta(model, "less") - delta(model, "math")).norm()
    assert twice < 1e-6 * delta(model, "math").norm()


@quietly
def test_adapters_that_are_switched_off_are_added_and_stay_off(pair: Any, right: Any) -> None:
    model = loaded(llama(), pair)
    with model.disable_adapter():
        add_weighted_adapter(model, BOTH, WEIGHTS, "both")
        assert torch.equal(outputs(model), right[1])
    model.set_adapter("both")
    assert apart(outputs(model), *right) < CLOSE


@quietly
def test_a_merged_adapter_is_refused_and_the_way_out_leads_to_the_sum(
    pair: Any, right: Any
) -> None:
    model = loaded(llama(), pair)
    model.merge_adapter(["math"])
    before = snapshot(model)
    with pytest.raises(Refused, match="`math` is merged") as refused:
        add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    assert is_as_before(model, before)
    assert "model.unmerge_adapter()" in str(refused.value)
    model.unmerge_adapter()
    add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    model.set_adapter("both")
    assert apart(outputs(model), *right) < CLOSE


@quietly
@pytest.mark.parametrize("wide", [True, False], ids=["factors in float32", "factors in bfloat16"])
def test_beside_a_base_in_bfloat16_the_sum_is_in_float32_and_exact(wide: bool, pair: Any) -> None:
    model = loaded(llama().to(torch.bfloat16), pair, autocast_adapter_dtype=wide)
    add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    right = delta(model, "math") - 0.7 * delta(model, "law")
    assert (delta(model, "both") - right).norm() < 1e-6 * right.norm()


@quietly
def test_layers_in_a_wrapper_have_the_sum_too() -> None:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    base = llama()
    base.model.layers[0] = checkpoint_wrapper(base.model.layers[0])
    settings = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    model = peft.get_peft_model(base, settings, adapter_name="math")
    model.add_adapter("law", settings)
    add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    module = "_checkpoint_wrapped_module.self_attn.q_proj"
    right = delta(model, "math", module) - 0.7 * delta(model, "law", module)
    assert (delta(model, "both", module) - right).norm() < 1e-6 * right.norm()


@quietly
def test_a_sum_can_be_added_again(pair: Any) -> None:
    model = loaded(llama(), pair)
    add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    add_weighted_adapter(model, ["both", "law"], [1.0, 0.7], "back")
    model.set_adapter("back")
    assert apart(outputs(model), *right_outputs(llama, [(pair[0], 1.0)])) < CLOSE


@quietly
def test_an_adapter_minus_itself_adds_nothing_and_that_is_said(pair: Any, right: Any) -> None:
    model = loaded(llama(), pair)
    with pytest.warns(SuperposeWarning, match="the sum is zero"):
        add_weighted_adapter(model, ["math", "math"], [1.0, -1.0], "none")
    model.set_adapter("none")
    assert torch.allclose(outputs(model), right[1])


@quietly
def test_plain_adapters_are_added_beside_one_with_trained_rows(pair: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    make(rows, llama(), {"trainable_token_indices": [5, 3]}, 2)
    model = loaded(llama(), [*pair, rows])
    add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    right = delta(model, "math") - 0.7 * delta(model, "law")
    assert (delta(model, "both") - right).norm() < 1e-6 * right.norm()


@quietly
def test_of_replicated_layers_each_has_the_sum(tmp_path: Path) -> None:
    make(tmp_path / "a", llama(), {"layer_replication": [[0, 2], [1, 2]]}, 0)
    model = loaded(llama(), [tmp_path / "a"])
    add_weighted_adapter(model, ["math"], [0.5], "less")
    assert model.peft_config["less"].layer_replication == [[0, 2], [1, 2]]
    assert len(model.get_base_model().model.layers) == 3
    model.set_adapter("less")
    found = outputs(model)
    model.save_pretrained(tmp_path, selected_adapters=["less"])
    assert torch.allclose(outputs(loaded(llama(), [tmp_path / "less"])), found)


@quietly
@pytest.mark.parametrize("ways", [{"rank": 32}, {"svd_rank": 4}], ids=["full rank", "rank 4"])
def test_dora_is_approximated_at_a_rank_on_the_loaded_base(
    ways: dict[str, int], tmp_path: Path
) -> None:
    paths = saved(tmp_path, llama, [{"use_dora": True}, {}])
    model = loaded(llama(), paths)
    made = add_weighted_adapter(model, BOTH, [1.0, 0.5], "both", **ways)
    model.set_adapter("both")
    right = right_outputs(llama, [(paths[0], 1.0), (paths[1], 0.5)])
    assert (apart(outputs(model), *right) < CLOSE) is made.exact is ("rank" in ways)
    assert made.exact or 0.1 < made.energy_kept < 0.99


def refusing(error: type[Exception], match: str) -> Callable[..., str]:
    """Give what calls a function, which has to raise so and to leave the model as it was."""

    def call(model: Any, *args: Any, **options: Any) -> str:
        before = snapshot(model)
        with pytest.raises(error, match=match) as raised:
            add_weighted_adapter(model, *args, **options)
        assert is_as_before(model, before)
        return str(raised.value)

    return call


@quietly
def test_biases_trained_in_the_base_itself_have_a_sum_at_weight_1_alone(tmp_path: Path) -> None:
    from tests.formats.kinds import opt

    paths = saved(tmp_path, opt, [{"bias": "lora_only"}, {}])
    model = loaded(opt(), paths)
    said = refusing(Refused, "was trained in the base model itself")(
        model, BOTH, [0.5, 0.7], "both"
    )
    assert "superpose add A B --base BASE -o BOTH" in said


@quietly
def test_a_half_that_peft_lost_while_it_loaded_is_no_sum(tmp_path: Path) -> None:
    from tests.formats.kinds import tied_llama

    tied = {"target_modules": ["embed_tokens", "q_proj"], "ensure_weight_tying": True}
    for number, own in enumerate((tied, {"modules_to_save": ["lm_head"], **tied,
                                         "target_modules": ["q_proj"]})):  # fmt: skip
        paths = saved(tmp_path / str(number), tied_llama, [own, own])
        model = loaded(tied_llama(), paths)
        said = refusing(Refused, "PEFT lost one of the two")(model, BOTH, WEIGHTS, "both")
        assert "superpose add A B -o BOTH" in said


@quietly
def test_an_adapter_whose_file_peft_did_not_find_in_the_model_is_no_sum(
    pair: Any, tmp_path: Path
) -> None:
    """PEFT goes on without a word where a file was saved from the model without its head."""
    body = peft.get_peft_model(llama().model, peft.LoraConfig(target_modules=["q_proj"]))
    body.save_pretrained(tmp_path / "body")
    model = loaded(llama(), [pair[0], tmp_path / "body"])
    said = refusing(Refused, "`law` changes nothing")(model, BOTH, WEIGHTS, "both")
    assert "superpose add A B -o BOTH --base BASE" in said


class Gated(torch.nn.Module):
    """A layer that is called as PEFT calls its own."""

    def __init__(self) -> None:
        super().__init__()
        self.lora_gate, self.other = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.other(self.lora_gate(x))


@quietly
def test_a_layer_that_is_called_as_pefts_own_has_the_sum_too() -> None:
    torch.manual_seed(0)
    settings = peft.LoraConfig(target_modules=["lora_gate", "other"], init_lora_weights=False)
    model = peft.get_peft_model(Gated(), settings, adapter_name="math")
    model.add_adapter("law", settings)
    add_weighted_adapter(model, BOTH, WEIGHTS, "both")
    for layer in (model.get_base_model().lora_gate, model.get_base_model().other):
        right = layer.get_delta_weight("math") - 0.7 * layer.get_delta_weight("law")
        assert (layer.get_delta_weight("both") - right).norm() < 1e-6 * right.norm()


@quietly
def test_integers_in_place_of_weights_are_not_taken_for_them(tmp_path: Path) -> None:
    """As quantised layers hold them; `test_quantised_base.py` has real ones."""
    settings = {"use_dora": True, "target_modules": ["q_proj"]}
    model = loaded(llama(), saved(tmp_path, llama, [settings, settings]))
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    whole = (layer.base_layer.weight * 100).to(torch.int8)
    layer.base_layer.weight = torch.nn.Parameter(whole, requires_grad=False)
    with pytest.raises(Refused, match=r"`model\.layers\.0\..*q_proj\.weight` is quantised"):
        add_weighted_adapter(model, BOTH, WEIGHTS, "both", rank=4)
