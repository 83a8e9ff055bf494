"""The adapter that a PEFT folder of another layout than LoRA's comes to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from superpose.adapter import Adapter, Delta, Replacement
from superpose.adapter.renaming import tensors_of, without_wrappers
from superpose.errors import SuperposeWarning
from superpose.files import TensorFile, short_name
from superpose.formats.noted import noted
from superpose.formats.peft.config import LoraConfig
from superpose.formats.peft.keys import Sorted
from superpose.formats.peft.whole import check_twins, copies_of, replacements_of
from superpose.lowrank import is_zero

_UNEMBED = "model.unembed_tokens."


def plain_adapter(
    deltas: Mapping[str, Delta], found: Sorted, config: LoraConfig, file: TensorFile, where: str
) -> Adapter:
    """Give the adapter of these deltas, with what its file stores in place of the base's tensors.

    found: what the tensors beside the factors are. Warns when the adapter adds nothing; raises as
    `check_twins` does.
    """
    check_twins(found, file.tensors)
    replacements = replacements_of(found, config, file.tensors, {})
    terms = [term for delta in deltas.values() for term in delta.terms]
    if not replacements and all(map(is_zero, terms)):
        warnings.warn(f"{where}: this adapter adds nothing", SuperposeWarning, stacklevel=4)
    return adapter_of(deltas, replacements, found, config, file, where)


def adapter_of(
    deltas: Mapping[str, Delta],
    replacements: Mapping[str, Replacement],
    found: Sorted,
    config: LoraConfig,
    file: TensorFile,
    where: str,
    *,
    tied: Mapping[str, str] | None = None,
) -> Adapter:
    """Give an adapter with what configuration and file say of it beside its weights.

    where: what the user called it. Names lose what torch.compile and the like left in them.
    """
    read = Adapter(
        deltas,
        name=short_name(where),
        base_model=config.base_model,
        path=where,
        **noted(file.metadata),
        settings={key: value for key, value in config.carried.items() if value is not None},
        replacements=replacements,
        copies=copies_of(found, file.tensors),
        tied=tied or {},
    )
    return _with_its_head(without_wrappers(read))


def _with_its_head(adapter: Adapter) -> Adapter:
    """Give an adapter of Tinker's with the output layer under the name that models have for it.

    Source: tinker-cookbook, `weights/_merge.py`, whose names become `lm_head` too.
    """
    if not any(name.startswith(_UNEMBED) for name in tensors_of(adapter)):
        return adapter
    warnings.warn(
        f"{adapter.label}: `{_UNEMBED[:-1]}`, as Tinker calls the output layer, is read as "
        "`lm_head`; PEFT would not find it",
        SuperposeWarning,
        stacklevel=5,
    )
    return adapter.renamed(lambda name: name.replace(_UNEMBED, "lm_head."))
