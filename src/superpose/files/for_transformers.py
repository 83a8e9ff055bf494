"""What transformers itself reads of a base model's folder: files, safetensors, and its own."""

from __future__ import annotations

from pathlib import Path

from superpose.errors import BadInput, Refused
from superpose.files.checkpoint import CONFIG, INDEX, SINGLE, weights_missing
from superpose.files.index import weight_map
from superpose.files.json_values import read_json
from superpose.files.text import with_an_end

_SETTINGS = (".json", ".jinja", ".model", ".txt")


def check_files(folder: Path) -> None:
    """Raise BadInput for what transformers would wait for, or pass over without a word.

    The one is a pipe or a device. The other has the name of a configuration's or tokenizer's file
    and is a folder, or a link to what is not there: the model would be another without it.
    """
    for path in sorted(folder.glob("[!.]*")):
        if with_an_end(path).suffix in _SETTINGS and not path.is_file():
            what = "a folder" if path.is_dir() else "a link to what is not there"
            raise BadInput(f"is {what}, in place of a file", where=path)


def check_safetensors(folder: Path) -> None:
    """Raise BadInput where a folder of transformers' files would not be loaded from safetensors.

    folder: of a base model. A configuration can name the file of the weights by itself
    (`transformers_weights`): one that is no safetensors file is a pickle. An index names files
    beside it alone; transformers follows it anywhere.
    """
    config = folder / CONFIG
    named = read_json(config).get("transformers_weights")
    if named is None:
        named = next((name for name in (SINGLE, INDEX) if (folder / name).is_file()), None)
        if named is None:
            raise weights_missing(folder, SINGLE, INDEX)
    weights = Path(str(named))
    if not weights.name.endswith((".safetensors", ".safetensors.index.json")):
        raise Refused(
            f"has its weights read from {str(named)!r}, which is no safetensors file",
            where=config,
            hint="superpose opens no pickle: write the model anew with save_pretrained.",
        )
    if ".." in weights.parts or weights.is_absolute():
        raise Refused(f"has its weights read from {str(named)!r}, outside its folder", where=config)
    if with_an_end(folder / weights).suffix == ".json":
        weight_map(read_json(folder / weights), folder / weights)
