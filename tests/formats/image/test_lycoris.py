"""Files of LyCORIS' algorithms: its own modules, saved by themselves, are the oracle.

The truth is what a module adds in `forward`, which is what it was trained with. LyCORIS 4.1.3's
merge multiplies LoHa and LoKr by alpha / rank twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lycoris.modules import get_module, make_module
from lycoris.modules.full import FullModule
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from safetensors.torch import load_file, save_file

import superpose
from superpose.adapter import Delta, Place
from superpose.errors import Refused
from superpose.lowrank import dense

from .tiny import layers, unet

LAYERS: dict[str, Any] = {
    "lora_unet_mid_block_attentions_0_proj": torch.nn.Linear(12, 18),
    "lora_unet_mid_block_resnets_0_conv_shortcut": torch.nn.Conv2d(12, 18, 1),
    "lora_unet_mid_block_resnets_0_conv1": torch.nn.Conv2d(12, 18, 3, padding=1),
    "lora_unet_down_blocks_0_downsamplers_0_conv": torch.nn.Conv2d(12, 18, 3, stride=2),
}
INPUTS = {"Linear": (5, 12), "Conv2d": (2, 12, 9, 8)}

ALGORITHMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "locon": (LoConModule, {"lora_dim": 3, "alpha": 2}),
    "locon tucker": (LoConModule, {"lora_dim": 3, "alpha": 2, "use_tucker": True}),
    "locon rslora": (LoConModule, {"lora_dim": 3, "alpha": 2, "rs_lora": True}),
    "locon scalar": (LoConModule, {"lora_dim": 3, "alpha": 2, "use_scalar": True}),
    "loha": (LohaModule, {"lora_dim": 2, "alpha": 1}),
    "loha tucker": (LohaModule, {"lora_dim": 2, "alpha": 1, "use_tucker": True}),
    "loha of full rank": (LohaModule, {"lora_dim": 5, "alpha": 2}),
    "lokr": (LokrModule, {"lora_dim": 1, "alpha": 3}),
    "lokr tucker": (LokrModule, {"lora_dim": 1, "alpha": 3, "use_tucker": True}),
    "lokr of two": (LokrModule, {"lora_dim": 2, "alpha": 3, "decompose_both": True, "factor": 6}),
    "lokr whole": (LokrModule, {"lora_dim": 8, "alpha": 3}),
}


def trained(algorithm: Any, name: str, layer: Any, **options: Any) -> Any:
    """A module as after training: every parameter random."""
    module = algorithm(name, layer, **options)
    for i, parameter in enumerate(module.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(i))
    return module


def saved(modules: list[Any], path: Path) -> Path:
    tensors = {
        f"{module.lora_name}.{key}": value.detach().clone().contiguous()
        for module in modules
        for key, value in module.custom_state_dict().items()
    }
    save_file(tensors, path)
    return path


def added(delta: Delta, layer: Any, x: torch.Tensor) -> torch.Tensor:
    """What a delta adds to a layer's output, float64."""
    weight = torch.from_numpy(np.asarray(dense(delta.terms), np.float64))
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.functional.linear(x, weight)
    weight = weight.reshape(layer.weight.shape)
    return torch.nn.functional.conv2d(x, weight, stride=layer.stride, padding=layer.padding)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_module_adds_what_lycoris_adds(tmp_path: Path, algorithm: str, name: str) -> None:
    kind, options = ALGORITHMS[algorithm]
    layer = LAYERS[name].double()
    module = trained(kind, name, layer, **options).double()
    x = torch.randn(
        *INPUTS[type(layer).__name__],
        generator=torch.Generator().manual_seed(7),
        dtype=torch.float64,
    )
    with torch.no_grad():
        expected = module.bypass_forward_diff(x) if "rslora" in algorithm else None
        if expected is None:
            expected = module(x) - layer(x)
    adapter = superpose.load(saved([module], tmp_path / "a.safetensors"))
    found = added(adapter[name], layer, x)
    assert (found - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("algorithm", ["loha", "lokr"])
def test_the_kernel_of_a_unets_convolution_is_told_by_its_name(
    tmp_path: Path, algorithm: str
) -> None:
    """LyCORIS stores it flattened; a LoRA file needs it."""
    kind, options = ALGORITHMS[algorithm]
    modules = [trained(kind, name, layer, **options) for name, layer in LAYERS.items()]
    adapter = superpose.load(saved(modules, tmp_path / "a.safetensors"))
    kernels = {n: d.place.kernel if d.place else () for n, d in adapter.items()}
    assert list(kernels.values()) == [(3, 3), (), (3, 3), (1, 1)]
    superpose.save(adapter, tmp_path / "lora.safetensors")
    again = superpose.load(tmp_path / "lora.safetensors")
    for name, delta in adapter.items():
        assert again[name].place == delta.place
        np.testing.assert_allclose(dense(again[name].terms), dense(delta.terms), rtol=1e-4)


def test_whole_differences_of_weights_biases_and_norms_are_exact(tmp_path: Path) -> None:
    linear, conv, norm = torch.nn.Linear(6, 4), torch.nn.Conv2d(3, 5, 3), torch.nn.GroupNorm(2, 8)
    modules = [
        trained(FullModule, "lora_unet_linear", linear),
        trained(FullModule, "lora_unet_conv1", conv),
        trained(NormModule, "lora_unet_norm", norm),
    ]
    tensors = {}
    for module in modules[:2]:
        tensors[f"{module.lora_name}.diff"] = module.weight.detach()
        tensors[f"{module.lora_name}.diff_b"] = module.bias.detach()
    for key in ("w_norm", "b_norm"):
        tensors[f"lora_unet_norm.{key}"] = getattr(modules[2], key).detach()
    save_file(tensors, tmp_path / "a.safetensors")
    adapter = superpose.load(tmp_path / "a.safetensors")
    expected = {
        "lora_unet_linear": tensors["lora_unet_linear.diff"],
        "lora_unet_linear.bias": tensors["lora_unet_linear.diff_b"],
        "lora_unet_conv1": tensors["lora_unet_conv1.diff"],
        "lora_unet_conv1.bias": tensors["lora_unet_conv1.diff_b"],
        "lora_unet_norm": tensors["lora_unet_norm.w_norm"],
        "lora_unet_norm.bias": tensors["lora_unet_norm.b_norm"],
    }
    assert adapter.keys() == expected.keys()
    for key, tensor in expected.items():
        assert np.array_equal(dense(adapter[key].terms), tensor.reshape(len(tensor), -1).numpy())
    assert adapter["lora_unet_norm"].place == Place("lora_unet_norm", kind="bias")

    superpose.save(adapter + adapter, tmp_path / "twice.safetensors")
    twice = superpose.load(tmp_path / "twice.safetensors")
    for key, tensor in expected.items():
        doubled = 2 * tensor.reshape(len(tensor), -1).numpy()
        assert np.array_equal(dense(twice[key].terms), doubled)


def test_a_loha_and_a_lora_of_one_pointwise_convolution_add_up(tmp_path: Path) -> None:
    """The one stores a matrix, the other a kernel of one position: the same weight."""
    name = "lora_unet_mid_block_attentions_0_proj_in"
    layer = torch.nn.Conv2d(6, 4, 1)
    hada = trained(LohaModule, name, layer, lora_dim=1, alpha=1)
    con = trained(LoConModule, name, layer, lora_dim=1, alpha=1)
    a, b = (
        superpose.load(saved([m], tmp_path / f"{i}.safetensors")) for i, m in enumerate((hada, con))
    )
    for both in (a + b, b + a):
        assert both[name].place == Place(name, kind="convolution", kernel=(1, 1))
        parts = dense(a[name].terms) + dense(b[name].terms)
        np.testing.assert_allclose(dense(both[name].terms), parts, rtol=1e-5)


def test_dora_is_refused_by_name(tmp_path: Path) -> None:
    module = trained(LoConModule, "lora_unet_x", torch.nn.Linear(6, 4), weight_decompose=True)
    with pytest.raises(Refused, match=r"`lora_unet_x.dora_scale`: DoRA rescales"):
        superpose.load(saved([module], tmp_path / "a.safetensors"))


def loaded_by_lycoris(path: Path) -> dict[str, np.ndarray]:
    """What LyCORIS adds to the modules of a tiny UNet, by module: what its loader does for each."""
    tensors, changes = load_file(path), {}
    for name, layer in layers(unet()).items():
        called = f"lora_unet_{name.replace('.', '_')}"
        kind, parameters = get_module(tensors, called)
        if kind is not None:
            module = make_module(kind, parameters, called, layer)
            change = module.get_diff_weight()[0].detach().double().numpy()
            changes[called] = change.reshape(len(change), -1)
    return changes


def test_lycoris_loads_a_sum_of_its_algorithms_as_their_sum(tmp_path: Path) -> None:
    """LoCon, LoHa, LoKr and whole differences of every layer of a UNet; alpha = rank."""
    paths = []
    for i, (kind, options) in enumerate(
        (
            (LoConModule, {"lora_dim": 2, "alpha": 2, "use_tucker": True}),
            (LohaModule, {"lora_dim": 2, "alpha": 2, "use_tucker": True}),
            (LokrModule, {"lora_dim": 2, "alpha": 2}),
            (FullModule, {}),
        )
    ):
        modules = []
        for name, layer in list(layers(unet()).items())[i:]:
            module = trained(kind, f"lora_unet_{name.replace('.', '_')}", layer, **options)
            modules.append(module)
        paths.append(saved(modules, tmp_path / f"{i}.safetensors"))
    weights = (1.0, -0.5, 0.25, 2.0)
    total = sum(w * superpose.load(path) for w, path in zip(weights, paths, strict=True))
    superpose.save(total, tmp_path / "sum.safetensors")
    found = loaded_by_lycoris(tmp_path / "sum.safetensors")
    expected: dict[str, Any] = {}
    for weight, path in zip(weights, paths, strict=True):
        for name, change in loaded_by_lycoris(path).items():
            expected[name] = expected.get(name, 0.0) + weight * change
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        error = np.linalg.norm(found[name] - change)
        assert error <= 1e-5 * np.linalg.norm(change), name
