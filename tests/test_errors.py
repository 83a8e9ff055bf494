"""What messages are made of: lists that say how much they leave out, and errors that know where."""

from __future__ import annotations

from pathlib import Path

import pytest

from superpose.errors import BadInput, Refused, bullets, listed, missing_extra, placed


def test_names_and_reasons_beyond_a_few_are_counted() -> None:
    assert listed(["a"]) == "`a`"
    assert listed(["a", "b"]) == "`a` and 1 more"
    assert listed(["a", "b", "c"], 3, "{}") == "a, b, c"
    assert listed([str(n) for n in range(5000)], 2) == "`0`, `1` and 4,998 more"
    assert bullets(["x", "y"]) == "\n  - x\n  - y"
    assert bullets(["x", "y", "z"], 1) == "\n  - x\n  - and 2 more"


def test_an_error_is_about_the_file_that_its_reader_did_not_know() -> None:
    with (
        pytest.raises(BadInput, match=r"^f: module `m`: is odd\nTry g\.$"),
        placed("f", "module `m`:"),
    ):
        raise BadInput("is odd", hint="Try g.")
    with pytest.raises(Refused, match=r"^f \(use_dora\): no$"), placed("f"):
        raise Refused("no", where="use_dora")
    with pytest.raises(BadInput, match="f: cannot be read: No such file"), placed("f"):
        Path("/nowhere/at/all").read_bytes()


@pytest.mark.parametrize(
    ("module", "said", "extra"),
    [
        ("sklearn.utils", "scikit-learn", "extract"),
        ("gguf", "gguf", "gguf"),
        (None, "a package", "study"),
    ],
)
def test_a_missing_package_is_called_as_it_is_installed(
    module: str | None, said: str, extra: str
) -> None:
    error = missing_extra(module, "this")
    assert error.problem == f"this needs {said}, which is not installed"
    assert error.hint is not None
    assert f'"superpose[{extra}]"' in error.hint
