"""A study as its folder keeps it: for its tables and its page again, without base or rows."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from superpose.errors import BadInput
from superpose.studies.folder import SETTINGS, SUMMARY, StudyFolder
from superpose.studies.forecasting import forecast_file
from superpose.studies.run import Study
from superpose.studies.spec import spec_of

__all__ = ["KeptStudy", "kept_study"]


class KeptStudy(Study):
    """A study that is only looked at: what it has is what lies in its folder."""

    @cached_property
    def has_forecast(self) -> bool:
        """Whether a seed's forecast lies here."""
        files = map(forecast_file, self.spec.seeds)
        return any((self.folder.path / file).exists() for file in files)


def kept_study(folder: Path) -> KeptStudy:
    """Open the study that a folder holds, with the settings that it ran with last.

    Raises BadInput for a folder of anything else, and for settings that this version does not know.
    """
    for name in (SETTINGS, SUMMARY):  # a folder that is older than its settings has them there
        if (path := folder / name).exists():
            content = StudyFolder(folder).read(name)
            settings = content.get("settings") if name == SUMMARY else content
            return KeptStudy(spec_of(settings, path), folder)
    raise BadInput(
        "this folder holds no study",
        where=folder,
        hint="Give the study file, or the folder that --out named.",
    )
