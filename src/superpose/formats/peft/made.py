"""The adapter that a PEFT folder of another layout than LoRA's comes to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from superpose.adapter import Adapter, Delta
from superpose.adapter.renaming import without_wrappers
from superpose.errors import SuperposeWarning
from superpose.files import TensorFile, short_name
from superpose.formats.noted import noted_parents
from superpose.formats.peft.config import LoraConfig
from superpose.formats.peft.keys import Sorted
from superpose.formats.peft.whole import check_twins, copies_of, replacements_of
from superpose.lowrank import is_zero


def plain_adapter(
    deltas: Mapping[str, Delta], found: Sorted, config: LoraConfig, file: TensorFile, where: str
) -> Adapter:
    """Give the adapter of these deltas, with what its file stores in place of the base's tensors.

    found: what the tensors beside the factors are. Warns when the adapter adds nothing.
    """
    check_twins(found, file.tensors)
    replacements = replacements_of(found, config, file.tensors, {})
    terms = [term for delta in deltas.values() for term in delta.terms]
    if not replacements and all(map(is_zero, terms)):
        warnings.warn(f"{where}: this adapter adds nothing", SuperposeWarning, stacklevel=4)
    read = Adapter(
        deltas,
        name=short_name(where),
        base_model=config.base_model,
        path=where,
        parents=noted_parents(file.metadata),
        settings={key: value for key, value in config.carried.items() if value is not None},
        replacements=replacements,
        copies=copies_of(found, file.tensors),
    )
    return without_wrappers(read)
