"""Pickles: loading one can run code, so none is opened here, and the command that converts one."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

from superpose.errors import BadInput
from superpose.files.json_values import LFS_START, lfs_pointer

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""How the names of PyTorch's pickles end."""

# Each tensor by itself and in rows: safetensors takes neither tensors that share memory (tied
# layers) nor views whose values lie in another order.
_CONVERT = """superpose opens no pickle: loading one can run code. If you trust it, convert it once:
  python -c "import sys, torch, safetensors.torch as s; \
s.save_file({k: v.contiguous().clone() for k, v in torch.load(sys.argv[1] + '/%s', \
map_location='cpu', weights_only=True).items()}, \
sys.argv[1] + '/%s', metadata={'format': 'pt'})" %s"""


def conversion(old: str, new: str, folder: str = "FOLDER") -> str:
    """Give the text that tells how to write the tensors of a pickle as safetensors.

    old, new: names of the two files in a folder. folder: as a shell takes it.
    """
    return _CONVERT % (old, new, folder)


def check_pointer(path: Path) -> None:
    """Raise BadInput when Git LFS left a pointer in place of a file, whatever its name says."""
    start = b""
    with suppress(OSError):  # what cannot be read is somebody else's to say
        if path.is_file():
            with path.open("rb") as file:
                start = file.read(len(LFS_START))
    if start == LFS_START:
        raise lfs_pointer(path)


def refused_pickle(path: Path, given: object) -> BadInput:
    """Give the refusal of a file here that was given as an adapter, with its conversion."""
    check_pointer(path)
    folder = shlex.quote(str(path.absolute().parent))
    return BadInput(
        "is a pickle",
        where=given,
        hint=conversion(path.name, f"{path.stem}.safetensors", folder),
    )
