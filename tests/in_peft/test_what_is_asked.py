"""The arguments are PEFT's own; each is the sum, a method on the deltas, or refused by name."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from tests.formats.kinds import CLOSE, llama, outputs, quietly
from tests.in_peft.loaded import (
    BOTH,
    WEIGHTS,
    apart,
    is_as_before,
    loaded,
    right_outputs,
    snapshot,
)

import superpose
from superpose.compose import BestRank, Ties
from superpose.errors import BadInput, BadSetting, Refused, SuperposeError
from superpose.formats.peft import read
from superpose.peft import add_weighted_adapter
from superpose.peft.asked import TYPES


@pytest.fixture(scope="module")
def model(pair: list[Path]) -> Any:
    """One model for all that is refused, since nothing may be left of it."""
    return loaded(llama(), pair)


def added(model: Any, *args: Any, **options: Any) -> Any:
    """Add the sum, and take it out again: gives how it was made, and what the model computes."""
    made = add_weighted_adapter(model, BOTH, WEIGHTS, "both", *args, **options)
    model.set_adapter("both")
    found = outputs(model)
    model.set_adapter("math")
    model.delete_adapter("both")
    return made, found


def test_the_arguments_are_those_of_peft() -> None:
    theirs = inspect.signature(peft.LoraModel.add_weighted_adapter).parameters
    ours = inspect.signature(add_weighted_adapter).parameters
    assert [*theirs][1:] == [*ours][1 : len(theirs)]
    assert {n: p.default for n, p in theirs.items() if n not in ("self", "combination_type")} == {
        n: ours[n].default for n in theirs if n not in ("self", "combination_type")
    }
    asked = theirs["combination_type"].annotation
    assert all(f'"{name}"' in str(asked) or f"'{name}'" in str(asked) for name in TYPES)
    assert len(TYPES) == str(asked).count("'") // 2


@quietly
@pytest.mark.parametrize(
    "options", [{}, {"combination_type": "cat"}, {"combination_type": "svd", "svd_rank": 10}]
)
def test_the_sum_is_exact_where_no_rank_cuts_it(
    options: dict[str, Any], model: Any, right: Any
) -> None:
    made, found = added(model, **options)
    assert made.exact
    assert apart(found, *right) < CLOSE


@quietly
@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"combination_type": "svd"}, 6),
        ({"combination_type": "svd", "svd_rank": 3, "svd_full_matrices": False}, 3),
        ({"svd_rank": 3}, 3),
        ({"rank": 3}, 3),
        ({"method": BestRank(3)}, 3),
    ],
)
def test_a_rank_gives_the_best_approximation_and_what_it_keeps(
    options: dict[str, Any], kept: int, model: Any, pair: list[Path]
) -> None:
    made, _ = added(model, **options)
    total = superpose.exact_sum([superpose.load(p) for p in pair], WEIGHTS)
    assert made.energy_kept == pytest.approx(total.compress(kept).made.energy_kept)
    assert not made.exact


@quietly
@pytest.mark.parametrize("kind", ["ties_svd", "dare_linear_svd", "dare_ties_svd"])
def test_types_on_deltas_are_methods_here(kind: str, model: Any) -> None:
    made, _ = added(model, kind, density=0.5, svd_rank=5)
    assert made.method == kind.removesuffix("_svd").removesuffix("_linear").replace("_", "-")
    assert made.energy_kept is not None


@quietly
def test_ties_on_deltas_is_what_peft_makes_of_them(model: Any) -> None:
    equal = [0.5, 0.5]  # of other weights PEFT elects the signs before it weighs
    add_weighted_adapter(model, BOTH, equal, "ours", "ties_svd", density=0.5, svd_rank=16)
    model.add_weighted_adapter(BOTH, equal, "theirs", "ties_svd", density=0.5, svd_rank=16)
    layers = [m for m in model.modules() if isinstance(m, peft.tuners.lora.Linear)]
    for layer in layers:
        ours, theirs = layer.get_delta_weight("ours"), layer.get_delta_weight("theirs")
        # PEFT forgets rsLoRA's scaling neither here nor there: the first adapter has none.
        assert torch.allclose(ours, theirs, atol=1e-5)
    for name in ("ours", "theirs"):
        model.delete_adapter(name)


@quietly
def test_a_method_is_given_by_name_or_with_its_settings(model: Any) -> None:
    by_name, _ = added(model, method="knots")
    with_settings, _ = added(model, method=Ties(density=0.4), rank=6)
    assert (by_name.method, with_settings.method) == ("knots", "ties")
    assert ("density", 0.4) in with_settings.settings


@quietly
def test_of_one_adapter_every_type_is_the_sum_as_in_peft(model: Any) -> None:
    for kind in ("linear", "ties", "dare_ties_svd", "magnitude_prune"):
        assert add_weighted_adapter(model, ["law"], [-0.5], "less", kind).exact
        model.delete_adapter("less")


@quietly
@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"combination_type": "linear"}, Refused, "combination_type='cat' is the exact sum"),
        ({"combination_type": "ties", "density": 0.5}, Refused, "combination_type='ties_svd'"),
        ({"combination_type": "dare_linear", "density": 0.5}, Refused, "'dare_linear_svd'"),
        ({"combination_type": "dare_ties", "density": 0.5}, Refused, "'dare_ties_svd'"),
        ({"combination_type": "magnitude_prune", "density": 0.5}, Refused, "compose.Ties"),
        ({"combination_type": "magnitude_prune_svd", "density": 0.5}, Refused, "compose.Ties"),
        ({"combination_type": "svd", "svd_clamp": 0.9}, Refused, "svd_clamp"),
        (
            {"combination_type": "ties_svd", "density": 0.5, "majority_sign_method": "frequency"},
            Refused,
            "majority_sign_method",
        ),
        ({"combination_type": "ties_svd"}, BadSetting, "density"),
        ({"combination_type": "mean"}, BadSetting, "there are cat, svd"),
        ({"combination_type": "cat", "method": "ties"}, BadSetting, "two answers"),
        ({"rank": 3, "svd_rank": 4}, BadSetting, "two answers"),
        ({"method": BestRank(3), "rank": 4}, BadSetting, "rank is 4"),
        ({"method": "best rank"}, BadSetting, "superpose.compose.BestRank"),
        ({"method": "mean"}, BadSetting, "there are sum"),
        ({"rank": 0}, BadInput, "rank"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused_with_the_way_out(
    options: dict[str, Any], error: type[SuperposeError], said: str, model: Any
) -> None:
    before = snapshot(model)
    with pytest.raises(error) as raised:
        add_weighted_adapter(model, BOTH, WEIGHTS, "both", **options)
    assert said in str(raised.value)
    assert is_as_before(model, before)


@quietly
@pytest.mark.parametrize(
    ("adapters", "weights", "name", "said"),
    [
        (BOTH, [1.0], "both", "2 adapters and 1 task weight"),
        (BOTH, [1.0, float("nan")], "both", "must be finite"),
        (BOTH, [1.0, "much"], "both", "is no task weight"),
        ([], [], "both", "at least one adapter"),
        ("math", [1.0], "both", "a list is needed"),
        (["math", "tax"], WEIGHTS, "both", "no adapter `tax`; it has `math`, `law`"),
        (BOTH, WEIGHTS, "law", "model.delete_adapter('law')"),
        (BOTH, WEIGHTS, "a.b", "cannot be an adapter's name"),
        (BOTH, WEIGHTS, "", "cannot be an adapter's name"),
        (BOTH, WEIGHTS, "lora", "cannot be an adapter's name"),
        (BOTH, WEIGHTS, "lora_A", "does not tell apart"),
        (BOTH, WEIGHTS, "0", "does not tell apart"),
        (BOTH, WEIGHTS, "mlp", "does not tell apart"),
        (BOTH, WEIGHTS, "half", "torch's modules have for themselves"),
    ],
)
def test_arguments_that_cannot_be_are_named(
    adapters: Any, weights: Any, name: str, said: str, model: Any
) -> None:
    before = snapshot(model)
    with pytest.raises(BadInput) as raised:
        add_weighted_adapter(model, adapters, weights, name)
    assert said in str(raised.value)
    assert is_as_before(model, before)


@quietly
def test_an_adapter_called_like_a_layer_is_refused_as_peft_loses_that_layer(pair: Any) -> None:
    model = loaded(llama(), pair, ("math", "0"))
    keys = peft.get_peft_model_state_dict(model, adapter_name="math")
    assert not [key for key in keys if ".layers.0." in key]  # which is why
    with pytest.raises(BadSetting, match="another name"):
        add_weighted_adapter(model, ["math", "0"], WEIGHTS, "both")


CONFIGS: dict[str, Any] = {
    "PiSSA": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa"),
    "OLoRA": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="olora"),
    "aLoRA": peft.LoraConfig(
        target_modules=["q_proj"], alora_invocation_tokens=[3, 4], task_type="CAUSAL_LM"
    ),
    "DoRA": peft.LoraConfig(target_modules=["q_proj"], use_dora=True),
    "LoHa": peft.LoHaConfig(target_modules=["q_proj"], init_weights=False),
    "LoKr": peft.LoKrConfig(target_modules=["q_proj"], init_weights=False),
    "AdaLoRA": peft.AdaLoraConfig(target_modules=["q_proj"], total_step=10),
    "IA3": peft.IA3Config(target_modules=["q_proj"], feedforward_modules=[]),
    "VeRA": peft.VeraConfig(target_modules=["q_proj"]),
    "prompts": peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2),
}


@quietly
@pytest.mark.parametrize("kind", CONFIGS)
def test_what_no_sum_holds_is_refused_by_name(kind: str) -> None:
    model = peft.get_peft_model(llama(), CONFIGS[kind], adapter_name="math")
    with pytest.raises(Refused) as refused:
        add_weighted_adapter(model, ["math"], [0.5], "both")
    assert "math" in str(refused.value)
    assert refused.value.hint or kind == "aLoRA" or "superpose" in str(refused.value)
    assert list(model.peft_config) == ["math"]


@quietly
def test_what_is_no_peft_model_is_named_and_so_are_tensors_without_values(pair: Any) -> None:
    native = llama()
    native.load_adapter(str(pair[0]), adapter_name="math")
    mixed = peft.PeftMixedModel.from_pretrained(llama(), pair[0], adapter_name="math")
    for other in (native, mixed, mixed.base_model):
        with pytest.raises(BadSetting, match="not a PeftModel"):
            add_weighted_adapter(other, ["math"], [1.0], "both")
    offloaded = loaded(llama(), pair)
    offloaded.get_base_model().model.layers[0].to("meta")
    with pytest.raises(Refused, match="meta device"):
        add_weighted_adapter(offloaded, BOTH, WEIGHTS, "both")


@quietly
def test_the_way_out_by_files_works_for_kinds_that_no_loaded_model_adds(tmp_path: Path) -> None:
    for number in (0, 1):
        torch.manual_seed(number)
        made = peft.get_peft_model(llama(), CONFIGS["LoHa"], adapter_name="default")
        made.save_pretrained(tmp_path / f"model-{number}")
    parents = [(tmp_path / f"model-{number}", 0.5) for number in (0, 1)]
    superpose.add([str(p) for p, _ in parents], tmp_path / "both", [0.5, 0.5])
    found = outputs(peft.PeftModel.from_pretrained(llama(), tmp_path / "both"))
    assert apart(found, *right_outputs(llama, parents)) < CLOSE


@quietly
def test_the_way_out_for_pissa_works(tmp_path: Path) -> None:
    settings = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa", r=4)
    model = peft.get_peft_model(llama(), settings)
    model.peft_config["default"].init_lora_weights = True  # PEFT's own recipe
    model.save_pretrained(tmp_path / "before")
    model.peft_config["default"].init_lora_weights = "pissa"
    for name, x in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(x, std=0.2)
    model.save_pretrained(
        tmp_path / "plain", path_initial_model_for_weight_conversion=tmp_path / "before"
    )
    trained, bare = outputs(model), outputs(llama())
    again = loaded(llama(), [tmp_path / "plain"])
    add_weighted_adapter(again, ["math"], [1.0], "both")
    again.set_adapter("both")
    assert apart(outputs(again), trained, bare) < 1e-4


def test_the_core_is_imported_without_torch_and_peft() -> None:
    program = (
        "import sys, superpose, superpose.peft; "
        "assert not {'torch', 'peft', 'transformers'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert run.returncode == 0, shlex.quote(run.stderr.decode())


def test_refusals_are_those_of_files() -> None:
    """What is not read from a file is not read from a model: one reader serves both."""
    assert "_lora(" in inspect.getsource(read.read_loaded)
    assert "_lora(" in inspect.getsource(read.read_peft)
