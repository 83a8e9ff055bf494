"""What is exact is the same to the bit with any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter


@pytest.mark.parametrize("options", [[], ["--weights", "0.3,-1.7"], ["--dtype", "float16"]])
def test_an_exact_sum_is_the_same_bytes_with_any_number_of_threads(
    options: list[str], write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    """In processes of their own: a library of linear algebra reads the number when it is loaded."""
    names = [write_adapter(name, seed=n, rank=8, width=512) for n, name in enumerate("xy")]
    found = []
    for threads in ("1", "2", "7"):
        out = tmp_path / threads / "sum"
        out.parent.mkdir()
        subprocess.run(
            [sys.executable, "-m", "superpose", "add", *names, "-o", out, *options],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
        )
        found.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert "adapter_model.safetensors" in found[0]
    assert found[0] == found[1] == found[2]
