"""What a study's folder holds beside its summary that a page of it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from superpose.studies.folder import DOMAINS
from superpose.studies.forecasting import check_file, forecast_file
from superpose.studies.former_names import check_today, forecast_today
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
        checks={seed: check_today(folder.read(check_file(seed))) for seed in seeds},
        forecasts={seed: forecast_today(folder.read(forecast_file(seed))) for seed in held},
        adapters={
            seed: [str(study.adapter_path(name, seed)) for name in study.spec.domains]
            for seed in seeds
        },
        data=[_data(study, name, notes) for name, notes in folder.read(DOMAINS).items()],
    )


def _data(study: Study, name: str, notes: dict[str, int]) -> tuple[str, str, str]:
    kinds = ("train", "test", "calibration")
    rows = ", ".join(f"{notes[f'{kind}_rows']} {kind}" for kind in kinds if f"{kind}_rows" in notes)
    return name, f"{rows} rows", study.folder.test_fingerprint(name)[:12]
