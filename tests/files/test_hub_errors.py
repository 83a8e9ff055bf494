"""What the hub says no to, and what it could not be asked: by name, with what to do."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from superpose.errors import BadInput, Missing
from superpose.files import locate
from superpose.files.hub_wait import VARIABLE

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.conftest import Superpose, WriteAdapter
    from tests.loopback_hub import Hub

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": b""}


def refused(name: str) -> str:
    with pytest.raises(BadInput) as caught:
        locate(name)
    assert caught.value.where == name
    return str(caught.value)


@pytest.mark.usefixtures("hub")
def test_a_repository_that_is_not_there_is_bad_input_with_both_meanings() -> None:
    said = refused("org/nothing")
    assert "is no folder here, and the hub has no repository org/nothing" in said
    assert "`hf auth login`" in said


@pytest.mark.usefixtures("hub")
def test_an_address_is_never_taken_for_a_folder() -> None:
    said = refused("https://huggingface.co/org/nothing")
    assert "the hub has no repository org/nothing" in said
    assert "folder here" not in said


def test_a_private_repository_is_shown_to_holders_of_a_token_only(
    hub: Hub, monkeypatch: Any
) -> None:
    hub.put("org/mine", FILES).private = True
    assert "or does not show it to you" in refused("org/mine")
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_tests")
    assert locate("org/mine").is_dir()


def test_a_token_that_the_hub_does_not_know_is_said(hub: Hub, monkeypatch: Any) -> None:
    hub.put("org/math", FILES)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    assert "the hub does not accept your token" in refused("org/math")


def test_a_gated_repository_names_the_page_where_access_is_asked_for(hub: Hub) -> None:
    hub.put("org/math", FILES).gated = True
    said = refused("org/math")
    assert "is gated on the hub" in said
    assert f"{hub.address}/org/math" in said


def test_a_revision_that_is_not_there_is_named(hub: Hub) -> None:
    hub.put("org/math", FILES)
    assert "org/math has no revision `v9`" in refused("org/math@v9")


def test_a_folder_behind_the_revision_is_told_where_it_belongs(hub: Hub) -> None:
    hub.put("org/math", FILES)
    assert "The revision stands last: org/math/runs/best@v1" in refused("org/math@v1/runs/best")


@pytest.mark.usefixtures("hub")
def test_a_name_that_breaks_the_hubs_own_rules_is_bad_input() -> None:
    assert "no name of the hub" in refused("org/a--b")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_is_busy_or_down_could_not_be_asked(status: int, hub: Hub) -> None:
    hub.broken = status
    with pytest.raises(Missing, match=rf"too busy or down \({status}\)") as caught:
        locate("org/math")
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("hub")
def test_a_hub_out_of_reach_could_not_be_asked(monkeypatch: Any) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Missing, match=r"the hub cannot be reached \(.+\)") as caught:
        locate("org/math")
    assert "the hub is http://127.0.0.1:9 (HF_ENDPOINT)" in str(caught.value)


@pytest.mark.usefixtures("hub")
def test_a_hub_that_takes_the_call_and_says_nothing_is_not_waited_for_beyond_the_limit(
    monkeypatch: Any,
) -> None:
    from huggingface_hub import constants, hf_api

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(hf_api.api, "endpoint", constants.ENDPOINT)
        monkeypatch.setenv(VARIABLE, "0.5")
        told = rf"did not answer within 0\.5 s \(--hub-timeout and {VARIABLE} "
        with pytest.raises(Missing, match=told):
            locate("org/silent")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("bytes_at_once", "told"),
    [
        (1, r"sends less than 1,000 bytes a second over 0\.5 s \("),
        (400, "the hub's answer is not understood"),  # four thousand spaces, in a second
    ],
)
def test_a_hub_that_sends_a_byte_now_and_then_is_not_waited_for_for_ever(
    monkeypatch: Any, bytes_at_once: int, told: str
) -> None:
    """A limit of silence alone is never reached; what comes quicker is read to its end."""
    from huggingface_hub import constants, hf_api

    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    ended = threading.Event()

    def drip(hub: socket.socket) -> None:
        with suppress(OSError):
            while not ended.is_set():
                caller, _ = hub.accept()
                threading.Thread(target=each, args=(caller,), daemon=True).start()

    def each(caller: socket.socket) -> None:
        with caller, suppress(OSError):
            caller.recv(65536)
            caller.sendall(head)
            while not ended.wait(0.1):
                caller.sendall(b" " * bytes_at_once)

    with socket.create_server(("127.0.0.1", 0)) as hub:
        threading.Thread(target=drip, args=(hub,), daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{hub.getsockname()[1]}")
        monkeypatch.setattr(hf_api.api, "endpoint", constants.ENDPOINT)
        monkeypatch.setenv(VARIABLE, "0.5")
        with pytest.raises(Missing, match=told):
            locate("org/dripping")
        ended.set()


@pytest.mark.parametrize("limit", ["soon", "0", "-1", "inf", "nan"])
def test_a_limit_that_is_no_number_of_seconds_is_bad_input(limit: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(VARIABLE, limit)
    with pytest.raises(BadInput, match=f"{VARIABLE} is '{limit}', no number of seconds above 0"):
        locate("org/math")


def test_offline_a_name_that_the_cache_lacks_could_not_be_asked(hub: Hub, monkeypatch: Any) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Missing, match="HF_HUB_OFFLINE forbids asking"):
        locate("org/math")
    assert hub.asked == []


def test_a_cache_that_cannot_be_written_is_bad_input(
    hub: Hub, tmp_path: Path, monkeypatch: Any
) -> None:
    from huggingface_hub import constants

    hub.put("org/math", FILES)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file/hub"))
    assert "the hub's cache takes it not: Not a directory" in refused("org/math")


def test_the_command_line_ends_with_2_for_no_and_3_for_no_answer(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    hub.put("org/math", {path.name: path.read_bytes() for path in folder.iterdir()})
    found = superpose("info", "hf://org/math", "--json")
    assert found.returncode == 0, found.stderr
    assert '"path": "org/math"' in found.stdout
    assert found.stderr == ""  # no bars of the client's where nobody sees them
    nothing = superpose("info", "org/nothing")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr.startswith("error: org/nothing: is no folder here")
    hub.put("org/empty", {})
    empty = superpose("info", "org/empty")
    assert (empty.returncode, empty.stderr.count("\n")) == (2, 1)
    hub.broken = 503
    down = superpose("info", "org/other")
    assert (down.returncode, down.stdout) == (3, "")
    assert down.stderr.startswith("error: org/other: is no folder here")
