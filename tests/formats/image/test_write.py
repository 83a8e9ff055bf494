"""What is written: the format and spelling that came in, the metadata kept, nothing half done."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

import superpose
from superpose.adapter import Delta, Place
from superpose.errors import BadInput, OutputExists, Refused, SuperposeWarning
from superpose.formats.folded import fold
from superpose.formats.image.names import image_factor_name, parse_image_tensor, sort_of
from superpose.lowrank import dense

from .conftest import MODULES, WriteLora, lora

KERNELS = st.sampled_from([(), (1, 1), (3, 3), (3,), (1, 2, 2)])
DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
UNIT = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 1e-2}

SPELLED = {
    "lora_unet_a_to_q": "lora_down",
    "lora_te1_b": "lora_A",
    "lycoris_c": "lora_down",
    "transformer.a.to_q": "lora_A.default",
    "unet.a.to_out.0": "to_q_lora",
    "unet.ff.net.2": "lora.down",
    "text_encoder.self_attn.k_proj": "to_q_lora",
    "text_encoder_2.mlp.fc1": "lora_linear_layer",
    "diffusion_model.double_blocks.0.img_attn.proj": "lora_down",
}
WAYS = [
    ["lora_unet_a_to_q", "lora_te1_b"],
    ["lycoris_c", "lora_te1_b"],
    ["transformer.a.to_q", "text_encoder.self_attn.k_proj"],
    ["unet.a.to_out.0", "unet.ff.net.2", "text_encoder_2.mlp.fc1"],
    ["diffusion_model.double_blocks.0.img_attn.proj"],
]


@st.composite
def files(draw: Any) -> tuple[dict[str, np.ndarray], str]:
    """Tensors of a file of one naming, of modules in all spellings, and their dtype."""
    names = draw(st.sampled_from(WAYS))
    modules = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tensors: dict[str, np.ndarray] = {}
    for module in modules:
        out, into = draw(st.integers(1, 6)), draw(st.integers(1, 6))
        rank = draw(st.integers(1, 4))
        kernel = draw(KERNELS)
        spelling = {sort_of(module): SPELLED[module]}
        tensors[image_factor_name(module, "down", spelling)] = rng.normal(
            size=(rank, into, *kernel)
        )
        ones = [1] * len(kernel)
        tensors[image_factor_name(module, "up", spelling)] = rng.normal(size=(out, rank, *ones))
        if draw(st.booleans()):
            tensors[f"{module}.alpha"] = np.array(draw(st.sampled_from([1.0, 4.0, 0.5, 3.0])))
        if draw(st.booleans()) and "." not in module:
            tensors[f"{module}.diff_b"] = rng.normal(size=out)
        elif draw(st.booleans()) and "." in module:
            tensors[f"{module}.lora_B.bias"] = rng.normal(size=out)
    return {name: tensor.astype(DTYPES[dtype]) for name, tensor in tensors.items()}, dtype


COMPACT = pytest.mark.filterwarnings("ignore:the modules of this kohya file differ in rank")


@COMPACT
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files(), st.booleans())
def test_a_file_written_again_is_the_same_adapter_in_the_same_spelling(
    tmp_path: Path, file: tuple[dict[str, np.ndarray], str], compact: bool
) -> None:
    """And a third writing changes no byte more."""
    tensors, dtype = file
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    save_arrays(tensors, paths[0], metadata={"ss_clip_skip": "2"})
    for before, after in itertools.pairwise(paths):
        superpose.save(superpose.load(before), after, compact=compact, force=True)
    first, second = (superpose.load(path) for path in paths[:2])
    assert second.keys() == first.keys()
    for key, delta in first.items():
        assert second[key].place == delta.place
        change = np.linalg.norm(dense(second[key].terms) - dense(delta.terms))
        assert change <= UNIT[dtype] * np.linalg.norm(dense(delta.terms)) + 1e-30
    factors = {n for n in tensors if (p := parse_image_tensor(n)) is not None and p.spelling}
    written = load_file(paths[1])
    assert factors <= written.keys()
    assert {str(t.dtype) for n, t in written.items() if n in factors} == {f"torch.{dtype}"}
    assert all(written[n].shape[2:] == tensors[n].shape[2:] for n in factors)
    again = load_file(paths[2])
    assert all(torch.equal(again[name], tensor) for name, tensor in written.items())


def test_a_file_whose_alpha_is_its_rank_is_written_byte_for_byte(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        path = write_lora("a", rank=4, alpha=4.0, dtype=dtype)
        superpose.save(superpose.load(path), tmp_path / "again.safetensors", force=True)
        before, after = load_file(path), load_file(tmp_path / "again.safetensors")
        assert before.keys() == after.keys()
        for name, tensor in before.items():
            assert torch.equal(after[name], tensor.to(after[name].dtype))


def test_a_small_alpha_loses_nothing_in_half_precision(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    """Alpha 1 at rank 64 makes `up` 64 times smaller, where half precision has few bits left."""
    modules = (("lora_unet_x", 96, 80, ()),)
    path = write_lora("a", rank=64, alpha=1.0, dtype=torch.float16, modules=modules)
    tensors = {n: t * 2.0**-8 if "up" in n else t for n, t in load_file(path).items()}
    save_file(tensors, path)
    written = superpose.save(superpose.load(path), tmp_path / "again.safetensors")
    assert written.rounding_error < 1e-6


@COMPACT
def test_the_rank_is_kohyas_one_for_linear_layers_and_one_for_convolutions(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    """Each component has its own; --compact leaves each module its own."""
    linear, pointwise, convolution, text = (module for module, *_ in MODULES)
    a = write_lora("a", seed=1, rank=1)
    b = write_lora("b", seed=2, rank=2, modules=(MODULES[0], MODULES[2]))
    c = write_lora("c", seed=3, rank=1, modules=(MODULES[2],))
    total = superpose.load(a) + superpose.load(b) + superpose.load(c)
    ranks = {}
    for compact in (False, True):
        superpose.save(total, tmp_path / "sum.safetensors", compact=compact, force=True)
        tensors = load_file(tmp_path / "sum.safetensors")
        ranks[compact] = {m: len(tensors[f"{m}.lora_down.weight"]) for m, *_ in MODULES}
        assert all(tensors[f"{m}.alpha"] == ranks[compact][m] for m, *_ in MODULES)
    assert ranks[False] == {linear: 3, pointwise: 3, convolution: 4, text: 1}
    assert ranks[True] == {linear: 3, pointwise: 1, convolution: 4, text: 1}


def test_no_module_has_more_columns_than_its_weight_has_rows(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    module = ("lora_unet_x", 6, 5, ())
    paths = [write_lora(f"a{i}", seed=i, rank=4, modules=(module,)) for i in range(3)]
    parts = [superpose.load(path) for path in paths]
    superpose.save(sum(parts), tmp_path / "sum.safetensors")
    written = superpose.load(tmp_path / "sum.safetensors")
    assert written["lora_unet_x"].rank == 5
    expected = sum(dense(part["lora_unet_x"].terms) for part in parts)
    np.testing.assert_allclose(dense(written["lora_unet_x"].terms), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_a_kohya_file_and_a_language_models_peft_folder_have_no_sum(
    write_lora: WriteLora, write_adapter: Any
) -> None:
    with pytest.raises(Refused, match="no image LoRA, and no PEFT folder of a UNet"):
        _ = superpose.load(write_lora("a")) + superpose.load(write_adapter("b"))


def test_kohyas_format_is_a_file_and_says_so(write_lora: WriteLora, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"one file(.|\n)*-o both.safetensors"):
        superpose.save(superpose.load(write_lora("a")), tmp_path / "both")
    with pytest.raises(Refused, match="GGUF holds no image LoRA"):
        superpose.save(superpose.load(write_lora("a")), tmp_path / "both.gguf")


def test_a_peft_adapter_does_not_go_into_a_file(write_adapter: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a PEFT adapter is a folder"):
        superpose.save(superpose.load(write_adapter("a")), tmp_path / "both.safetensors")


def test_nothing_is_replaced_without_force(write_lora: WriteLora, tmp_path: Path) -> None:
    path = write_lora("a")
    before = path.read_bytes()
    with pytest.raises(OutputExists, match=r"a.safetensors: already exists"):
        superpose.save(superpose.load(path), path)
    assert path.read_bytes() == before
    superpose.save(superpose.load(path), path, force=True)
    assert path.read_bytes() != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_is_too_large_for_the_dtype_is_named_and_nothing_is_written(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    path = write_lora("a", modules=MODULES[:1])
    huge = 1e30 * superpose.load(path)
    with pytest.raises(
        BadInput, match=rf"`{MODULES[0][0]}.lora_\w+.weight` holds values too large"
    ):
        superpose.save(huge, tmp_path / "b.safetensors", dtype="float16")
    assert not (tmp_path / "b.safetensors").exists()


def test_what_an_image_lora_does_not_hold_is_refused(write_lora: WriteLora, tmp_path: Path) -> None:
    a = superpose.load(write_lora("a"))
    place = Place("lora_te_x", kind="embedding")
    both = superpose.Adapter(
        {**a, "lora_te_x": Delta.of(np.ones((3, 1)), np.ones((1, 4)), place=place)}, format="kohya"
    )
    with pytest.raises(Refused, match="`lora_te_x` is a part of embedding"):
        superpose.save(both, tmp_path / "b.safetensors")


def test_a_lossy_dtype_is_said(write_lora: WriteLora, tmp_path: Path) -> None:
    a = superpose.load(write_lora("a", seed=1))
    near = a - 0.99999 * superpose.load(write_lora("b", seed=1))
    with pytest.warns(SuperposeWarning, match="too coarse"):
        superpose.save(near, tmp_path / "c.safetensors", dtype="bfloat16")


def test_compressing_a_sum_is_the_dense_svd(write_lora: WriteLora, tmp_path: Path) -> None:
    a, b = (superpose.load(write_lora(n, seed=i, rank=3)) for i, n in enumerate("ab"))
    superpose.save((a + b).compress(rank=2), tmp_path / "small.safetensors")
    small = superpose.load(tmp_path / "small.safetensors")
    for module, delta in (a + b).items():
        U, s, Vt = np.linalg.svd(np.asarray(dense(delta.terms), np.float64), full_matrices=False)
        best = (U[:, :2] * s[:2]) @ Vt[:2]
        np.testing.assert_allclose(dense(small[module].terms), best, atol=1e-5 * math.hypot(*s))


def test_a_convolutions_written_factors_convolve_like_the_sum(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    """down, then up, as torch layers: what every engine computes without merging."""
    module, out, into, _ = MODULES[2]
    paths = [write_lora(n, seed=i, rank=2 + i, modules=(MODULES[2],)) for i, n in enumerate("ab")]
    a, b = (superpose.load(path) for path in paths)
    superpose.save(a - 2 * b, tmp_path / "sum.safetensors")
    x = torch.randn(1, into, 7, 6, generator=torch.Generator().manual_seed(1))

    def added(path: Path) -> torch.Tensor:
        file = load_file(path)
        down, up = file[f"{module}.lora_down.weight"], file[f"{module}.lora_up.weight"]
        inner = torch.nn.functional.conv2d(x, down, padding=1)
        return torch.nn.functional.conv2d(inner, up) * file[f"{module}.alpha"] / len(down)

    expected = added(paths[0]) - 2 * added(paths[1])
    found = added(tmp_path / "sum.safetensors")
    assert found.shape == (1, out, 7, 6)
    assert (found - expected).norm() <= 1e-5 * expected.norm()


def test_an_image_lora_in_memory_is_written_in_kohyas_own_spelling(tmp_path: Path) -> None:
    """An adapter made in Python needs no file to have come from."""
    factors = lora("lora_unet_x", 4, 3, rank=2)
    B, A = (factors[f"lora_unet_x.lora_{side}.weight"].numpy() for side in ("up", "down"))
    made = superpose.Adapter({"lora_unet_x": Delta.of(B, A)}, format="kohya")
    superpose.save(made, tmp_path / "a.safetensors")
    assert load_file(tmp_path / "a.safetensors").keys() == {*factors, "lora_unet_x.alpha"}
    assert fold(made, "float32", True, name="{}.{}".format).pairs.keys() == {"lora_unet_x"}


def test_factors_of_torch_are_written_as_well(write_lora: WriteLora, tmp_path: Path) -> None:
    path = write_lora("a", modules=MODULES[:1], rank=3)
    module, out, into, _ = MODULES[0]
    tensors = load_file(path)
    B, A = tensors[f"{module}.lora_up.weight"], tensors[f"{module}.lora_down.weight"]
    made = superpose.Adapter({module: Delta.of(B, A, 1 / 3)}, format="kohya")
    superpose.save(made, tmp_path / "b.safetensors")
    found, expected = superpose.load(tmp_path / "b.safetensors"), superpose.load(path)
    assert found[module].shape == (out, into)
    np.testing.assert_allclose(
        dense(found[module].terms), dense(expected[module].terms), rtol=1e-5, atol=1e-6
    )
