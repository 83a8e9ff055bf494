"""What lies beside an adapter: parts that were trained with it, its tokenizer, and what is neither.

A folder may hold more than PEFT's two files: LLaVA's scripts leave the projector in
`non_lora_trainables.bin`, trl a reward model's head in `value_head.safetensors`, and every Trainer
its tokenizer, which may have tokens of its own. None of it is in a sum of deltas.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from superpose.adapter.beside import TOKENIZER, Beside
from superpose.errors import BadInput, Missing, SuperposeWarning
from superpose.files import is_here, listing, read_header
from superpose.files.file_format import INPUT_STATISTICS, weights_pattern
from superpose.files.hub import fetch_beside
from superpose.files.own import own_file
from superpose.files.pickles import PICKLES

_WEIGHTS = (".safetensors", *PICKLES)

# The adapter itself, in PEFT's, MLX's and llama.cpp's files, what steered its training alone, and
# what its domain's inputs look like.
_NO_PART = re.compile(
    weights_pattern()
    + "|"
    + re.escape(INPUT_STATISTICS)
    + r"|training_args\.(bin|pt)|(optimizer|scheduler|scaler|sampler|grad_scaler)([_-]?\d+)?\.\w+"
    r"|(rng|random)_states?.*|.*(optim|model)_states\.pt|dataloader.*|replay_buffer.*"
)
_CHECKPOINTS = re.compile(
    r"(checkpoint|global_step|step|epoch|iter)[-_]?\d+|checkpoints?|optimizer.*|\..*|runs|logs|wandb"
)

# Tried in this order: how a file's name begins or what it has in it, and what it holds then.
_TRAINED = (
    (r"non_lora_trainables", "what was trained beside LoRA, as LLaVA's projector"),
    (r"projector", "a projector"),
    (r"v(alue)?_?head", "a value head"),
    (r"classif|score|head", "a head"),
    (r"embed|_emb\b|_emb\.", "embeddings"),
    (r"^(pytorch_)?model(-\d+-of-\d+)?\.", "a whole model, or what trl stores of a head with it"),
)
_TRAINED_COMPILED = tuple((re.compile(pattern), what) for pattern, what in _TRAINED)
_UNKNOWN = "weights that superpose does not know"


def find_beside(given: str, path: Path) -> tuple[Beside, ...]:
    """Give what lies beside an adapter and is, or may be, needed to use it.

    given: what the user called it. path: where it was found, a folder or a file. Of a file of
    another format than PEFT's nothing is said: its folder may be anybody's.
    """
    folder = path if not path.is_file() else path.parent
    own = "" if folder == path else path.name
    here = is_here(given) or path.is_file()
    names = listing(str(folder) if here else given, folder)
    models = {n.rpartition("/")[0] for n in names if n.endswith(("/config.json", "_config.json"))}
    found = []
    for name in names:
        inside, _, last = name.rpartition("/")
        if name == own or (inside and (inside in models or _CHECKPOINTS.fullmatch(inside))):
            continue
        if last in TOKENIZER and not inside:
            found.append((name, "its tokenizer", "tokenizer"))
        elif last.endswith(_WEIGHTS) and not _NO_PART.fullmatch(last):
            found.append((name, _what(folder / name, last), "trained"))
    where = str(folder.absolute()) if here else None
    return tuple(Beside(given, name, what, kind, where) for name, what, kind in found)  # type: ignore[arg-type]


def to_carry(beside: Sequence[Beside]) -> dict[str, bytes]:
    """Give the files of a tokenizer that a written adapter carries, by name.

    They are carried together or not at all: where adapters have different ones, or one cannot be
    had or is a link out of its folder, that is said with a SuperposeWarning.
    """
    files: dict[str, dict[bytes, Beside]] = {}
    try:
        for one in beside:
            if one.kind == "tokenizer":
                files.setdefault(one.file, {}).setdefault(_bytes(one), one)
    except (OSError, BadInput, Missing) as error:
        reason = str(error).splitlines()[0]
        _say(
            f"{one.file} of {one.adapter} cannot be read ({reason}): no tokenizer is written "
            "beside the result"
        )
        return {}
    differ = {name: found for name, found in files.items() if len(found) > 1}
    if differ:
        name, found = next(iter(differ.items()))
        adapters = " and ".join(one.adapter for one in found.values())
        more = f" (and {', '.join(list(differ)[1:])})" if len(differ) > 1 else ""
        _say(
            f"{adapters} have a different {name} each{more}: no tokenizer is written beside the "
            "result; use the base model's, or copy the one that fits"
        )
        return {}
    return {name: next(iter(found)) for name, found in files.items()}


def _what(path: Path, name: str) -> str:
    """Say what a file holds, by its name and, of safetensors that are here, by its tensors."""
    what = next((w for p, w in _TRAINED_COMPILED if p.search(name.lower())), None)
    some = next(iter(_tensors(path)), None)
    tensors = "" if some is None else f", such as `{some}`"
    return f"{what or _UNKNOWN}{tensors}"


def _tensors(path: Path) -> Iterable[str]:
    if path.suffix != ".safetensors":
        return ()
    try:
        return read_header(path).entries
    except BadInput:
        return ()


def _bytes(one: Beside) -> bytes:
    folder = Path(one.folder) if one.folder is not None else fetch_beside(one.adapter, TOKENIZER)
    return own_file(folder / one.file, folder).read_bytes()


def _say(message: str) -> None:
    warnings.warn(message, SuperposeWarning, stacklevel=5)
