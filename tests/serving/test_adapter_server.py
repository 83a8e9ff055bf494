"""A request that names a sum is given that sum: exact, made once, and from nowhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from tests.serving.conftest import BASE, deltas, dense_sum, rank_of

from superpose.errors import BadInput, DifferentBase, Refused
from superpose.serving import AdapterServer
from superpose.serving.adapter_server import UnknownAdapter
from superpose.serving.sum_cache import CacheTrouble

Server = Callable[..., AdapterServer]


@pytest.mark.parametrize(
    ("request_name", "weights", "rank"),
    [
        ("math", {"math": 1.0}, 8),
        ("math:0.5", {"math": 0.5}, 8),
        ("math+0.5*medicine", {"math": 1.0, "medicine": 0.5}, 8),
        ("math+-1*team/law", {"math": 1.0, "team/law": -1.0}, 8),
        ("math + 0.25*medicine - team/law", {"math": 1, "medicine": 0.25, "team/law": -1}, 16),
        ("1e-3*math", {"math": 1e-3}, 8),
    ],
)
def test_a_request_is_given_the_exact_sum_at_a_rank_that_the_server_takes(
    server: Server, folder: Path, request_name: str, weights: dict[str, float], rank: int
) -> None:
    served = server().serve(BASE, request_name)
    assert served is not None
    found, expected = deltas(served.path), dense_sum(folder, weights)
    assert found.keys() == expected.keys()
    for module, delta in expected.items():
        assert np.abs(found[module] - delta).max() <= 1e-6 * np.abs(delta).max()
    assert rank_of(served.path) == rank


def test_one_sum_is_made_once_in_whatever_words_it_is_asked_for(server: Server) -> None:
    one = server()
    first = one.serve(BASE, "math+0.5*medicine")
    again = one.serve(BASE, "0.50 * medicine + math")
    anew = server().serve(BASE, "math + 5e-1*medicine")  # another process finds it there
    other = one.serve(BASE, "math+0.6*medicine")
    assert first
    assert again
    assert anew
    assert other
    assert (first.made, again.made, anew.made, other.made) == (True, False, False, True)
    assert first.path == again.path == anew.path != other.path


def test_an_adapter_that_was_trained_anew_is_another_sum(server: Server, folder: Path) -> None:
    one = server()
    before = one.serve(BASE, "math+medicine")
    shutil.rmtree(folder / "math")
    shutil.copytree(folder / "team/law", folder / "math")
    after = one.serve(BASE, "math+medicine")
    assert before
    assert after
    assert after.made
    expected = dense_sum(folder, {"team/law": 1.0, "medicine": 1.0})
    for module, delta in deltas(after.path).items():
        assert np.allclose(delta, expected[module], rtol=1e-6)


def test_many_who_ask_for_one_new_sum_at_once_are_given_one(server: Server) -> None:
    one, start = server(), Barrier(8)

    def ask(_: int) -> tuple[Path, bool]:
        start.wait()
        served = one.serve(BASE, "math+0.5*medicine+team/law")
        assert served is not None
        assert (served.path / "adapter_model.safetensors").is_file()
        return served.path, served.made

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len({path for path, _ in found}) == 1
    assert sum(made for _, made in found) == 1


@pytest.mark.parametrize("name", ["nobody", "nobodys/adapter", "a b", "", "  "])
def test_a_plain_name_that_is_none_of_ours_is_left_to_others(server: Server, name: str) -> None:
    assert server().serve(BASE, name) is None


@pytest.mark.parametrize(
    ("request_name", "said"),
    [
        ("../outside/secret", "leads out of the server's folders"),
        ("math + ../outside/secret", "leads out of the server's folders"),
        ("math+team/../../outside/secret", "leads out of the server's folders"),
        ("math+'team/..'", "leads out of the server's folders"),
        ("/etc/passwd", "is a path of the server's machine"),
        ("math+/etc/passwd", "is a path of the server's machine"),
        ("math+~/secret", "is a path of the server's machine"),
        (r"math+..\outside", "leads out of the server's folders"),
        (r"math+\\host\share", "is a path of the server's machine"),
        ("link", "is a link that leads out of the server's folders"),
        ("math+0.5*link", "is a link that leads out of the server's folders"),
        ("math+linked", "linked/adapter_model.safetensors: is a link that leads out"),
        ("math\x00", "has a control character in it"),
        ("math\n+medicine", "has a control character in it"),
        ("math\u202e", "has a control character in it"),
        ("math+" * 400 + "math", "at most 1,000 are read"),
        ("math+" + "x" * 256, "has a part that is too long for any file"),
        ("https://example.org/a/b", "names no place in a repository of the hub"),
        ("math+hf://org/stranger", "this server fetches nothing of org/stranger"),
    ],
)
def test_no_name_of_a_request_leads_out_of_what_is_allowed(
    server: Server, folder: Path, tmp_path: Path, request_name: str, said: str
) -> None:
    (folder / "link").symlink_to(tmp_path / "outside/secret")
    shutil.copytree(folder / "math", folder / "linked")
    weights = folder / "linked/adapter_model.safetensors"
    weights.unlink()
    weights.symlink_to(tmp_path / "outside/secret/adapter_model.safetensors")
    with pytest.raises(BadInput, match=said) as refused:
        server().serve(BASE, request_name)
    assert str(tmp_path) not in str(refused.value)
    assert not (tmp_path / "kept").exists()


def test_a_link_inside_the_folders_is_followed(server: Server, folder: Path) -> None:
    (folder / "alias").symlink_to(folder / "math")
    served = server().serve(BASE, "alias+medicine")
    assert served is not None
    again = server().serve(BASE, "math+medicine")
    assert again is not None
    assert again.path == served.path


@pytest.mark.parametrize(
    ("request_name", "error", "said"),
    [
        ("math+nobody", UnknownAdapter, "this server has no adapter called `nobody`"),
        ("nobody:0.5", UnknownAdapter, "this server has no adapter called `nobody`"),
        ("math+org/nobody", UnknownAdapter, "this server has no adapter called `org/nobody`"),
        ("math+half*medicine", BadInput, r"`half` before the \* is no task weight"),
        ("math+0,5*medicine", BadInput, r"`0,5` before the \* is no task weight"),
        ("math+nan*medicine", BadInput, r"`nan` before the \* is no task weight"),
        ("math+1e999*medicine", BadInput, "`1e999` is no finite task weight"),
        ("math+", BadInput, "an adapter's name is missing"),
        ("math+other", DifferentBase, "is an adapter of org/quite-another"),
        ("other", DifferentBase, "is an adapter of org/quite-another"),
        ("+".join(["math", "medicine", "team/law"] * 2), Refused, "has rank 18, and the server"),
        ("math+empty", BadInput, "empty"),
        ("math+cut", BadInput, "cut"),
        ("math+dora", Refused, "dora"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name_and_the_server_goes_on(
    server: Server, folder: Path, tmp_path: Path, request_name: str, error: type, said: str
) -> None:
    (folder / "empty").mkdir()
    shutil.copytree(folder / "math", folder / "cut")
    os.truncate(folder / "cut/adapter_model.safetensors", 100)
    shutil.copytree(folder / "math", folder / "dora")
    config = folder / "dora/adapter_config.json"
    config.write_text(config.read_text().replace("{", '{"use_dora": true, ', 1))
    one = server()
    with pytest.raises(error, match=said) as refused:
        one.serve(BASE, request_name)
    assert str(tmp_path) not in str(refused.value)
    assert not list((tmp_path / "kept").glob("sums/*"))
    assert one.serve(BASE, "math+medicine") is not None


def test_base_models_of_different_names_are_one_where_the_operator_says_so(server: Server) -> None:
    assert server(same_base=True).serve("/srv/models/llama", "math+other") is not None


def test_a_sum_that_does_not_fit_the_servers_model_is_refused(
    server: Server, tiny_base: Path
) -> None:
    with pytest.raises(Refused, match="does not fit the server's model"):
        server(same_base=True).serve(str(tiny_base), "math+medicine")


def test_a_server_of_a_larger_rank_takes_what_another_refuses(server: Server) -> None:
    long = "+".join(["math", "medicine", "team/law"] * 2)
    with pytest.raises(Refused, match="SUPERPOSE_MAX_LORA_RANK"):
        server(max_rank=16).serve(BASE, long)
    served = server(max_rank=32).serve(BASE, long)
    assert served is not None
    assert rank_of(served.path) == 32
    with pytest.raises(Refused, match="at most 16"):
        server(max_rank=16).serve(BASE, long)  # though another keeps it in the same folder


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_the_servers_trouble_as_a_user(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir(mode=0o500)
    with pytest.raises(CacheTrouble, match="cannot be written: Permission denied"):
        server().serve(BASE, "math+medicine")


def test_a_folder_that_cannot_be_written_is_the_servers_trouble(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(CacheTrouble, match="the server's folder of sums cannot be written"):
        server().serve(BASE, "math+medicine")


def test_a_disk_that_takes_no_more_is_the_servers_trouble_and_nothing_half_written_is_left(
    server: Server, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")  # of Unix
    one = server()
    kept = one.serve(BASE, "math")  # loads all that another sum takes
    assert kept is not None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))  # bytes that a file may have
    try:
        with pytest.raises(CacheTrouble, match="sums cannot be written: File too large") as full:
            one.serve(BASE, "math+medicine")
        assert one.serve(BASE, "math") is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path) not in str(full.value)
    assert list((tmp_path / "kept/sums").iterdir()) == [kept.path]
    assert one.serve(BASE, "math+medicine") is not None
