"""The build hook that brings plotly.js, which draws the charts of `--html` pages.

It is 1.5 MB that others wrote, so it is not in the repository: whatever builds superpose (a wheel,
an sdist or an editable install) puts it, with its licence, into `src/superpose/report/vendored`,
where it stays. The small bundle comes from npm's client where there is one; elsewhere pip brings
plotly's Python package, which holds the full bundle. Where neither answers, superpose is built
without it, with a warning: only pages with charts need it, and they say so.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src") / "superpose" / "report" / "vendored"
SCRIPT, LICENCE = "plotly.min.js", "plotly.LICENSE.txt"

NPM = "plotly.js-cartesian-dist-min@4.1.1"
NPM_SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"

WHEEL = "plotly==7.1.0"
WHEEL_SHA256 = "3b6e15d45dbb7fca5bd2094291e961ddc5472cd887009e6009a56dab668d721f"

PATIENCE = 120
"""Seconds that npm may take before the wheel is asked instead."""


class BringPlotly(BuildHookInterface):  # type: ignore[misc]
    """Puts plotly.js and its licence where the page's writer looks for them."""

    PLUGIN_NAME = "custom"
    npm_failed = False

    def dependencies(self) -> list[str]:
        """Give what the build needs beside hatchling: nothing once the script is there."""
        return [] if self._is_here() or self._from_npm() else [WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the script, unless it is there; warn where that is not possible.

        Raises RuntimeError for a script that is not the one that was pinned.
        """
        if not (self._is_here() or self._from_npm() or self._from_wheel()):
            self.app.display_warning(
                "built without plotly.js: neither npm nor the Python package plotly brought it; "
                "pages with charts will say so"
            )

    @property
    def _folder(self) -> Path:
        return Path(self.root) / FOLDER

    def _is_here(self) -> bool:
        script, licence = (self._folder / name for name in (SCRIPT, LICENCE))
        if not (script.is_file() and licence.is_file()):
            return False
        # Not one of another version, which an earlier build left.
        return hashlib.sha256(script.read_bytes()).hexdigest() in (NPM_SHA256, WHEEL_SHA256)

    def _from_npm(self) -> bool:
        """Take the cartesian bundle from npm; False where npm is missing or does not answer."""
        npm = shutil.which("npm")
        if npm is None or self.npm_failed:
            return False
        with tempfile.TemporaryDirectory() as scratch:
            command = [npm, "pack", "--silent", "--ignore-scripts", NPM]
            try:
                subprocess.run(
                    command, cwd=scratch, check=True, capture_output=True, timeout=PATIENCE
                )
            except (OSError, subprocess.SubprocessError):
                packed = None
            else:
                packed = next(Path(scratch).glob("*.tgz"), None)
            if packed is None:
                self.npm_failed = True  # and is not waited for a second time
                return False
            with tarfile.open(packed) as archive:
                script = _member(archive, "package/plotly-cartesian.min.js")
                licence = _member(archive, "package/LICENSE")
        self._put(script, NPM_SHA256, licence, NPM)
        return True

    def _from_wheel(self) -> bool:
        """Take the full bundle from plotly's Python package, which `dependencies` asked for.

        False where it is not installed, as without build isolation.
        """
        try:
            files = {str(path): path for path in distribution("plotly").files or ()}
        except PackageNotFoundError:
            return False
        script = files["plotly/package_data/plotly.min.js"]
        licence = next(path for name, path in files.items() if "licenses/LICENSE" in name)
        self._put(_bytes(script), WHEEL_SHA256, _bytes(licence), WHEEL)
        return True

    def _put(self, script: bytes, wanted: str, licence: bytes, source: str) -> None:
        if hashlib.sha256(script).hexdigest() != wanted:
            raise RuntimeError(f"plotly.js from {source} is not the file that was pinned")
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((LICENCE, licence), (SCRIPT, script)):  # the script says: all there
            beside = self._folder / f".{name}.part"
            beside.write_bytes(content)
            beside.replace(self._folder / name)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise RuntimeError(f"{name} is no file in {NPM}")
    return file.read()


def _bytes(path: Any) -> bytes:
    return Path(path.locate()).read_bytes()
