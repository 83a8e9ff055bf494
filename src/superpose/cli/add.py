"""`superpose add`: the exact weighted sum of adapters, as one adapter."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.adapter.made import percent
from superpose.cli.console import out as console, print_json
from superpose.cli.engine import For, fitted, tell_of_ranks
from superpose.cli.options import BaseModel, Heads, IgnoreKey, Json, SameBase
from superpose.cli.read_back import read_back
from superpose.cli.summing import summed
from superpose.cli.weights_file import WeightsFile, weighted_or_file
from superpose.errors import BadInput

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Made
    from superpose.baking.found import ReadBack
    from superpose.formats import Written
    from superpose.model.verify import ExpectedSum, Verification

__all__ = ["add"]

Adapters = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER[:WEIGHT]...",
        help="PEFT folders, GGUF files, image LoRAs or hub names, each with its task weight (1 "
        "when left out).",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="The folder to write, or the .gguf or, for image LoRAs, .safetensors file.",
        show_default=False,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Task weights in the adapters' order, for example 1,0.5,-1, or a file that superpose "
        "tune --json wrote."
    ),
]
Rank = Annotated[
    int | None,
    typer.Option(help="Write the best approximation of this rank instead of the exact sum."),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="float32, float16, bfloat16 or float64; by default the narrowest that holds every "
        "parent's factors, for GGUF float32."
    ),
]
Compact = Annotated[
    bool, typer.Option("--compact", help="Keep each module's own rank; PEFT alone reads that.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace an adapter that stands at OUT.")]
Verify = Annotated[
    str | None,
    typer.Option(
        metavar="BASE",
        help="Load BASE and the result with peft and compare its logits with those of BASE plus "
        "the parents' own deltas.",
    ),
]


def add(
    adapters: Adapters,
    out: Out,
    weights: Weights = None,
    rank: Rank = None,
    dtype: Dtype = None,
    engine: For = None,
    base: BaseModel = None,
    heads: Heads = "sum",
    compact: Compact = False,
    force: Force = False,
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    verify: Verify = None,
    json: Json = False,
) -> None:
    """Add adapters exactly and write the sum as one adapter.

    The sum of the deltas is written, not of the factors: no cross terms, whatever the ranks,
    scalings and target modules. The result works in PEFT, vLLM and llama.cpp alike.

    Example: superpose add runs/math runs/medicine:0.5 runs/toxic:-1 -o both
    """
    from superpose.formats import check_output, engines_of, save

    names, numbers, table = weighted_or_file(adapters, weights)
    writable = partial(check_output, out, engine=engine, dtype=dtype, compact=compact, force=force)
    _check_before(engine, rank)
    writable()  # all that can be refused without reading an adapter
    total, here = summed(
        names, numbers, rank=rank, base=base, same_base=same_base, table=table,
        ignore_keys=ignore_key or (), heads=heads, writable=writable,
    )  # fmt: skip
    total = fitted(total, engine)
    exact = total.made.exact is not False
    if verify is not None:
        names, numbers = _parents_for_peft(names, numbers, total, table)
    # Before writing: base or parent may not load, and the output may be one of the parents.
    expected = None if verify is None else _expected(verify, names, numbers)
    written = save(
        total, out, engine=engine, base=base, dtype=dtype, compact=compact, force=force
    )  # fmt: skip
    checked = None if expected is None else _compared(expected, written.path, exact)
    found = read_back(written.path, here, base or total.base_model)
    if json:
        # A zero sum has no energy of which anything could be kept.
        nothing = rank is not None and exact and total.norm() == 0.0
        print_json(_as_json(total, written, not nothing, checked, found))
    else:
        _tell(total, written, found, checked)
    if not compact and "vllm" in engines_of(written.path):
        tell_of_ranks(total, written, engine)
    if checked is not None:
        checked.insist()


def _check_before(engine: str | None, rank: int | None) -> None:
    """Refuse a rank that there is not, or that the engine does not serve."""
    from superpose.formats.vllm import VLLM_RANKS

    if rank is not None and rank < 1:
        raise BadInput(f"rank is {rank}; it must be at least 1", where="--rank")
    if rank is not None and engine == "vllm" and rank > VLLM_RANKS[-1]:
        raise BadInput(f"rank is {rank}; vLLM serves at most {VLLM_RANKS[-1]}", where="--rank")


def _parents_for_peft(
    names: list[str], numbers: list[float], total: Adapter, table: WeightsFile | None
) -> tuple[list[str], list[float]]:
    """Give names and weights to ask PEFT for; refuse what its deltas of linear layers do not tell.

    Weights of a file are known once the adapters are: the sum's parents have them.
    """
    from superpose.adapter.image_marks import is_image
    from superpose.files.file_format import GGUF

    if is_image(total):
        raise BadInput("--verify asks PEFT, and it reads no image LoRA", where="--verify")
    if table is not None and table.modules:
        raise BadInput("--verify knows no weights by module", where="--verify")
    if table is not None:
        found = {parent.path: parent.weight for parent in total.parents}
        numbers = [found[name] for name in names]
    for name in names:
        if name.endswith(GGUF.ending):
            raise BadInput("--verify asks PEFT for each parent, and it reads no GGUF", where=name)
    if total.replacements or any(delta.place for delta in total.values()):
        raise BadInput(
            "the sum holds more than deltas of linear layers, which --verify compares",
            where="--verify",
            hint="Leave it out, then: superpose verify BASE ADAPTERS RESULT proves every tensor.",
        )
    return names, numbers


def _compared(expected: ExpectedSum, path: Path, exact: bool) -> Verification:
    from superpose.formats import engines_of, load, save

    if "peft" in engines_of(path):
        return expected.compare(path, approximate=not exact)
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:  # PEFT reads no GGUF: it is asked what the file holds
        read_back = save(load(path), Path(folder) / "read-back")
        return expected.compare(read_back.path, approximate=not exact)


def _expected(base: str, names: list[str], weights: list[float]) -> ExpectedSum:
    """Ask PEFT what base and parents make together; reads all that `--verify` needs of them."""
    from superpose.model.base_model import load_base
    from superpose.model.verify import expect_sum

    return expect_sum(load_base(base).model, list(zip(names, weights, strict=True)))


def _exact(written: Written) -> str:
    # Beside a rounding error of 0.0015 the bare word would be read as a promise.
    return "exact" if written.rounding_error < 1e-6 else "exact but for rounding"


def _kept(made: Made) -> str:
    if made.energy_kept is None:
        return "not the exact sum"
    return f"keeps {percent(made.energy_kept)} of the energy"


def _tell(total: Adapter, written: Written, *proofs: ReadBack | Verification | None) -> None:
    made = total.made
    kept = _exact(written) if made.exact is not False else _kept(made)
    lines = [
        f"wrote {written.path}: {total.name}",
        f"  {written.modules} target modules, rank {written.rank}, {kept}",
        f"  {written.dtype}, {_size(written.bytes)}, rounding error {written.rounding_error:.2g}",
    ]
    if made.inputs:
        lines.append(f"  {made}")
    if written.carried:
        lines.append(f"  with the tokenizer of its parents: {', '.join(written.carried)}")
    lines += [f"  {proof}" for proof in proofs if proof is not None]
    console().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _as_json(
    total: Adapter,
    written: Written,
    something: bool,
    checked: Verification | None,
    found: ReadBack | None,
) -> dict[str, object]:
    exact = total.made.exact is not False
    return {
        "output": str(written.path),
        "name": total.name,
        "base_model": total.base_model,
        "modules": written.modules,
        "rank": written.rank,
        "dtype": written.dtype,
        "bytes": written.bytes,
        "energy_kept": (1.0 if something else None) if exact else total.made.energy_kept,
        "exact": exact,
        "made": total.made.written(written.rounding_error).to_json(),
        "rounding_error": written.rounding_error,
        "parents": [parent.to_json() for parent in total.parents],
        "beside": [
            {**one.to_json(), "carried": one.file in written.carried} for one in total.beside
        ],
        "verify": None if checked is None else checked.to_json(),
        "read_back": None if found is None else found.to_json(),
    }


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
