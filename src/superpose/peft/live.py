"""An adapter in a model that PEFT has loaded, read as it would be from its files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch

from superpose.adapter import Adapter
from superpose.errors import BadInput, BadSetting, Refused, listed
from superpose.files.held import HeldTensors
from superpose.formats.peft.keys import PREFIX
from superpose.formats.peft.read import read_loaded
from superpose.formats.recognise import ADALORA, PRODUCTS
from superpose.lowrank import norm
from superpose.names.stored import end_of
from superpose.peft.base import LoadedBase
from superpose.peft.tensors import as_array

__all__ = ["check_model", "check_names", "largest_rank", "own_tensors", "read_adapter", "scalings"]

_PARTS = frozenset(
    "base_model model base_layer modules_to_save original_module token_adapter".split()
)

_BY_FILES = (
    "Save the adapters (model.save_pretrained(FOLDER)) and add their files: superpose add A B -o "
    "BOTH; PEFT loads what it writes on the base model."
)


_OTHERS = "superpose adds LoRA, LoHa, LoKr and AdaLoRA, and no other kind."

_ADDED = frozenset({*PRODUCTS, ADALORA})


def check_model(model: Any, adapters: list[str]) -> None:
    """Raise where adapters of this model cannot be added.

    BadSetting for what is no PeftModel, no adapters, or one that there is not; Refused for adapters
    of another kind than LoRA, and for a model that an adapter is merged into.
    """
    import peft

    if not isinstance(model, peft.PeftModel):
        raise BadSetting(
            f"is a {type(model).__name__}, not a PeftModel",
            where="model",
            hint="Give what peft.PeftModel.from_pretrained (and load_adapter) gave; of a compiled "
            "model what was compiled, and not a model that transformers loaded adapters into.",
        )
    if not adapters:
        raise BadSetting("a sum needs at least one adapter", where="adapters")
    missing = [a for a in adapters if a not in model.peft_config]
    if missing:
        raise BadSetting(
            f"the model has no adapter {listed(missing)}; it has "
            f"{listed(list(model.peft_config), 8)}",
            where="adapters",
        )
    for adapter in adapters:
        kind = str(getattr(model.peft_config[adapter].peft_type, "value", ""))
        if kind != "LORA":
            raise Refused(
                f"adapter `{adapter}` is {kind}: a model that PEFT has loaded so takes no LoRA "
                "beside it, and a sum of such adapters is none of their kind",
                where="model",
                hint=_BY_FILES
                if kind in _ADDED
                else "superpose adds LoRA, LoHa, LoKr and AdaLoRA.",
            )
    _check_unmerged(model)


def check_names(model: Any, base: LoadedBase, name: str) -> None:
    """Raise BadSetting for a name that is taken, or that PEFT does not tell from its own names.

    peft 0.21.2 takes every tensor for another adapter's in whose name that adapter's stands: with
    one called `0` in the model, it reads and saves no adapter's layer 0.
    """
    if name in model.peft_config:
        raise BadSetting(
            f"the model has an adapter `{name}` already",
            where="adapter_name",
            hint=f"Give another name, or take that one out first: model.delete_adapter({name!r}).",
        )
    parts = {part for tensor in base.tensors for part in tensor.split(".")} | _PARTS
    for given in (*model.peft_config, name):
        if not isinstance(given, str) or not given or "." in given or given in "lora_":
            problem = "cannot be an adapter's name in PEFT"
        elif hasattr(torch.nn.ModuleDict, given) or hasattr(torch.nn.ParameterDict, given):
            problem = "is a name that torch's modules have for themselves"
        elif given in parts or given.startswith("lora_"):
            problem = "is what a part of the model is called, which PEFT does not tell apart"
        else:
            continue
        raise BadSetting(
            f"{given!r} {problem}",
            where="adapter_name" if given == name else "adapters",
            hint="Load it under another name (adapter_name=...), a word without a dot in it.",
        )


def _check_unmerged(model: Any) -> None:
    merged = [
        a for module in model.modules() for a in getattr(module, "merged_adapters", None) or ()
    ]
    if merged:
        raise Refused(
            f"adapter {listed(list(dict.fromkeys(merged)))} is merged into the base model's "
            "weights, to which a sum would be added once more",
            where="model",
            hint="Take it out first: model.unmerge_adapter().",
        )


def read_adapter(model: Any, name: str, *, dora: bool, tied: bool) -> Adapter:
    """Read one adapter of a model. dora: let DoRA pass, as a change of the base's own weights.

    tied: whether the base's output layer and embedding are one.

    Raises as `superpose.load` does of files, and Refused for tensors that have no values here.
    """
    if model.peft_config[name].use_dora and not dora:
        raise Refused(
            f"adapter `{name}` is DoRA, which rescales the base model's own weights: no sum of "
            "factors is exactly it",
            where=name,
            hint="rank=K gives the best approximation of rank K, and energy_kept how good it is; "
            "superpose bake BASE A B writes the exact model from the adapters' files.",
        )
    file = HeldTensors.of({key: as_array(x, key) for key, x in own_tensors(model, name).items()})
    raw = configuration(model.peft_config[name])
    scaled = scalings(model, name)
    _check_all(file.header.entries, scaled, name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*this adapter adds nothing")  # it is refused below
        found = read_loaded(raw, file, name, scalings=scaled, dora=dora)
    _check_something(found)
    if tied and raw.get("ensure_weight_tying"):
        _check_both_ends(found)
    return found


def _check_all(tensors: Collection[str], layers: Collection[str], name: str) -> None:
    """Raise Refused where a layer of the model has factors that PEFT does not give."""
    read = {key.removeprefix(PREFIX).rpartition(".lora_")[0] for key in tensors}
    lost = [path for path in layers if path not in read]
    if lost:
        raise Refused(
            f"{listed(lost, 3)} has factors in the model, and PEFT does not give them",
            where=name,
            hint=_BY_FILES,
        )


def _check_something(adapter: Adapter) -> None:
    """Raise Refused for an adapter whose factors are zero: PEFT leaves them so, and goes on.

    It does where a file calls the model's layers otherwise than the model (with a head and without,
    before a renaming of transformers, compiled): no tensor of the file is found.
    """
    if adapter.replacements or any(norm(delta.terms) > 0.0 for delta in adapter.values()):
        return
    raise Refused(
        f"adapter `{adapter.name}` changes nothing: all its factors are zero, as PEFT leaves them "
        "before training, and where it finds none of a file's tensors by the names in it",
        where=adapter.name,
        hint="Leave it out; or, if its file holds more, add the files, whose names superpose "
        "knows: superpose add A B -o BOTH --base BASE.",
    )


def _check_both_ends(adapter: Adapter) -> None:
    """Raise Refused for one of tied layers without the other: PEFT has lost it while it loaded.

    Of a second adapter with ensure_weight_tying peft 0.21.2 loads the embedding's half alone.
    """
    whole = {r.tensor for r in adapter.replacements.values() if r.row is None}
    tensors = whole | {f"{key}.weight" for key in (*adapter, *adapter.tied)}
    ends = {end for tensor in tensors if (end := end_of(tensor)) is not None}
    if len(ends) == 1:
        raise Refused(
            f"adapter `{adapter.name}` changes the embedding and the output layer, which are tied, "
            "and PEFT lost one of the two when it loaded it beside another (ensure_weight_tying)",
            where=adapter.name,
            hint="Add the adapters' files: superpose add A B -o BOTH; PEFT loads what it writes.",
        )


def own_tensors(model: Any, name: str) -> dict[str, torch.Tensor]:
    """Give an adapter's own tensors, not copies of them, by the names that its file would have."""
    import peft

    # Not state_dict(): some wrappers leave their own name out of it, and PEFT then finds nothing.
    state = dict(_stored(model))
    lacking = [
        f"{path}.token_adapter.trainable_tokens_delta" for path in _without_rows(model, name)
    ]
    # PEFT takes it that every adapter has rows where one has.
    state |= {f"{key}.{name}": torch.zeros(()) for key in lacking}
    found = peft.get_peft_model_state_dict(
        model, state_dict=state, adapter_name=name, save_embedding_layers=False
    )
    return {key: tensor for key, tensor in found.items() if key not in lacking}


def _stored(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Give the tensors of a model by the paths of its modules."""
    for path, module in model.named_modules(remove_duplicate=False):
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and name not in module._non_persistent_buffers_set:
                yield f"{path}.{name}", tensor.detach()


def _without_rows(model: Any, name: str) -> Iterator[str]:
    """Give the layers of which other adapters have trained rows, and this one has none."""
    from peft.utils.other import TrainableTokensWrapper

    for path, module in model.named_modules():
        if not isinstance(module, TrainableTokensWrapper):
            continue
        if name not in module.token_adapter.trainable_tokens_delta:
            yield path


def largest_rank(config: Any) -> int:
    """Give the largest rank that a LoraConfig gives a module."""
    return max(map(int, [config.r, *(config.rank_pattern or {}).values()]))


def configuration(config: Any) -> dict[str, Any]:
    """Give a LoraConfig as adapter_config.json has it, its patterns in the order that counts."""
    return {key: _plain(value) for key, value in config.to_dict().items()}


def _plain(value: Any) -> Any:
    if isinstance(value, set | tuple):
        return sorted(value) if isinstance(value, set) else list(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return getattr(value, "value", value)


def scalings(model: Any, name: str) -> dict[str, float]:
    """Give what each module's factors are multiplied with, by the module's name in a file."""
    inside = re.compile(rf"\.modules_to_save\.{re.escape(name)}(?=\.|$)")
    found = {inside.sub("", path): layer.scaling[name] for path, layer in layers_of(model, name)}
    for path, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"`{path}` has the scaling {value!r}, which is no number", where=name)
    return {path: float(value) for path, value in found.items()}


def layers_of(model: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Give the LoRA layers that hold factors of an adapter, by their names in a file."""
    from peft.tuners.lora import LoraLayer

    for path, module in model.named_modules():
        if isinstance(module, LoraLayer) and name in module.scaling:
            yield path.removeprefix(PREFIX), module
