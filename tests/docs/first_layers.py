"""The embedded base model with its first layers alone: what pages and CI's demo run on, in seconds.

SUPERPOSE_CACHE=CACHE superpose demo, after: python -m tests.docs.first_layers CACHE
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path

from safetensors.torch import load_file, save_file

from superpose.errors import SuperposeWarning
from superpose.files import embedded
from superpose.files.checksum import sha256

__all__ = ["FIRST", "keep_first_layers"]

FIRST = 2
"""Layers that are kept, of 30."""


def keep_first_layers(cache: Path, layers: int = FIRST) -> None:
    """Put the model into a cache, where `smollm2` is looked for, as if it had no more layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)  # another worker converts it just now
        whole = embedded.folder()
    folder = cache / whole.name
    folder.mkdir(parents=True)
    for path in whole.iterdir():
        if path.suffix != ".safetensors":
            shutil.copy(path, folder)
    config = json.loads((whole / "config.json").read_text(encoding="utf-8"))
    text = json.dumps(config | {"num_hidden_layers": layers})
    (folder / "config.json").write_text(text, encoding="utf-8")
    start = "model.layers."
    kept = {
        name: x
        for name, x in load_file(whole / "model.safetensors").items()
        if not name.startswith(start) or int(name.removeprefix(start).partition(".")[0]) < layers
    }
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    manifest = json.loads((whole / "superpose.json").read_text(encoding="utf-8"))
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    (folder / "superpose.json").write_text(json.dumps(manifest), encoding="utf-8")


if __name__ == "__main__":
    keep_first_layers(Path(sys.argv[1]))
