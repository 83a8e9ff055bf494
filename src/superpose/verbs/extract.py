"""What full fine-tuning did to a base model, as an adapter."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from superpose.arguments import typed
from superpose.extraction import Extracted, extract as extract_adapter, extracted_format
from superpose.formats import Written, check_output, save
from superpose.shown import Line, Part
from superpose.verbs.base import Base, located
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress
from superpose.verbs.settings import Writing

__all__ = ["Extraction", "extract"]


@dataclass(frozen=True)
class Extraction(Extracted):
    """A fine-tuned model's delta as an adapter. written: what lies on disk, if it was written."""

    written: Written | None = None

    def to_json(self) -> dict[str, object]:
        """Give what `extract --json` prints."""
        return {**self._on_disk(), **super().to_json()}

    def _on_disk(self) -> dict[str, object]:
        if (written := self.written) is None:
            return {}
        return {
            "output": str(written.path),
            "rank": written.rank,
            "dtype": written.dtype,
            "bytes": written.bytes,
            "rounding_error": written.rounding_error,
        }

    def shown(self) -> tuple[Part, ...]:
        """Give where it lies, how much of the change it keeps, by kind, and what it leaves out."""
        if (written := self.written) is None:
            return super().shown()
        return (Line(f"{written.path}, in {written.dtype}", "wrote"), *super().shown())


@typed
def extract(
    base: Base,
    finetuned: str | os.PathLike[str],
    rank: int | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    energy: float | None = None,
    targets: str | Collection[str] | None = None,
    seed: int = 0,
    writing: Writing = Writing(),
    progress: Progress | None = None,
) -> Extraction:
    """Give the adapter that comes closest to what full fine-tuning did to a base model.

    base: a name, or a loaded base model, whose files are read. finetuned: a folder or a hub name;
    both may be folders of one diffusers model (a UNet, a transformer), whose adapter is an image
    LoRA. rank: of each module. energy: the share of each module's |dW|^2 to keep: the least rank
    that does so, at most `rank` (512 unless given). One of the two is needed. out: where to write
    it; None keeps it in memory. targets: names of layers or ends of them, as PEFT's
    `target_modules`, in one text also with commas between them; None takes every linear layer but
    heads and routers. seed: of the randomised SVD. progress: called with the values done, those to
    do in all, and the tensor at hand.

    One module's difference is in memory at a time. What is not a target module and differs (norms,
    biases, embeddings, heads) is measured and listed in `leftovers`: the adapter lacks it.

    Raises as `superpose.extraction.extract`, and as `superpose.save` where it is written.

    >>> superpose.extract("org/base", "org/tuned", rank=16).adapter  # doctest: +SKIP
    """
    if out is not None:
        check_output(out, **vars(writing))  # before the base, which may have to be fetched
    here = located(base)
    if out is not None:
        check_output(out, adapter_format=extracted_format(here.folder), **vars(writing))
    if isinstance(targets, str):
        targets = [name.strip() for name in targets.split(",") if name.strip()]
    what = f"extract {os.fspath(finetuned)}"
    step = None if progress is None else lambda done, of, name: progress(done, of, name or what)
    found = extract_adapter(
        here, finetuned, rank, energy=energy, targets=targets, seed=seed, progress=step
    )
    written = None if out is None else save(found.adapter, out, **vars(writing))
    if found.leftovers:
        note("note", found.left_out)
    return Extraction(**vars(found), written=written)
