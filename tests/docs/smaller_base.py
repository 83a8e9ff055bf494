"""The embedded base model with its first layer and tokens: pages and CI's demo, in seconds.

SUPERPOSE_CACHE=CACHE superpose demo, after: python -m tests.docs.smaller_base CACHE
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from superpose.errors import SuperposeWarning
from superpose.files import embedded
from superpose.files.checksum import sha256

__all__ = ["LAYERS", "TOKENS", "keep_the_first"]

LAYERS = 1
"""The first layer alone, of 30."""

TOKENS = 4096
"""Tokens that are kept, of 49,152: with all of them nine tenths of the work are the head's."""


def keep_the_first(cache: Path) -> None:
    """Put the model into a cache, where `smollm2` is looked for, as if it had no more of both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)  # another worker converts it just now
        whole = embedded.folder()
    folder = cache / whole.name
    folder.mkdir(parents=True)
    for path in whole.iterdir():
        if path.suffix not in (".safetensors", ".json"):
            shutil.copy(path, folder)
    for path in whole.glob("*.json"):
        value = json.loads(path.read_text(encoding="utf-8"))
        if path.name == "config.json":
            value |= {"num_hidden_layers": LAYERS, "vocab_size": TOKENS}
        elif path.name == "tokenizer.json":
            value["model"] |= _first_tokens(value["model"])
        (folder / path.name).write_text(json.dumps(value), encoding="utf-8")
    start = "model.layers."
    kept = {
        name: x[:TOKENS].clone() if name in ("model.embed_tokens.weight", "lm_head.weight") else x
        for name, x in load_file(whole / "model.safetensors").items()
        if not name.startswith(start) or int(name.removeprefix(start).partition(".")[0]) < LAYERS
    }
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    manifest = json.loads((folder / "superpose.json").read_text(encoding="utf-8"))
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    (folder / "superpose.json").write_text(json.dumps(manifest), encoding="utf-8")


def _first_tokens(model: Mapping[str, Any]) -> dict[str, Any]:
    """Vocabulary and merges of a tokenizer whose merges stand in the order of their tokens."""
    vocabulary = {token: at for token, at in model["vocab"].items() if at < TOKENS}
    merges = [pair for pair in model["merges"] if "".join(pair) in vocabulary]
    return {"vocab": vocabulary, "merges": merges}


if __name__ == "__main__":
    keep_the_first(Path(sys.argv[1]))
