"""A sum put into a model that PEFT has loaded, and proved to be there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.adapter import Adapter, untied
from superpose.errors import DoesNotHold, Refused, listed
from superpose.formats.expanded import with_factors
from superpose.formats.folded import fold, widest_dtype
from superpose.formats.peft.keys import PREFIX, factor_name
from superpose.formats.peft.layout import check_for_peft, file_layout
from superpose.formats.peft.write import peft_config
from superpose.peft.base import LoadedBase
from superpose.peft.live import own_tensors, scalings
from superpose.peft.tensors import as_array, as_tensor

Array = NDArray[Any]

__all__ = ["inject"]


@dataclass(frozen=True)
class _Content:
    """What goes into the model.

    tensors: by name in a file. kept: those that the base has already, as trained biases. fields:
    of the configuration.
    """

    tensors: Mapping[str, Array]
    kept: Mapping[str, Array]
    fields: Mapping[str, Any]


def inject(model: Any, name: str, total: Adapter, base: LoadedBase) -> None:
    """Add an adapter to a PeftModel under a new name; what is active and trained stays so.

    Its factors are in float32, or float64 where an adapter's are, with the scaling 1. The adapter
    is read back: its tensors and scalings are what was asked for, or it is taken out again.

    Raises Refused for what no PEFT adapter can hold together, or this PEFT does not take beside
    the model's other adapters; DoesNotHold where the model does not hold what was put into it.
    """
    content = _content(total)
    with _unchanged(model):
        try:
            _add(model, name, content)
            _prove(model, name, content, base)
        except BaseException:
            _take_out(model, name)
            raise
    config = model.peft_config[name]
    # Beside other adapters PEFT takes neither at first; both only say what saving has to hold.
    config.bias = content.fields["bias"]
    ranges = content.fields.get("layer_replication")
    config.layer_replication = None if ranges is None else [list(each) for each in ranges]


def _content(total: Adapter) -> _Content:
    check_for_peft(total)
    total = with_factors(untied(total))
    dtype = "float64" if widest_dtype(total) == "float64" else "float32"
    factors = fold(total, dtype, compact=False, name=factor_name)
    layout = file_layout(total, factors, dtype, exactly=True)
    biases = [r.tensor for r in total.replacements.values() if r.row is None and r.owner is None]
    kept = {}
    for tensor in biases:
        module, _, parameter = tensor.rpartition(".")
        named = f"{PREFIX}{layout.wrapped.get(module, module)}.{parameter}"
        kept[tensor] = layout.tensors.pop(named)
    return _Content(layout.tensors, kept, peft_config(total, layout))


def _add(model: Any, name: str, content: _Content) -> None:
    import peft

    fields = {k: v for k, v in content.fields.items() if k != "peft_type"}
    fields |= {"bias": "none", "layer_replication": None}
    if "target_parameters" in fields:
        fields["target_parameters"] = _parameters(model)
    with warnings.catch_warnings():
        # Of saved embeddings, tied layers and flags: what becomes of them is proved below.
        warnings.simplefilter("ignore")
        try:
            with _without_biases(model):
                model.add_adapter(name, peft.LoraConfig(**fields))
            _fill(own_tensors(model, name), content.tensors)
        except (ValueError, KeyError, RuntimeError, TypeError, IndexError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise Refused(
                f"PEFT does not take the sum beside the model's other adapters: {said}",
                where=name,
                hint="Save the adapters (model.save_pretrained(FOLDER)) and add their files: "
                "superpose add A B -o BOTH; PEFT loads what it writes on the base model alone.",
            ) from error


def _fill(own: Mapping[str, torch.Tensor], content: Mapping[str, Array]) -> None:
    """Copy tensors into the model's own, each under its name; `_prove` says what is missing."""
    with torch.no_grad():
        for key in content.keys() & own.keys():
            own[key].copy_(as_tensor(content[key]))


def _parameters(model: Any) -> list[str]:
    """Give target_parameters as the model's adapters spell them: PEFT wants all to say the same."""
    said = (getattr(config, "target_parameters", None) for config in model.peft_config.values())
    return list(next(filter(None, said)))


@contextmanager
def _without_biases(model: Any) -> Iterator[None]:
    """Let another adapter join where biases were trained: it shares them, and has none itself."""
    configs = list(model.peft_config.values())
    before = [config.bias for config in configs]
    try:
        for config in configs:
            config.bias = "none"
        yield
    finally:
        for config, bias in zip(configs, before, strict=True):
            config.bias = bias


def _prove(model: Any, name: str, content: _Content, base: LoadedBase) -> None:
    found = {key: as_array(tensor, key) for key, tensor in own_tensors(model, name).items()}
    missing = [key for key in content.tensors if key not in found]
    if missing:
        raise _wrong(name, f"it has no {listed(missing)}")
    for key, array in found.items():
        right = content.tensors.get(key)
        if right is None:
            right = _of_base(key, base)
        if right is None or not _same(array, right):
            raise _wrong(name, f"`{key}` is another one")
        if ".lora_" in key and array.dtype.itemsize < right.dtype.itemsize:
            raise _wrong(name, f"`{key}` was rounded to {array.dtype.name}")
    for tensor, value in content.kept.items():
        own = base.tensors.get(tensor)
        if own is None or not _same(as_array(own, tensor), value):
            raise _wrong(name, f"the base model's `{tensor}` is not the one that was trained")
    other = [path for path, scaling in scalings(model, name).items() if scaling != 1.0]
    if other:
        raise _wrong(name, f"the scaling of {listed(other)} is not 1")


def _of_base(key: str, base: LoadedBase) -> Array | None:
    """Give what the base has under a name: PEFT copies a head that it saves for every adapter."""
    tensor = base.tensors.get(key.removeprefix(PREFIX))
    return None if tensor is None else as_array(tensor, key)


def _same(found: Array, right: Array) -> bool:
    """Say whether a tensor is another, rounded to what the layer computes in where that is less."""
    return found.shape == right.shape and bool(np.array_equal(found, right.astype(found.dtype)))


def _wrong(name: str, problem: str) -> DoesNotHold:
    return DoesNotHold(
        f"the model does not hold the sum that was put into it ({problem}); it was taken out again",
        where=name,
        hint="Save the adapters (model.save_pretrained(FOLDER)); superpose add adds their files.",
    )


def _take_out(model: Any, name: str) -> None:
    """Leave no part of an adapter behind, also of one that PEFT has put in by half."""
    if name not in model.peft_config:
        model.peft_config[name] = next(iter(model.peft_config.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.delete_adapter(name)


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Give every layer its active adapters back, and every tensor whether it is trained."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    kinds = (BaseTunerLayer, AuxiliaryTrainingWrapper)
    layers = [module for module in model.modules() if isinstance(module, kinds)]
    before = [(layer, _copied(layer._active_adapter), layer._disable_adapters) for layer in layers]
    trained = [(tensor, tensor.requires_grad) for tensor in model.parameters()]
    owners = [(o, _copied(o.active_adapter)) for o in (model, model.base_model)]
    try:
        yield
    finally:
        for layer, active, disabled in before:
            layer._active_adapter, layer._disable_adapters = active, disabled
        for tensor, asked in trained:
            tensor.requires_grad_(asked)
        for owner, active in owners:
            owner.active_adapter = active


def _copied(active: Any) -> Any:
    return list(active) if isinstance(active, list) else active
