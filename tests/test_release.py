"""What a release says of itself is said alike everywhere."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from pathlib import Path

import yaml
from scripts.dist_holds import shortfalls

import superpose

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_the_same_in_the_package_the_citation_and_the_changelog() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == superpose.__version__
    newest = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest is not None
    assert newest[1].partition(",")[0] == superpose.__version__


def test_the_citation_has_what_its_format_asks_for_and_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    paper = citation["references"][0]
    assert {"type", "title", "authors", "year", "url"} <= set(paper)
    assert "2508.11985" in paper["url"]


def test_a_wheel_that_lacks_a_file_or_brings_a_stray_one_is_told(tmp_path: Path) -> None:
    about = f"Metadata-Version: 2.4\nName: superpose\nVersion: {superpose.__version__}\n\nWords."
    with zipfile.ZipFile(tmp_path / "superpose.whl", "w") as wheel:
        wheel.writestr("superpose.dist-info/METADATA", about)
        wheel.writestr("superpose/stray.py", "")
        wheel.writestr("tests/stray.py", "")
    with tarfile.open(tmp_path / "superpose.tar.gz", "w:gz") as sdist:
        sdist.addfile(tarfile.TarInfo("superpose/notes.txt"), io.BytesIO())
    told = []
    for each in shortfalls(tmp_path):
        told.append(each)
        if "notes.txt" in each:
            break
    for expected in (
        "superpose/errors.py is not in it",
        "superpose/stray.py is no file of ours",
        "tests/stray.py would lie beside the package",
        "superpose/py.typed is not in it",
        "its extras are not those of pyproject.toml",
        "its description is not README.md",
        "Makefile is not in it",
        "notes.txt is no file of ours",
    ):
        assert any(expected in each for each in told), expected
