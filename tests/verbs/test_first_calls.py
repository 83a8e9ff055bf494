"""What one types first at a Python prompt works, with names and with adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import WriteAdapter

import superpose
from superpose.errors import BadInput, OutputExists


@pytest.fixture
def here(write_adapter: WriteAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, name in enumerate(("math", "medicine")):
        write_adapter(name, seed=seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_cosine_of_names_is_that_of_the_adapters(here: Path) -> None:
    math, medicine = superpose.load("math"), superpose.load("medicine")
    expected = math.cosine(medicine)
    assert -1.0 < expected < 1.0
    assert expected != 0.0
    pairs = [("math", "medicine"), (math, "medicine"), (Path("math"), medicine), (math, medicine)]
    assert {superpose.cosine(a, b) for a, b in pairs} == {expected}


def test_an_adapter_saves_itself_as_save_does(here: Path) -> None:
    both = superpose.load("math") + 0.5 * superpose.load("medicine")
    written = both.save("one", dtype="float64")
    superpose.save(both, "other", dtype="float64")
    assert written.path == Path("one")
    for file in sorted(Path("other").iterdir()):
        assert (Path("one") / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(OutputExists):
        both.save("one")
    both.save("one", force=True)
    assert superpose.diff(both, "one").same


def test_what_is_no_adapter_is_said_where_one_is_asked_for(here: Path) -> None:
    math = superpose.load("math")
    for other in ("medicine", None, 5):
        with pytest.raises(BadInput, match="is no Adapter"):
            math.cosine(other)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="is no Adapter"):
            math.inner(other)  # type: ignore[arg-type]


@pytest.mark.parametrize("base", ["/", "math"])
def test_a_folder_that_is_no_base_is_refused_also_where_none_is_needed(
    here: Path, base: str
) -> None:
    for call in (
        lambda: superpose.add(["math", "medicine"], "out", base=base),
        lambda: superpose.check("math", "medicine", base=base),
        lambda: superpose.load("math", base=base),
    ):
        with pytest.raises(BadInput, match=r"holds no config\.json|is an adapter"):
            call()
    assert not Path("out").exists()
