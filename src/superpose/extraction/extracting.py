"""From a base model and its fine-tuned self to an adapter, module by module from the disk."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from superpose.adapter import Adapter, Delta, Place
from superpose.adapter.made import EXTRACT, Made, Setting
from superpose.adapter.progress import Progress
from superpose.errors import BadInput, Refused, SuperposeWarning, listed, missing_extra
from superpose.extraction.change import change_between
from superpose.extraction.extracted import Extracted, ExtractedModule, Leftover
from superpose.extraction.factors import factored, first_tried, needs_sklearn
from superpose.extraction.kinds import architecture_of
from superpose.extraction.pairs import TensorPair, pairs_of
from superpose.files import called, short_name
from superpose.files.base import locate_base, read_base_name
from superpose.files.checkpoint import Checkpoint
from superpose.files.diffusers_model import check_no_pipeline, component_of_model
from superpose.files.file_format import DIFFUSERS, PEFT, FileFormat
from superpose.files.precision import rounding_unit
from superpose.files.tensors import FLOATS

MOST_RANK = 512
"""The largest rank taken where an energy decides: what vLLM serves at most."""


def extract(
    base: str | os.PathLike[str],
    finetuned: str | os.PathLike[str],
    rank: int | None = None,
    *,
    energy: float | None = None,
    targets: Collection[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Extracted:
    """Give the adapter that comes closest to what full fine-tuning did to a base model.

    base, finetuned: transformers folders with safetensors weights, hub names, or `smollm2`; or
    folders of one diffusers model (a UNet, a transformer), whose adapter is an image LoRA. rank: of
    each module. energy: the share of each module's |dW|^2 to keep: the least rank that does so, at
    most `rank` (512 unless given). One of the two is needed. targets: names of layers or ends
    of them, as PEFT's `target_modules`; None takes every linear layer but heads and routers. seed:
    of the randomised SVD that is used where the rank is far below a module's dimension. progress:
    called with the values done, those to do in all, and the name of the tensor at hand.

    One module's difference is in memory at a time. What is not a target module and differs (norms,
    biases, embeddings, heads) is measured and listed in `leftovers`: the adapter lacks it.

    A fine-tuned model of a coarser dtype than the base is a SuperposeWarning: its rounding is part
    of the change.

    Raises as `files.base.locate_base`, for either model; BadInput when nothing differs, or an
    option makes no sense; Refused for quantised weights; DifferentBase when the two are not one
    architecture; MissingExtra without scikit-learn where it is needed.

    >>> superpose.extract("org/base", "org/tuned", rank=16).adapter  # doctest: +SKIP
    """
    _check_options(rank, energy)
    located = locate_base(base)
    first, second = _opened(located.folder), _opened(_folder_of_tuned(finetuned))
    component = component_of_model(first.config, first.folder)
    most = MOST_RANK if rank is None else rank
    pairs = pairs_of(first, second, targets)
    _check_dtypes(first, second, pairs)
    _check_sklearn(pairs, first_tried(most, energy))
    deltas: dict[str, Delta] = {}
    modules: list[ExtractedModule] = []
    leftovers: list[Leftover] = []
    for pair in _reported(pairs, progress):
        if not pair.target:
            leftovers += _leftover(first, second, pair)
        elif (found := _module(first, second, pair, most, energy, seed)) is not None:
            deltas[pair.module], module = found
            modules.append(module)
    if not modules:
        raise _nothing(finetuned, leftovers)
    adapter = Adapter(
        deltas if component is None else {f"{component}.{m}": d for m, d in deltas.items()},
        short_name(finetuned),
        located.name,
        settings=_settings(first, deltas, located.revision) if component is None else {},
        format=_format(component).name,
    )
    unchanged = len(pairs) - len(modules) - len(leftovers)
    whole = Extracted(adapter, tuple(modules), _shares(leftovers, modules), unchanged)
    made = _made(whole, finetuned=called(finetuned), energy=energy, seed=seed)
    return replace(whole, adapter=replace(adapter, made=made))


def extracted_format(base: Path) -> str:
    """Give the `Adapter.format` of what is extracted from the model in a folder, before the work.

    Raises Refused for a model to which no loader of diffusers' applies a LoRA.
    """
    config = _opened(base).config
    return _format(component_of_model(config, base)).name


def _format(component: str | None) -> FileFormat:
    return PEFT if component is None else DIFFUSERS


def _made(found: Extracted, **settings: Setting) -> Made:
    name, rank = found.adapter.name, found.adapter.rank
    return Made(
        EXTRACT,
        f"what `{name}` adds to its base model, as factors of rank {rank}",
        "",
        tuple(settings.items()),
        exact=False,
        energy_kept=found.energy_kept,
        share_left_out=found.share_left,
    )


def _check_options(rank: int | None, energy: float | None) -> None:
    if rank is None and energy is None:
        raise BadInput(
            "an extraction needs a rank or a share of the energy to keep",
            hint="--rank 16, or --energy 0.9 (in Python: rank=16, energy=0.9)",
        )
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
        raise BadInput(f"rank is {rank!r}; it must be a whole number of at least 1")
    if energy is not None and not 0.0 < energy <= 1.0:
        raise BadInput(f"energy is {energy}; it must be above 0 and at most 1")


def _check_dtypes(base: Checkpoint, tuned: Checkpoint, pairs: tuple[TensorPair, ...]) -> None:
    coarser: set[tuple[str, str]] = set()
    for pair in pairs:
        if not pair.target or pair.base is None or pair.tuned is None:
            continue
        dtypes = base.entry(pair.base).dtype, tuned.entry(pair.tuned).dtype
        for model, dtype in zip((base, tuned), dtypes, strict=True):
            if dtype not in FLOATS:
                raise Refused(
                    f"`{pair.name}` is {dtype}: quantised weights have no difference",
                    where=model.folder,
                    hint="Give both models in float32, bfloat16 or float16.",
                )
        if rounding_unit(dtypes[1]) > rounding_unit(dtypes[0]):
            coarser.add((FLOATS[dtypes[1]], FLOATS[dtypes[0]]))
    for theirs, ours in sorted(coarser):
        warnings.warn(
            f"the fine-tuned model is stored in {theirs}, the base model in {ours}: what rounding "
            "did to it is part of the change",
            SuperposeWarning,
            stacklevel=3,
        )


def _check_sklearn(pairs: tuple[TensorPair, ...], rank: int) -> None:
    """Ask for scikit-learn before the first tensor is read, not after an hour."""
    if not any(pair.target and needs_sklearn(pair.shapes[0] or (0, 0), rank) for pair in pairs):
        return
    try:
        import sklearn.utils.extmath  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_extra("sklearn") from error


def _module(
    base: Checkpoint,
    tuned: Checkpoint,
    pair: TensorPair,
    rank: int,
    energy: float | None,
    seed: int,
) -> tuple[Delta, ExtractedModule] | None:
    """Give one target module's delta; None where it is the same in both models."""
    assert pair.base is not None
    assert pair.tuned is not None
    found = change_between(base, pair.base, tuned, pair.tuned, wanted=True)
    if found.matrix is None:
        return None
    embedding = pair.kind == "embedding"
    matrix = found.matrix.T if embedding or base.is_conv1d(pair.module) else found.matrix
    factors = factored(matrix, rank, energy, seed=seed)
    place = Place(pair.module, kind="embedding") if embedding else None
    delta = Delta.of(factors.B, factors.A, place=place)
    kept = (factors.kept / factors.whole) ** 2
    return delta, ExtractedModule(pair.module, delta.rank, found.norm, found.relative, kept)


def _leftover(base: Checkpoint, tuned: Checkpoint, pair: TensorPair) -> list[Leftover]:
    """Measure what no factors hold; nothing where it is the same in both models."""
    size = relative = math.nan
    if pair.comparable:
        assert pair.base is not None
        assert pair.tuned is not None
        found = change_between(base, pair.base, tuned, pair.tuned, wanted=False)
        if found.norm == 0.0:
            return []
        size, relative = found.norm, found.relative
    kind = "linear, not chosen" if pair.kind == "linear" else pair.kind
    return [Leftover(pair.name, kind, pair.shapes[1], pair.shapes[0], size, relative, math.nan)]


def _shares(leftovers: list[Leftover], modules: list[ExtractedModule]) -> tuple[Leftover, ...]:
    """Give the leftovers with their shares of the whole change, the largest first."""
    sizes = [m.change for m in modules] + [x.change for x in leftovers]
    whole = math.hypot(*filter(math.isfinite, sizes))
    shared = [replace(x, share=(x.change / whole) ** 2) for x in leftovers]
    return tuple(sorted(shared, key=lambda x: math.inf if math.isnan(x.share) else -x.share))


def _settings(
    base: Checkpoint, modules: Collection[str], revision: str | None
) -> dict[str, object]:
    """Give what PEFT wants to know of the base model."""
    settings: dict[str, object] = {"fan_in_fan_out": any(map(base.is_conv1d, modules))}
    if architecture_of(base.config).endswith(("ForCausalLM", "LMHeadModel")):
        settings["task_type"] = "CAUSAL_LM"
    if revision is not None:
        settings["revision"] = revision
    return settings


def _reported(pairs: Sequence[TensorPair], progress: Progress | None) -> Iterator[TensorPair]:
    """Give the pairs one by one, telling before each how far it is."""
    tell = progress or (lambda done, total, name: None)
    done, total = 0, sum(map(_values, pairs))
    for pair in pairs:
        tell(done, total, pair.name)
        yield pair
        done += _values(pair)
    tell(done, total, "")


def _values(pair: TensorPair) -> int:
    return math.prod(pair.shapes[1] or ()) if pair.comparable else 0


def _folder_of_tuned(given: str | os.PathLike[str]) -> Path:
    folder = read_base_name(given).folder()
    if (folder / PEFT.folder[0]).exists() and not (folder / "config.json").exists():
        raise BadInput(
            "is an adapter already, and no model",
            where=given,
            hint="superpose diff compares adapters, superpose add subtracts them: A B:-1",
        )
    return folder


def _opened(folder: Path) -> Checkpoint:
    check_no_pipeline(folder)
    model = Checkpoint.open(folder, diffusers=True)
    component_of_model(model.config, folder)
    return model


def _nothing(finetuned: object, leftovers: list[Leftover]) -> BadInput:
    if not leftovers:
        return BadInput("is the base model itself: no tensor differs", where=finetuned)
    names = listed([x.name for x in leftovers], 3)
    return BadInput(
        f"differs from the base model in no target module, only in {names}", where=finetuned
    )
