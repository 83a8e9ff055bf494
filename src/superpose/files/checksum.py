"""The fingerprint of a file."""

from __future__ import annotations

from pathlib import Path


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file's bytes, in hexadecimal; raises OSError as the system does."""
    import hashlib  # OpenSSL's, which most commands never ask for

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
