"""The settings that a study's folder keeps, read without torch."""

from __future__ import annotations

from pathlib import Path

from superpose.errors import BadInput
from superpose.executor import WorkFolder
from superpose.studies.spec import StudySpec, spec_of

__all__ = ["SETTINGS", "SUMMARY", "kept_settings"]

SETTINGS, SUMMARY = "settings.json", "summary.json"
"""What stood in the study file when the study ran last; what it found."""


def kept_settings(folder: Path) -> StudySpec:
    """Give the settings that the study in a folder ran with last.

    Raises BadInput for a folder of anything else, and for settings that this version does not know.
    """
    for name in (SETTINGS, SUMMARY):  # a folder that is older than its settings has them there
        if (path := folder / name).exists():
            content = WorkFolder(folder, "study").read(name)
            return spec_of(content.get("settings") if name == SUMMARY else content, path)
    raise BadInput(
        "this folder holds no study",
        where=folder,
        hint="Give the study file, or the folder that --out named.",
    )
