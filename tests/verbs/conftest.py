from __future__ import annotations

from pathlib import Path

import pytest

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")


@pytest.fixture
def adapters(write_adapter, tmp_path: Path) -> list[Path]:  # type: ignore[no-untyped-def]
    """Two adapters of the tiny base that change its loss by a few per cent."""
    return [
        write_adapter(
            name, seed=seed, modules=MODULES, width=32, alpha=0.1, base_model="tiny-llama"
        )
        for seed, name in enumerate(("sums", "coins"))
    ]


@pytest.fixture
def here(adapters: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters lie in the working folder, as `sums` and `coins`."""
    monkeypatch.chdir(tmp_path)
