"""One weight under two names: kohya's, diffusers' of every year, bare, without `text_model.`."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers.loaders import lora_pipeline
from diffusers.loaders.lora_base import fuse_text_encoder_lora
from safetensors.torch import load_file
from tests.pasted import follow
from transformers import CLIPTextConfig, CLIPTextModel

import superpose
from superpose.errors import DifferentBase, Refused, SuperposeWarning
from superpose.lowrank import dense
from superpose.names.image_words import dotted

from .families import Tensors, factors, saved
from .tiny import layers, unet

DOWN_UP = ("lora_down", "lora_up")
Q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
K = "encoder.layers.0.self_attn.q_proj"


def kohya(module: str) -> str:
    return module.replace(".", "_")


def old(module: str) -> Tensors:
    """As diffusers stored an attention layer's factors at first."""
    stem, _, part = module.rpartition(".")
    found = factors({"x": (8, 8)}, 7)
    return {
        f"{stem}.processor.{part}_lora.down.weight": found["x.lora_A.weight"],
        f"{stem}.processor.{part}_lora.up.weight": found["x.lora_B.weight"],
    }


UNET: dict[str, Tensors] = {
    "unet.": factors({f"unet.{Q}": (8, 8)}, 1),
    "bare": factors({Q: (8, 8)}, 2),
    "PEFT in unet.": factors({f"unet.base_model.model.{Q}": (8, 8)}, 3),
    "2023 bare": old(Q),
    "2023 unet.": old(f"unet.{Q}"),
    "kohya": factors({f"lora_unet_{kohya(Q)}": (8, 8)}, 4, alpha=1.0, ends=DOWN_UP),
    "LyCORIS": factors({f"lycoris_{kohya(Q)}": (8, 8)}, 5, alpha=1.0, ends=DOWN_UP),
    "original blocks": factors(
        {f"lora_unet_{kohya('input_blocks.1.1.transformer_blocks.0.attn1.to_q')}": (8, 8)},
        6,
        alpha=1.0,
        ends=DOWN_UP,
    ),
}
TEXT: dict[str, Tensors] = {
    "text_model": factors({f"text_encoder.text_model.{K}": (8, 8)}, 1),
    "without": factors({f"text_encoder.{K}": (8, 8)}, 2),
    "kohya": factors({f"lora_te_text_model_{kohya(K)}": (8, 8)}, 3, alpha=1.0, ends=DOWN_UP),
    "kohya without": factors({f"lora_te_{kohya(K)}": (8, 8)}, 4, alpha=1.0, ends=DOWN_UP),
    "SDXL's first": factors(
        {f"lora_te1_text_model_{kohya(K)}": (8, 8)}, 5, alpha=1.0, ends=DOWN_UP
    ),
    "ComfyUI": factors({f"text_encoders.clip_l.transformer.text_model.{K}": (8, 8)}, 6),
}
PAIRS = [
    *((UNET, *pair) for pair in itertools.permutations(UNET, 2)),
    *((TEXT, *pair) for pair in itertools.permutations(TEXT, 2)),
]


def written(tensors: Tensors, tmp_path: Path, name: str) -> Path:
    return saved(tensors, tmp_path / f"{name}.safetensors")


def only(adapter: superpose.Adapter) -> np.ndarray:
    (delta,) = adapter.values()
    return np.asarray(dense(delta.terms), np.float64)


@pytest.mark.parametrize(("spelled", "first", "second"), PAIRS)
def test_one_weight_under_two_names_is_one_delta(
    tmp_path: Path, spelled: dict[str, Tensors], first: str, second: str
) -> None:
    """In a sum, a check, a difference, a cosine, and what is written is read again as the sum."""
    paths = [written(spelled[n], tmp_path, f"{i}") for i, n in enumerate((first, second))]
    a, b = (superpose.load(path) for path in paths)
    x, y = only(a), only(b)
    with said(a, b):
        total = a - 0.5 * b
    np.testing.assert_allclose(only(total), x - 0.5 * y, atol=1e-5)
    superpose.save(total, tmp_path / "sum.safetensors")
    again = only(superpose.load(tmp_path / "sum.safetensors"))
    np.testing.assert_allclose(again, x - 0.5 * y, atol=1e-5)
    with said(a, b):
        cosine = superpose.cosine(a, b)
    assert cosine == pytest.approx((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y))
    with said(a, b):
        (pair,) = superpose.check([a, b]).pairs
    assert len(pair.modules) == 1
    with said(a, b):
        difference = superpose.diff(a, b)
    apart = np.linalg.norm(x - y) / max(np.linalg.norm(x), np.linalg.norm(y))
    assert difference.difference == pytest.approx(apart)
    assert len(difference.modules) == 1


def said(a: superpose.Adapter, b: superpose.Adapter) -> AbstractContextManager[object]:
    if a.keys() == b.keys():
        return nullcontext()
    return pytest.warns(SuperposeWarning, match="one weight under two names")


def test_a_text_encoder_takes_a_sum_of_names_with_text_model_and_without(tmp_path: Path) -> None:
    """Transformers 5.6 dropped it; diffusers loads either."""
    paths = [written(TEXT[name], tmp_path, name) for name in ("text_model", "without")]
    a, b = (superpose.load(path) for path in paths)
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        superpose.save(a + b, tmp_path / "sum.safetensors")

    def change(path: Path) -> torch.Tensor:
        config = CLIPTextConfig(
            hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            vocab_size=40, max_position_embeddings=8,
        )  # fmt: skip
        torch.manual_seed(0)
        model = CLIPTextModel(config)
        weight = model.get_submodule(K).weight
        before = weight.detach().clone()
        lora_pipeline.StableDiffusionLoraLoaderMixin.load_lora_into_text_encoder(
            load_file(path), network_alphas=None, text_encoder=model, prefix="text_encoder"
        )
        fuse_text_encoder_lora(model, 1.0)
        return model.get_submodule(K).weight.detach() - before

    expected = sum(change(path) for path in paths)
    assert (change(tmp_path / "sum.safetensors") - expected).norm() <= 1e-6 * expected.norm()


def test_the_names_that_stay_are_those_that_a_pipeline_finds(tmp_path: Path) -> None:
    """Bare names, which it does not, give way to those with the component, in either order."""
    paths = [written(UNET[name], tmp_path, name) for name in ("bare", "unet.")]
    for ordered in (paths, paths[::-1]):
        with pytest.warns(SuperposeWarning, match="one weight under two names"):
            total = superpose.load(ordered[0]) + superpose.load(ordered[1])
        assert [*total] == [f"unet.{Q}"]


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_a_module_that_only_the_other_has_gets_the_firsts_way_of_calling(tmp_path: Path) -> None:
    a = written(UNET["unet."], tmp_path, "a")
    more = {"lora_unet_mid_block_resnets_0_time_emb_proj": (8, 6), f"lora_te_{kohya(K)}": (8, 8)}
    b = written(factors(more, 3, alpha=1.0, ends=DOWN_UP), tmp_path, "b")
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        total = superpose.load(a) + superpose.load(b)
    time = "unet.mid_block.resnets.0.time_emb_proj"
    assert {*total} == {f"unet.{Q}", time, f"text_encoder.text_model.{K}"}
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        total = superpose.load(b) + superpose.load(a)
    assert {*total} == {*more, f"lora_unet_{kohya(Q)}"}


@pytest.mark.filterwarnings("ignore:nothing shows that")
@pytest.mark.parametrize(
    ("more", "starts"),
    [
        ((f"text_encoder.{K}",), ("lora_te_text_model_",)),
        ((f"text_encoder.{K}", f"text_encoder_2.{K}"),
         ("lora_te1_text_model_", "lora_te2_text_model_")),
        (("text_encoder_2.encoder.block.0.layer.0.SelfAttention.q",), ("lora_te3_",)),
    ],
)  # fmt: skip
def test_kohyas_names_for_text_encoders_that_only_the_other_has(
    more: tuple[str, ...], starts: tuple[str, ...], tmp_path: Path
) -> None:
    """Source: sd-scripts, `lora_te`; of SDXL `lora_te1` and `lora_te2`, of SD3's T5 `lora_te3`."""
    a = written(UNET["kohya"], tmp_path, "a")
    dotted = {f"unet.{Q}": (8, 8), **dict.fromkeys(more, (8, 8))}
    b = written(factors(dotted, 3), tmp_path, "b")
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        total = superpose.load(a) + superpose.load(b)
    paths = [module.partition(".")[2].removeprefix("text_model.") for module in more]
    right = {f"{start}{kohya(path)}" for start, path in zip(starts, paths, strict=True)}
    assert {*total} == {f"lora_unet_{kohya(Q)}"} | right


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_a_bare_text_encoder_beside_others_is_refused_with_the_way_out(tmp_path: Path) -> None:
    bare = written(factors({f"text_model.{K}": (8, 8)}, 1), tmp_path, "bare")
    named = written(TEXT["text_model"], tmp_path, "named")
    with pytest.raises(Refused, match="a pipeline may have several") as caught:
        _ = superpose.load(named) + superpose.load(bare)
    follow(str(caught.value), bare, tmp_path / "new.safetensors")
    total = superpose.load(named) + superpose.load(tmp_path / "new.safetensors")
    assert len(total) == 1


@pytest.mark.parametrize(
    "names",
    [
        (f"unet.{Q}", Q),
        (f"text_encoder.{K}", f"text_encoder.text_model.{K}"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "lora_unet_transformer_blocks_0_attn_to_q"),
        ("lora_unet_input_blocks_4_1_proj_in", "lora_unet_down_blocks_1_attentions_0_proj_in"),
    ],
)
def test_a_file_with_one_weight_under_two_names_is_refused_with_the_way_out(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    ends = DOWN_UP if names[0].startswith("lora_") else ("lora_A", "lora_B")
    path = written(factors(dict.fromkeys(names, (24, 8)), 1, ends=ends), tmp_path, "twice")
    with pytest.raises(
        Refused, match=f"under two names, `{min(names)}` and `{max(names)}`"
    ) as caught:
        superpose.load(path)
    follow(str(caught.value), path, tmp_path / "once.safetensors")
    assert [*superpose.load(tmp_path / "once.safetensors")] == [min(names)]


def test_names_of_two_models_have_no_sum(tmp_path: Path) -> None:
    a = written(UNET["unet."], tmp_path, "a")
    b = written(factors({"transformer.transformer_blocks.0.attn.to_q": (8, 8)}, 1), tmp_path, "b")
    with pytest.raises(DifferentBase, match=r"`down_blocks` and .* has `transformer_blocks`"):
        _ = superpose.load(a) + superpose.load(b)


def test_shapes_that_differ_under_two_names_are_two_base_models(tmp_path: Path) -> None:
    a = written(UNET["unet."], tmp_path, "a")
    b = written(factors({Q: (8, 6)}, 1), tmp_path, "b")
    with (
        pytest.warns(SuperposeWarning, match="one weight under two names"),
        pytest.raises(DifferentBase, match=r"has shape \(8, 8\)"),
    ):
        _ = superpose.load(a) + superpose.load(b)


def test_minimaxs_fused_rows_in_two_orders_are_refused(tmp_path: Path) -> None:
    """DiffSynth's, known by `.default`, have them head by head; the shapes are the same."""
    module = {"diffusion_model.blocks.0.attn.qkv_proj": (24, 8)}
    a = written(factors(module, 1), tmp_path, "a")
    by_head = factors(module, 2, ends=("lora_A.default", "lora_B.default"))
    b = written(by_head, tmp_path, "b")
    with pytest.raises(Refused, match="head by head, and"):
        _ = superpose.load(a) + superpose.load(b)
    assert len(superpose.load(b) + superpose.load(b)) == 1


def test_three_files_in_three_spellings_are_one_delta_in_any_order(tmp_path: Path) -> None:
    names = ("bare", "kohya", "unet.", "original blocks")
    paths = [written(UNET[name], tmp_path, str(i)) for i, name in enumerate(names)]
    parts = [superpose.load(path) for path in paths]
    expected = sum(only(part) for part in parts)
    for order in itertools.permutations(parts, 3):
        rest = next(part for part in parts if part not in order)
        with pytest.warns(SuperposeWarning, match="one weight under two names"):
            total = sum(order) + rest
        np.testing.assert_allclose(only(total), expected, atol=1e-4)
        assert len(total.parents) == 4


MODELS = ("UNet2DConditionModel", "FluxTransformer2DModel", "WanTransformer3DModel",
          "SD3Transformer2DModel", "QwenImageTransformer2DModel", "ZImageTransformer2DModel",
          "HunyuanVideoTransformer3DModel", "AuraFlowTransformer2DModel",
          "LTX2VideoTransformer3DModel", "CogVideoXTransformer3DModel")  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_the_dots_of_every_layers_name_are_told(model: str) -> None:
    with torch.device("meta"):
        made = getattr(diffusers, model)()
    names = layers(made)
    assert len(names) > 50
    assert {name: dotted(kohya(name)) for name in names} == {name: name for name in names}


def test_a_word_that_is_none_has_no_dots() -> None:
    assert dotted("down_blocks_0_frobnicator_weight") is None
    assert all(dotted(kohya(name)) == name for name in layers(unet()))
