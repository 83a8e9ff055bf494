"""diffusers itself loads what superpose read and wrote, into a tiny UNet and text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import peft
import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _bake_lokr_alpha_
from diffusers.utils import convert_state_dict_to_diffusers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import superpose
from superpose.errors import BadInput

from .conftest import WriteLora
from .tiny import assert_same, diffusers_changes, layers, own_changes, text_encoder, unet

FILE = "pytorch_lora_weights.safetensors"
TARGETS = ["to_q", "to_v", "to_out.0", "proj_in", "conv1", "conv_shortcut", "ff.net.0.proj"]
TEXT_TARGETS = ["q_proj", "out_proj", "fc1"]


def as_kohya(name: str) -> str:
    component, _, module = name.partition(".")
    return {"unet": "lora_unet_", "text_encoder": "lora_te_"}[component] + module.replace(".", "_")


def trained_folder(folder: Path, seed: int, *, metadata: bool, **options: Any) -> Path:
    """A folder as diffusers' training scripts save it, with random factors."""
    models = {"unet": (unet(), TARGETS), "text_encoder": (text_encoder(), TEXT_TARGETS)}
    saved: dict[str, Any] = {}
    for component, (model, targets) in models.items():
        rank = options.get("r", 4)
        alpha = options.get("lora_alpha", 4)
        config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets)
        patterns = options.get(component, {})
        config.rank_pattern = patterns.get("rank_pattern", {})
        config.alpha_pattern = patterns.get("alpha_pattern", {})
        config.use_rslora = options.get("use_rslora", False)
        peft.inject_adapter_in_model(config, model)
        model.peft_config = {"default": config}
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_" in name:
                    parameter.normal_(generator=generator)
        state = peft.get_peft_model_state_dict(model)
        if component == "text_encoder":
            state = {f"text_model.{name}": tensor for name, tensor in state.items()}
        saved[f"{component}_lora_layers"] = state
        if metadata:
            saved[f"{component}_lora_adapter_metadata"] = model.peft_config["default"].to_dict()
    diffusers.StableDiffusionPipeline.save_lora_weights(folder, **saved)
    return folder


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"metadata": False},
    "alpha in the metadata": {"metadata": True, "lora_alpha": 10},
    "patterns in the metadata": {
        "metadata": True,
        "unet": {"rank_pattern": {"to_q": 2, "conv1": 3}, "alpha_pattern": {"to_v": 7}},
        "text_encoder": {"rank_pattern": {"fc1": 3}, "alpha_pattern": {"q_proj": 5}},
    },
    "rslora in the metadata": {"metadata": True, "use_rslora": True, "lora_alpha": 3},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_trained_folder_is_read_as_diffusers_reads_it(tmp_path: Path, case: str) -> None:
    folder = trained_folder(tmp_path / "a", 1, **OPTIONS[case])
    adapter = superpose.load(folder)
    assert adapter.format == "diffusers"
    assert_same(own_changes(adapter), diffusers_changes(folder / FILE))


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("case", OPTIONS)
def test_diffusers_reads_a_sum_as_the_sum_of_what_it_reads(
    tmp_path: Path, case: str, compact: bool
) -> None:
    """Of trained folders whose modules differ in rank and alpha, written with both layouts."""
    a = trained_folder(tmp_path / "a", 1, **OPTIONS[case])
    b = trained_folder(tmp_path / "b", 2, r=3, lora_alpha=6, metadata=True)
    total = superpose.load(a) - 0.5 * superpose.load(b)
    superpose.save(total, tmp_path / "sum", compact=compact)
    first, second = (diffusers_changes(path / FILE) for path in (a, b))
    expected = {name: change - 0.5 * second[name] for name, change in first.items()}
    assert_same(diffusers_changes(tmp_path / "sum" / FILE), expected)
    with safe_open(tmp_path / "sum" / FILE, "pt") as file:
        assert file.metadata()["format"] == "pt"
        differ = compact and "patterns" in case
        assert ("lora_adapter_metadata" in file.metadata()) == differ


def respelled(path: Path, spelling: str, target: Path) -> Path:
    """The same factors under the names that diffusers used in 2023."""
    tensors = load_file(path)
    if spelling == "late 2023":
        tensors = convert_state_dict_to_diffusers(tensors)  # by diffusers itself
    else:
        tensors = {_first_name(name): tensor for name, tensor in tensors.items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target)
    return target


def _first_name(name: str) -> str:
    module, _, side = name.removesuffix(".weight").rpartition(".lora_")
    side = {"A": "down", "B": "up"}[side]
    stem, _, part = module.rpartition(".")
    if module.endswith((".to_q", ".to_v")):
        return f"{stem}.processor.{part}_lora.{side}.weight"
    if module.endswith(".to_out.0"):
        return f"{stem.removesuffix('.to_out')}.processor.to_out_lora.{side}.weight"
    if stem.endswith("self_attn"):
        return f"{stem}.to_{part.removesuffix('_proj')}_lora.{side}.weight"
    middle = "lora_linear_layer" if module.startswith("text") else "lora"
    return f"{module}.{middle}.{side}.weight"


@pytest.mark.parametrize("spelling", ["late 2023", "early 2023"])
def test_older_names_mean_the_same_modules_and_are_written_again(
    tmp_path: Path, spelling: str
) -> None:
    new = trained_folder(tmp_path / "new", 1, metadata=False)
    old = respelled(new / FILE, spelling, tmp_path / "old.safetensors")
    assert load_file(old).keys() != load_file(new / FILE).keys()
    adapter = superpose.load(old)
    assert_same(own_changes(adapter), own_changes(superpose.load(new)), 0)
    superpose.save(0.5 * adapter, tmp_path / "half.safetensors")
    written = load_file(tmp_path / "half.safetensors")
    assert written.keys() == load_file(old).keys()
    # A sum of both spellings is spelled as diffusers does today.
    superpose.save(adapter + superpose.load(new), tmp_path / "both")
    assert load_file(tmp_path / "both" / FILE).keys() == load_file(new / FILE).keys()
    expected = {name: 2 * change for name, change in diffusers_changes(new / FILE).items()}
    assert_same(diffusers_changes(tmp_path / "both" / FILE), expected)


def kohya_modules() -> tuple[tuple[str, int, int, tuple[int, ...]], ...]:
    found = []
    for component, model in (("unet", unet()), ("text_encoder", text_encoder())):
        for name, layer in layers(model).items():
            out, into, *kernel = layer.weight.shape
            long = f"{component}.{'text_model.' if component != 'unet' else ''}{name}"
            if "time_emb" not in name:
                found.append((as_kohya(long), out, into, tuple(kernel)))
    return tuple(found)


def test_diffusers_own_reading_of_a_kohya_file_is_superposes(write_lora: WriteLora) -> None:
    """Linear layers, 1x1 and 3x3 convolutions of all blocks, and a text encoder."""
    path = write_lora("a", rank=3, alpha=2.0, modules=kohya_modules())
    expected = {as_kohya(name): change for name, change in diffusers_changes(path).items()}
    assert len(expected) > 60
    assert_same(own_changes(superpose.load(path)), expected)


def test_diffusers_reads_a_kohya_sum_as_the_sum_of_what_it_reads(
    write_lora: WriteLora, tmp_path: Path
) -> None:
    """Where the sum's modules differ in rank as well: one parent has fewer of them."""
    modules = kohya_modules()
    a = write_lora("a", seed=1, rank=3, alpha=2.0, modules=modules)
    b = write_lora("b", seed=2, rank=2, alpha=1.0, modules=modules[:40])
    superpose.save(superpose.load(a) - 0.5 * superpose.load(b), tmp_path / "sum.safetensors")
    first, second = diffusers_changes(a), diffusers_changes(b)
    expected = {n: c - 0.5 * second[n] if n in second else c for n, c in first.items()}
    assert_same(diffusers_changes(tmp_path / "sum.safetensors"), expected)


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_a_forward_pass_with_the_sum_is_one_with_both_loaded(tmp_path: Path) -> None:
    """The real weights this time, and diffusers' own way to use two adapters at once."""
    folders = [trained_folder(tmp_path / n, s, metadata=False) for s, n in enumerate("ab")]
    superpose.save(superpose.load(folders[0]) - 0.5 * superpose.load(folders[1]), tmp_path / "sum")

    def model() -> Any:
        torch.manual_seed(3)
        made = unet()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        return made.eval()

    def output(made: Any) -> torch.Tensor:
        generator = torch.Generator().manual_seed(5)
        image = torch.randn(1, 4, 8, 8, generator=generator)
        text = torch.randn(1, 3, 12, generator=generator)
        with torch.no_grad():
            return made(image, 7, text).sample

    base, both, once = model(), model(), model()
    for name, folder in zip("ab", folders, strict=True):
        both.load_lora_adapter(load_file(folder / FILE), prefix="unet", adapter_name=name)
    both.set_adapters(["a", "b"], [1.0, -0.5])
    once.load_lora_adapter(load_file(tmp_path / "sum" / FILE), prefix="unet")
    change = output(both) - output(base)
    assert change.norm() > 0
    assert (output(once) - output(both)).norm() <= 1e-4 * change.norm()


def test_an_alpha_and_a_configuration_together_are_bad_input(tmp_path: Path) -> None:
    folder = trained_folder(tmp_path / "a", 1, metadata=True)
    with safe_open(folder / FILE, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(folder / FILE)
    module = next(iter(tensors)).partition(".lora")[0]
    save_file({**tensors, f"{module}.alpha": torch.tensor(1.0)}, folder / FILE, metadata)
    with pytest.raises(BadInput, match=r"alpha` and the metadata both tell the scaling"):
        superpose.load(folder)


def test_a_lokr_under_diffusers_names_is_what_diffusers_loads(tmp_path: Path) -> None:
    """As SimpleTuner exports it: with an alpha, by which diffusers multiplies the first factor."""
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for name, layer in layers(unet()).items():
        if name.endswith(("ff.net.0.proj", "attn1.to_q")):
            out, into = layer.weight.shape
            for role, shape in (("w1", (2, 2)), ("w2_a", (out // 2, 1)), ("w2_b", (1, into // 2))):
                tensors[f"unet.{name}.lokr_{role}"] = torch.randn(shape, generator=generator)
            tensors[f"unet.{name}.alpha"] = torch.tensor(3.0)
    save_file(tensors, tmp_path / "a.safetensors")
    baked = dict(tensors)
    _bake_lokr_alpha_(baked)
    model = unet()
    model.load_lora_adapter(baked, prefix="unet", adapter_name="a")
    expected = {
        f"unet.{name}": module.get_delta_weight("a").detach().double().numpy()
        for name, module in model.named_modules()
        if isinstance(module, peft.tuners.tuners_utils.BaseTunerLayer)
    }
    assert len(expected) == 8
    assert_same(own_changes(superpose.load(tmp_path / "a.safetensors")), expected)
