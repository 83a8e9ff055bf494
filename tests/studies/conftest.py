"""A tiny study that has run, made once."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
from tests.conftest import write_questions
from tests.studies.tiny import tiny_spec

from superpose.studies.results import write_results
from superpose.studies.run import Study


@pytest.fixture(scope="session")
def finished(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of two seeds that has run, with its table and summary. Its answers are cut."""
    folder = tmp_path_factory.mktemp("finished")
    spec = tiny_spec(tiny_base, write_questions(folder), prompt={"max_tokens": 48})
    study = Study(spec, folder / "run")
    study.run()
    write_results(study.folder, spec, study.cells)
    return study


@pytest.fixture
def copied(finished: Study, tmp_path: Path) -> Study:
    """The same study in a folder of the test's own."""
    copytree(finished.folder.path, tmp_path / "run")
    return Study(finished.spec, tmp_path / "run")
