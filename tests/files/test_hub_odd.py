"""What is on the hub under a base model's name and is none, and names that are asked for twice."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.loopback_hub import TOKEN

from superpose.errors import BadInput, Missing
from superpose.files import embedded, locate
from superpose.files.base import locate_base, named_base, read_base_name
from superpose.files.hub import fetch_beside
from superpose.files.hub_base import cached_config
from superpose.files.hub_errors import hub_errors
from superpose.files.hub_name import HubName
from superpose.files.hub_upload import _card_taken, upload
from superpose.files.hub_wait import _Silence

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback_hub import Hub

ADAPTER = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"a"}


def test_an_adapter_where_a_base_model_is_asked_for_is_said_to_be_one(hub: Hub) -> None:
    hub.put("org/math", ADAPTER)
    with pytest.raises(BadInput, match=r"^org/math: .*adapter"):
        locate_base("org/math")
    assert hub.fetched == ["org/math/adapter_config.json"]


def test_of_a_configuration_alone_nothing_else_is_fetched(hub: Hub) -> None:
    hub.put("org/base", {"config.json": b"{}", "model.safetensors": b"large"})
    assert read_base_name("org/base").config().read_bytes() == b"{}"
    assert hub.fetched == ["org/base/config.json"]
    hub.put("org/data", {"README.md": b"none"})
    with pytest.raises(BadInput, match=r"org/data: holds no config\.json"):
        read_base_name("org/data").config()


def test_a_base_that_was_found_is_the_same_wherever_a_name_is_taken(
    hub: Hub, tmp_path: Path
) -> None:
    hub.put("org/base", {"config.json": b"{}", "model.safetensors": b"large"})
    found = locate_base("org/base@main")
    assert read_base_name(found) == found.meant
    assert (found.meant.name, found.meant.revision) == ("org/base", "main")
    (tmp_path / "config.json").write_bytes(b"{}")
    assert read_base_name(tmp_path).config() == tmp_path / "config.json"


def test_without_a_cache_no_configuration_is_there_and_no_client_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.delitem(sys.modules, "huggingface_hub")
    assert cached_config(HubName("org/base")) is None
    assert "huggingface_hub" not in sys.modules


def test_the_embedded_model_by_its_hub_name_is_at_hand_where_the_hubs_cache_has_it(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it is where it was converted, and that is in no cache of this test."""
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    meant = named_base(embedded.HUB_NAME)
    assert meant is not None
    assert meant.at_hand() is None
    hub.put(embedded.HUB_NAME, {"config.json": b"{}", "model.safetensors": b"large"})
    path = meant.config()
    assert meant.at_hand() == path.parent


@pytest.mark.parametrize("name", ["org/math", "org/math/adapter_model.safetensors"])
def test_what_lies_beside_an_adapter_is_fetched_by_either_of_its_names(name: str, hub: Hub) -> None:
    hub.put("org/math", {**ADAPTER, "chat_template.jinja": b"{{ x }}"})
    assert (fetch_beside(name, ["chat_template.jinja"]) / "chat_template.jinja").is_file()
    assert hub.fetched == ["org/math/chat_template.jinja"]


def test_a_status_that_nobody_expects_is_said(hub: Hub) -> None:
    hub.broken = 418
    with pytest.raises(BadInput, match=r"org/math: the hub refuses it \(418\)"):
        locate("org/math")


def test_a_file_that_the_repository_lacks_is_said_to_be_missing(hub: Hub) -> None:
    from huggingface_hub import hf_hub_download

    hub.put("org/math", ADAPTER)
    with (
        pytest.raises(BadInput, match="org/math/x: org/math has no such file"),
        hub_errors("org/math/x", HubName("org/math")),
    ):
        hf_hub_download("org/math", "x")


def test_of_what_the_hub_has_against_a_commit_only_the_card_is_told_as_the_cards() -> None:
    with (
        pytest.raises(BadInput, match=r"org/math: .*card README\.md: \"a\" is wrong; b is too"),
        _card_taken("org/math"),
    ):
        raise ValueError('Invalid metadata in README.md.\n- "a" is wrong\n- b is too')
    with pytest.raises(ValueError, match=r"^another$"), _card_taken("org/math"):
        raise ValueError("another")


@pytest.mark.usefixtures("hub")
def test_without_a_token_nothing_is_sent() -> None:
    with pytest.raises(Missing, match="there is no token") as caught:
        upload("org/math", HubName("org/math"), {}, message="m")
    assert "hf auth login" in str(caught.value)


def test_a_branch_that_is_not_there_is_made(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "a").write_bytes(b"1")
    to = HubName("org/math", revision="v2")
    upload("org/math@v2", to, {"a.txt": tmp_path / "a"}, message="m")
    branches = hub.repositories["org/math"].branches
    assert branches["v2"]["a.txt"] == b"1"
    assert "a.txt" not in branches["main"]


def test_on_a_terminal_a_silence_is_counted_from_the_request_until_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Elsewhere nobody would see that it waits; the limit is the same."""
    address = SimpleNamespace(host="127.0.0.1")
    request = SimpleNamespace(url=address, extensions={"timeout": {"read": None}})
    for terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=terminal: answer, raising=False)
        _Silence.begin(request)
        timer = _Silence.timer
        assert (timer is not None) == terminal
        assert set(request.extensions["timeout"].values()) == {_Silence.limit}
        _Silence.end()
        assert _Silence.timer is None
        assert timer is None or timer.finished.is_set()
