"""adapter_config.json means to superpose what it means to PEFT, and nothing passes unread."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from peft.utils.other import get_pattern_key

import superpose
from superpose.errors import BadInput, Refused, SuperposeError, SuperposeWarning
from superpose.formats.peft.config import parse_config

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter


def change(folder: Path, **settings: Any) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


MODULES = [f"model.layers.{i}.self_attn.{p}_proj" for i in (0, 1, 10, 11) for p in "qkv"]
KEYS = st.sampled_from(
    ["q_proj", "proj", "layers.1.self_attn.q_proj", r"layers\.\d+\.self_attn.v_proj",
     "^model.*k_proj", ".*", "layers.1", "self_attn.(q|k)_proj", *MODULES[:4]]
)  # fmt: skip


@given(st.lists(KEYS, unique=True), st.sampled_from(MODULES))
def test_the_first_matching_key_of_a_pattern_counts_as_in_peft(
    keys: list[str], module: str
) -> None:
    pattern = {key: float(number + 2) for number, key in enumerate(keys)}
    config, _ = parse_config({"r": 4, "lora_alpha": 1, "alpha_pattern": pattern}, "here")
    alpha = pattern.get(get_pattern_key(pattern.keys(), module), 1)
    assert config.scaling_of(module) == alpha / 4


def test_a_configuration_of_2023_with_few_keys_loads(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("old", rank=8, alpha=8)
    config = {"peft_type": "LORA", "base_model_name_or_path": "org/tiny-llama"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    adapter = superpose.load(folder)
    assert {t.coefficient for d in adapter.values() for t in d.terms} == {1.0}
    assert adapter.rank == 8


@pytest.mark.parametrize("empty", [None, False, [], {}, ""], ids=repr)
def test_an_unknown_key_without_a_value_is_a_warning(
    write_adapter: WriteAdapter, empty: Any
) -> None:
    folder = write_adapter("a", enable_lora=empty)
    with pytest.warns(SuperposeWarning, match="enable_lora"):
        superpose.load(folder)


def test_an_unknown_key_with_a_value_is_refused_and_the_flag_overrides_it(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a", merge_weights=True)
    with pytest.raises(Refused, match="--ignore-key merge_weights"):
        superpose.load(folder)
    assert len(superpose.load(folder, ignore_keys=["merge_weights"])) == 2


def test_the_flag_does_not_override_a_key_that_is_known_to_matter(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a", use_dora=True)
    with pytest.raises(Refused, match="use_dora"):
        superpose.load(folder, ignore_keys=["use_dora"])


def test_all_reasons_are_given_at_once(write_adapter: WriteAdapter) -> None:
    folder = write_adapter(
        "a",
        use_dora=True,
        kasa_config={},
        alora_invocation_tokens=[1],
        init_lora_weights="pissa",
        novelty={"x": 1},
    )
    with pytest.raises(Refused) as caught:
        superpose.load(folder)
    for reason in ("4 reasons", "use_dora", "alora", "pissa", "novelty"):
        assert reason in str(caught.value)


def test_alpha_that_depends_on_the_order_of_keys_is_a_warning(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", alpha_pattern={"q_proj": 8, "self_attn.q_proj": 2})
    with pytest.warns(SuperposeWarning, match="several keys of alpha_pattern"):
        adapter = superpose.load(folder)
    (term,) = adapter["model.layers.0.self_attn.q_proj"].terms
    assert term.coefficient == 8 / 2


def test_overlapping_keys_that_agree_are_no_warning(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", alpha_pattern={"q_proj": 8, "self_attn.q_proj": 8})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        superpose.load(folder)


def test_a_rank_that_is_not_the_configurations_names_the_tensor(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a", rank=2)
    change(folder, r=4)
    with pytest.raises(BadInput, match=r"q_proj\.lora_A\.weight` has rank 2, .* says 4"):
        superpose.load(folder)


def test_an_announced_module_without_tensors_is_a_warning(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", target_modules=["q_proj", "v_proj", "o_proj"])
    with pytest.warns(SuperposeWarning, match="announces `o_proj`"):
        superpose.load(folder)


@pytest.mark.parametrize("targets", [["q_proj"], r".*q_proj"], ids=["list", "regex"])
def test_a_module_that_is_not_announced_is_a_warning_and_counts(
    write_adapter: WriteAdapter, targets: Any
) -> None:
    folder = write_adapter("a", target_modules=targets)
    with pytest.warns(SuperposeWarning, match="v_proj`, which target_modules does not name"):
        adapter = superpose.load(folder)
    assert "model.layers.0.self_attn.v_proj" in adapter


def test_a_zero_adapter_is_a_warning(write_adapter: WriteAdapter) -> None:
    from safetensors.numpy import load_file, save_file

    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    save_file({k: v * ("lora_A" in k) for k, v in load_file(path).items()}, path)
    with pytest.warns(SuperposeWarning, match="adds nothing"):
        superpose.load(folder)


def test_what_real_files_hold_is_tolerated(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", lora_dropout=0, revision="0123abcd", fan_in_fan_out=None, alpha=4)
    path = folder / "adapter_config.json"
    text = json.dumps(json.loads(path.read_text()) | {"modules_to_save": []}, indent=2)
    path.write_bytes(text.replace("\n", "\r\n").replace("tiny", "t\\u0069ny").encode())
    assert superpose.load(folder).base_model == "org/tiny-llama"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("r", 0), ("r", -1), ("r", 2.0), ("r", True), ("r", "2"), ("r", None),
        ("lora_alpha", None), ("lora_alpha", "4"), ("lora_alpha", float("nan")),
        ("lora_alpha", float("inf")), ("lora_alpha", 10**400), ("lora_alpha", True),
        ("use_rslora", "false"), ("use_rslora", 1), ("rank_pattern", ["q_proj"]),
        ("rank_pattern", {"q_proj": 0}), ("rank_pattern", {"(": 2}), ("alpha_pattern", {"q": None}),
        ("alpha_pattern", {"a{99999999999}": 1}), ("target_modules", 3), ("target_modules", [1]),
        ("target_modules", "("), ("base_model_name_or_path", 5), ("task_type", ["CAUSAL_LM"]),
        ("fan_in_fan_out", "yes"),
    ],
)  # fmt: skip
def test_a_value_that_peft_could_not_use_either_is_bad_input(
    write_adapter: WriteAdapter, key: str, value: Any
) -> None:
    folder = write_adapter("a")
    change(folder, **{key: value})
    with pytest.raises(BadInput) as caught:
        superpose.load(folder)
    assert caught.value.where is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
NAMES = st.sampled_from(
    ["r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "bias",
     "init_lora_weights", "use_dora", "peft_type", "task_type", "revision",
     "modules_to_save", "new"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_no_configuration_gives_anything_but_an_adapter_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4} | values
    try:
        parse_config(json.loads(json.dumps(config)), "here", ignore_keys=["new"])
    except SuperposeError:
        pass
    except SuperposeWarning:
        assert "new" in values
