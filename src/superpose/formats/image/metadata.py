"""What a written file's metadata says: what its parents agree on, and what is true of the sum.

kohya's tools keep the training's settings under `ss_...`, and a hash of the tensors under
`sshs_model_hash`, by which web interfaces know a file. Source: sd-scripts, `library/model_util.py`
and `train_util.py` (build_minimum_network_metadata, precalculate_safetensors_hashes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from superpose.adapter import Adapter
from superpose.files.file_format import KOHYA
from superpose.formats.expanded import Array
from superpose.formats.image.scaling import CONFIGURATION
from superpose.formats.noted import KEY, note_of

# Untrue of a sum: kohya's hash of a whole file, arguments of another algorithm's training.
_DROPPED = ("sshs_legacy_hash", "ss_network_args", CONFIGURATION)
_MODEL_SPEC_HASH = "modelspec.hash_sha256"


def written_metadata(
    adapter: Adapter,
    ranks: Mapping[str, int],
    tensors: Mapping[str, Array],
    rounding_error: float,
    configuration: Mapping[str, object],
) -> dict[str, str]:
    """Give the metadata of a file.

    ranks: of its factors, by module; alpha equals rank. tensors: as they lie in the file.
    rounding_error: of the file, for superpose's note. configuration: diffusers' own; empty: none.
    """
    kept = {key: text for key, text in adapter.metadata.items() if key not in _DROPPED}
    if adapter.format == KOHYA.name:
        same = {str(rank) for rank in ranks.values()}
        dim = same.pop() if len(same) == 1 else "Dynamic"
        digest = tensors_hash(tensors)
        kept |= {
            "ss_network_module": "networks.lora",
            "ss_network_dim": dim,
            "ss_network_alpha": f"{dim}.0" if dim.isdigit() else dim,
            "sshs_model_hash": digest,
        }
        if _MODEL_SPEC_HASH in kept:
            kept[_MODEL_SPEC_HASH] = f"0x{digest}"
    else:
        kept["format"] = "pt"
        if configuration:
            kept[CONFIGURATION] = json.dumps(configuration, indent=2, sort_keys=True)
    return {**kept, KEY: note_of(adapter, rounding_error)}


def tensors_hash(tensors: Mapping[str, Array]) -> str:
    """Give the SHA-256 of the tensors' bytes in the order of the file, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in tensors.values():
        digest.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def in_file_order(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Give the tensors in the order in which the safetensors library writes them.

    By dtype, the widest first, then by name: kohya's hash is of the bytes in that order.
    """
    return dict(sorted(tensors.items(), key=lambda item: (_ORDER[item[1].dtype.name], item[0])))


_ORDER = {"float64": 0, "float32": 1, "bfloat16": 2, "float16": 3}
