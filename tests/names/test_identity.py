"""What counts as one name of one weight, and what does not."""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

import superpose
from superpose.adapter import Adapter, Delta, together
from superpose.baking.found import found_in
from superpose.errors import Refused, SuperposeWarning
from superpose.interference import check
from superpose.interference.difference import diff
from superpose.names.fused import heights
from superpose.names.identity import parse, unwrapped
from superpose.names.tree import tree_of

WORD = st.text(string.ascii_lowercase, min_size=1, max_size=6).filter(
    lambda word: word not in ("module", "model")
)
NAME = st.builds(
    lambda words, layer: ".".join((*words, "layers", str(layer), "self_attn.q_proj.weight")),
    st.lists(WORD, max_size=2),
    st.integers(0, 99),
)


def adapter(*modules: str, seed: int = 0, shape: tuple[int, int] = (6, 5)) -> Adapter:
    g = np.random.default_rng(seed)
    deltas = {
        m: Delta.of(g.standard_normal((shape[0], 2)), g.standard_normal((2, shape[1])))
        for m in modules
    }
    return Adapter(deltas, name=f"a{seed}", base_model="base")


@given(NAME, st.sampled_from(["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"]),
       st.integers(0, 3))  # fmt: skip
def test_a_wrapper_anywhere_in_a_name_changes_nothing(name: str, wrapper: str, at: int) -> None:
    parts = name.split(".")
    parts.insert(min(at, len(parts) - 1), wrapper)
    assert unwrapped(".".join(parts)) == name
    assert parse(".".join(parts)).identity == parse(name).identity


@given(NAME)
def test_a_name_is_its_prefix_and_its_stem(name: str) -> None:
    parsed = parse(name)
    assert parsed.prefix + parsed.stem == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model.layers.3.mlp.up_proj", "layers.3.mlp.up_proj"),
        ("model.layers.3.mlp.up_proj", "language_model.model.layers.3.mlp.up_proj"),
        ("model.language_model.layers.3.mlp.up_proj", "language_model.layers.3.mlp.up_proj"),
        ("model.visual.blocks.1.attn.qkv", "visual.blocks.1.attn.qkv"),
        ("lm_head", "language_model.lm_head"),
        ("embed_out", "lm_head"),
        ("transformer.h.0.attn.c_attn", "h.0.attn.c_attn"),
        ("roberta.encoder.layer.0.output.dense", "encoder.layer.0.output.dense"),
        ("model.decoder.layers.0.fc1", "decoder.layers.0.fc1"),
        ("text_model.encoder.layers.0.mlp.fc1", "encoder.layers.0.mlp.fc1"),
        ("block_sparse_moe.gate", "mlp.gate"),
        ("model.layers.0.mlp.router.linear", "model.layers.0.mlp.router"),
    ],
)
def test_two_names_of_one_weight_have_one_identity(one: str, other: str) -> None:
    if one.startswith("block"):
        one, other = (f"model.layers.0.{name}" for name in (one, other))
    assert parse(f"{one}.weight").identity == parse(f"{other}.weight").identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model.encoder.layers.0.fc1", "model.decoder.layers.0.fc1"),
        ("model.language_model.layers.0.mlp.fc1", "model.vision_tower.encoder.layers.0.mlp.fc1"),
        ("text_model.encoder.layers.0.mlp.fc1", "vision_model.encoder.layers.0.mlp.fc1"),
        ("talker.model.layers.0.mlp.up_proj", "thinker.model.layers.0.mlp.up_proj"),
        ("transformer.h.1.mlp.c_fc", "transformer.h.11.mlp.c_fc"),
        ("model.layers.0.mlp.experts.1.up_proj", "model.layers.0.mlp.experts.2.up_proj"),
        ("model.layers.0.mlp.shared_expert.up_proj", "model.layers.0.mlp.experts.0.up_proj"),
        ("bert.encoder.layer.0.output.dense", "bert.encoder.layer.0.attention.output.dense"),
    ],
)
def test_two_weights_of_one_model_have_two_identities(one: str, other: str) -> None:
    assert parse(f"{one}.weight").identity != parse(f"{other}.weight").identity


def test_the_order_of_the_adapters_does_not_decide_the_name() -> None:
    a = adapter("model.layers.0.q_proj", "model.layers.1.q_proj")
    b = adapter("layers.1.q_proj", "layers.2.v_proj", seed=1)
    with pytest.warns(SuperposeWarning, match=r"layers.1.q_proj.*model.layers.1.q_proj"):
        one, other = a + b, b + a
    assert set(one) == set(other) == {
        "model.layers.0.q_proj", "model.layers.1.q_proj", "model.layers.2.v_proj"
    }  # fmt: skip


def test_names_of_another_part_of_the_model_stay_as_they_are() -> None:
    a = adapter("model.layers.0.q_proj", "lm_head", "encoder.conv.0.proj")
    b = adapter("layers.0.q_proj", seed=1)
    with pytest.warns(SuperposeWarning):
        assert {"lm_head", "encoder.conv.0.proj", "model.layers.0.q_proj"} == set(a + b)


def test_one_adapter_in_two_spellings_is_one_adapter_to_every_figure() -> None:
    names = ["layers.0.q_proj", "layers.3.q_proj"]
    bare, full = adapter(*names), adapter(*(f"model.{name}" for name in names))
    with pytest.warns(SuperposeWarning):
        assert bare.cosine(full) == pytest.approx(1.0)
    with pytest.warns(SuperposeWarning):
        pair = check([bare, full]).pairs[0]
    assert len(pair.modules) == 2
    assert pair.cosine == pytest.approx(1.0)
    with pytest.warns(SuperposeWarning):
        assert diff(bare, full).same
    with pytest.warns(SuperposeWarning):
        assert (bare - full).norm() == pytest.approx(0.0, abs=1e-9)


def test_one_weight_under_two_names_in_one_adapter_is_refused_by_name() -> None:
    both = adapter("layers.0.q_proj", "model.layers.0.q_proj")
    with pytest.raises(Refused, match=r"layers.0.q_proj.*two names of one weight"):
        together((both, adapter("model.layers.0.q_proj", seed=1)))


def test_a_doubtful_name_is_refused_and_the_way_out_works() -> None:
    a, b = adapter("vision_model.encoder.layers.0.fc1"), adapter("encoder.layers.0.fc1", seed=1)
    with pytest.raises(Refused, match="which of the two") as error:
        a + b
    assert "renamed" in str(error.value.hint)
    total = a + b.renamed(lambda name: f"vision_model.{name}")
    assert list(total) == ["vision_model.encoder.layers.0.fc1"]


@pytest.mark.parametrize(
    "names",
    [
        ("model.layers.0.fc1", "model.vision_tower.layers.0.fc1"),
        ("model.encoder.layers.0.fc1", "model.decoder.layers.0.fc1"),
        ("text_model.encoder.layers.0.fc1", "vision_model.encoder.layers.0.fc1"),
    ],
)
def test_two_halves_of_one_model_are_no_doubt(names: tuple[str, str]) -> None:
    one, other = (adapter(name, seed=i) for i, name in enumerate(names))
    assert set(one + other) == set(names)


@pytest.mark.parametrize("fused", ["query_key_value", "Wqkv", "wqkv"])
def test_fused_rows_of_an_unknown_order_are_refused_by_name(fused: str) -> None:
    whole = adapter(f"h.0.attn.{fused}", shape=(15, 5))
    with pytest.raises(Refused, match=fused):
        whole + adapter("h.0.attn.q_proj", seed=1)


@given(st.integers(1, 8), st.integers(1, 8), st.sets(st.sampled_from(["q_proj", "k_proj",
       "v_proj"]), min_size=1))  # fmt: skip
def test_the_heights_of_q_k_and_v_follow_from_any_of_them(q: int, kv: int, known: set[str]) -> None:
    right = {"q_proj": q, "k_proj": kv, "v_proj": kv}
    found = heights("qkv_proj", q + 2 * kv, {part: right[part] for part in known})
    assert found == right


@pytest.mark.parametrize("known", [{"q_proj": 9}, {"k_proj": 5}, {"q_proj": 3, "k_proj": 4}])
def test_heights_that_do_not_fit_are_none(known: dict[str, int]) -> None:
    assert heights("qkv_proj", 10, known) is None


@pytest.mark.parametrize("respell", [str, str.upper])
def test_what_a_base_lacks_is_said_by_name(
    respell: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import transformers as tf

    from superpose.files.checkpoint import Checkpoint

    folder = tmp_path_factory.mktemp("base")
    config = tf.LlamaConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        vocab_size=16, num_key_value_heads=2,
    )  # fmt: skip
    tf.LlamaForCausalLM(config).save_pretrained(folder)
    module = "model.layers.0.self_attn.q_proj"
    one = adapter(module, shape=(8, 8)).renamed(
        lambda name: name.replace("q_proj", respell("q_proj"))
    )
    found = found_in(one, Checkpoint.open(folder), "base")
    assert (not found.missing) == (respell is str)
    bare = adapter(module.removeprefix("model."), shape=(8, 8))
    assert "without its head" in str(found_in(bare, Checkpoint.open(folder), "base"))


def test_a_doubt_that_the_base_ends_is_a_sum() -> None:
    """The way out of the refusal: the base's own names tell that the two are two weights."""
    a, b = adapter("foo.layers.0.proj"), adapter("model.layers.0.proj", seed=1)
    with pytest.raises(Refused, match="one weight or two"):
        a + b
    shapes = {"foo.layers.0.proj.weight": (6, 5), "model.layers.0.proj.weight": (6, 5)}
    tree = tree_of(shapes, {"architectures": ["OwnForCausalLM"]})
    total = superpose.merge([a, b, b], [1.0, 2.0, -1.0], tree=tree)
    assert list(total) == ["foo.layers.0.proj", "model.layers.0.proj"]
