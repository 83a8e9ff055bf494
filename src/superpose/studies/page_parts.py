"""What a study's folder holds beside its summary that a page of it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.studies.folder import DOMAINS
from superpose.studies.forecasting import check_file, forecast_file
from superpose.studies.run import Study

__all__ = ["PageParts", "page_parts"]


@dataclass(frozen=True)
class PageParts:
    """By seed: `check --json` of the adapters, the forecast (none without), where adapters lie.

    data: (domain, its rows in words, fingerprint of its test rows).
    """

    checks: dict[int, Any]
    forecasts: dict[int, Any]
    adapters: dict[int, list[str]]
    data: list[tuple[str, str, str]]


def page_parts(study: Study, seeds: Sequence[int]) -> PageParts:
    """Read the parts of finished seeds. Raises BadInput where a file of the study is damaged."""
    folder = study.folder
    held = [seed for seed in seeds if (folder.path / forecast_file(seed)).exists()]
    return PageParts(
        checks={seed: _renamed(folder.read(check_file(seed))) for seed in seeds},
        forecasts={seed: folder.read(forecast_file(seed)) for seed in held},
        adapters={
            seed: [str(study.adapter_path(name, seed)) for name in study.spec.domains]
            for seed in seeds
        },
        data=[_data(study, name, notes) for name, notes in folder.read(DOMAINS).items()],
    )


def _renamed(check: Mapping[str, Any]) -> dict[str, Any]:
    """Give a kept check whose figures have the names that they have today."""

    def called(record: Mapping[str, Any], was: str, now: str) -> dict[str, Any]:
        return {now if key == was else key: value for key, value in record.items()}

    pairs = [
        called(pair, "floor", "rms_cosine_floor")
        | {"modules": [called(module, "floor", "cosine_floor") for module in pair["modules"]]}
        for pair in check["pairs"]
    ]
    adapters = [called(adapter, "modules", "module_count") for adapter in check["adapters"]]
    return {**check, "adapters": adapters, "pairs": pairs}


def _data(study: Study, name: str, notes: dict[str, int]) -> tuple[str, str, str]:
    kinds = ("train", "test", "calibration")
    rows = ", ".join(f"{notes[f'{kind}_rows']} {kind}" for kind in kinds if f"{kind}_rows" in notes)
    return name, f"{rows} rows", study.folder.test_fingerprint(name)[:12]
