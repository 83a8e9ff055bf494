"""PEFT as the witness of a sum that is written: it tells what base and parents make together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from superpose.errors import BadInput, BadSetting
from superpose.verbs.base import loaded_base

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.model.verify import ExpectedSum, Verification
    from superpose.verbs.adapters import AdapterName
    from superpose.verbs.base import Base
    from superpose.verbs.weights_file import Given

__all__ = ["compared", "expected_sum"]


def expected_sum(
    base: Base, given: Given, total: Adapter, device: str | None = None
) -> ExpectedSum:
    """Ask PEFT what base and parents make together; reads all that a comparison needs of them.

    device: where the base is; None is an accelerator where torch finds one.

    Raises BadInput and BadSetting for what PEFT's deltas of linear layers do not tell, and as
    `expect_sum` and loading do.
    """
    from superpose.adapter.image_marks import is_image

    if is_image(total):
        raise BadSetting("it asks PEFT, and it reads no image LoRA", where="verify")
    if given.table is not None and given.table.modules:
        raise BadSetting("it knows no weights by module", where="verify")
    names, weights = [_name(adapter) for adapter in given.adapters], given.weights
    if total.replacements or any(delta.place for delta in total.values()):
        raise BadSetting(
            "the sum holds more than deltas of linear layers, which is what it compares",
            where="verify",
            hint="Leave it out, then: superpose verify BASE ADAPTERS RESULT proves every tensor.",
        )
    if given.table is not None:  # its weights are known once the adapters are
        found = {parent.path: parent.weight for parent in total.parents}
        weights = tuple(found[name] for name in names)
    from superpose.model.verify import expect_sum

    return expect_sum(
        loaded_base(base, device=device).model, list(zip(names, weights, strict=True))
    )


def _name(adapter: AdapterName) -> str:
    """Give where PEFT finds an adapter."""
    from superpose.files.file_format import GGUF

    name = os.fspath(adapter) if isinstance(adapter, str | os.PathLike) else adapter.path
    if name is None:
        assert not isinstance(adapter, str | os.PathLike)
        raise BadSetting(
            f"it asks PEFT, which reads files, and {adapter.label} was made in memory",
            where="verify",
        )
    if name.endswith(GGUF.ending):
        raise BadInput("`verify` asks PEFT for each parent, and it reads no GGUF", where=name)
    return name


def compared(expected: ExpectedSum, path: Path, exact: bool) -> Verification:
    """Say how far what was written is from what PEFT expects."""
    from superpose.formats import engines_of, load, save

    if "peft" in engines_of(path):
        return expected.compare(path, approximate=not exact)
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:  # PEFT reads no GGUF: it is asked what the file holds
        read_back = save(load(path), Path(folder) / "read-back")
        return expected.compare(read_back.path, approximate=not exact)
