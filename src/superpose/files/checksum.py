"""The fingerprint of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file's bytes, in hexadecimal; raises OSError as the system does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
