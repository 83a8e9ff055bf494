"""Small files beside tensors: how much of one is read, and which of a folder's are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from superpose.errors import BadInput, Refused
from superpose.files.header import parse_header
from superpose.files.json_values import read_json
from superpose.files.own import own_files_below
from superpose.files.pickles import check_pointer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def test_a_configuration_of_a_huge_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"a": 1}')
    assert read_json(path, 8) == {"a": 1}
    with pytest.raises(BadInput, match="is far too large: 7 bytes are read") as caught:
        read_json(path, 7)
    assert caught.value.where == str(path)


def test_a_header_that_is_a_list_is_no_header() -> None:
    with pytest.raises(BadInput, match="is not a JSON object"):
        parse_header(b"[1, 2]", 0)


def test_the_files_below_a_folder_are_given_and_its_folders_are_not(tmp_path: Path) -> None:
    inner = tmp_path / "own/deep/er"
    inner.mkdir(parents=True)
    (tmp_path / "own/a").touch()
    (inner / "b").touch()
    assert [*own_files_below(tmp_path / "own", tmp_path)] == [tmp_path / "own/a", inner / "b"]
    (tmp_path / "own/back").symlink_to(tmp_path / "own")
    with pytest.raises(BadInput, match="back: is no regular file"):
        list(own_files_below(tmp_path / "own", tmp_path))
    (tmp_path / "own/back").unlink()
    (tmp_path / "own/out").symlink_to("/etc/hostname")
    with pytest.raises(Refused, match="is a link out of its folder"):
        list(own_files_below(tmp_path / "own", tmp_path))


def test_a_pointer_of_git_lfs_is_told_from_other_files_and_from_folders(tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.bin"
    path.write_bytes(POINTER)
    with pytest.raises(BadInput, match="Git LFS pointer"):
        check_pointer(path)
    path.write_bytes(b"\x80\x02")
    for other in (path, tmp_path, tmp_path / "none"):
        check_pointer(other)
