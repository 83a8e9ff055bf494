"""Of the hub, a server fetches what its operator's owners have, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.serving.conftest import BASE, deltas, dense_sum

from superpose.errors import BadInput, Missing, Refused
from superpose.serving import AdapterServer
from superpose.serving.adapter_server import UnknownAdapter

if TYPE_CHECKING:
    from tests.loopback_hub import Hub

OWNERS = frozenset({"org", "other/only"})


@pytest.fixture
def stocked(hub: Hub, folder: Path) -> Hub:
    for name in ("org/adapter", "other/only", "other/more", "org/bare"):
        hub.put(name, {p.name: p.read_bytes() for p in (folder / "medicine").iterdir()})
    hub.put("org/bare", {"README.md": b"nothing here"})
    return hub


@pytest.mark.parametrize(
    "name", ["org/adapter", "Org/adapter@main", "hf://org/adapter", "other/only"]
)
def test_an_adapter_of_an_allowed_owner_is_added(
    stocked: Hub, folder: Path, server: Callable[..., AdapterServer], name: str
) -> None:
    if name.startswith("Org"):
        stocked.put("Org/adapter", dict(stocked.repositories["org/adapter"].at("main")))
    served = server(owners=OWNERS).serve(BASE, f"math+0.5*{name}")
    assert served is not None
    expected = dense_sum(folder, {"math": 1.0, "medicine": 0.5})
    for module, delta in deltas(served.path).items():
        assert np.allclose(delta, expected[module], rtol=1e-6)


@pytest.mark.parametrize("name", ["other/more", "stranger/adapter", "org-other/adapter"])
def test_nothing_is_asked_of_the_hub_for_anybody_else(
    stocked: Hub, server: Callable[..., AdapterServer], name: str
) -> None:
    one = server(owners=OWNERS)
    with pytest.raises(UnknownAdapter, match=f"no adapter called `{name}`"):
        one.serve(BASE, f"math+{name}")
    with pytest.raises(Refused, match="this server fetches nothing of"):
        one.serve(BASE, f"math+hf://{name}")
    assert one.serve(BASE, name) is None
    assert stocked.fetched == []


def test_the_servers_own_folder_is_no_place_for_a_hub_name(
    stocked: Hub, server: Callable[..., AdapterServer], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The folder that the server was started in holds `outside/secret`: it is nobody's adapter."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownAdapter):
        server(owners=OWNERS).serve(BASE, "math+outside/secret")
    with pytest.raises(BadInput) as refused:
        server(owners=frozenset({"outside"})).serve(BASE, "math+outside/secret")
    assert str(tmp_path) not in str(refused.value)


def test_a_repository_without_an_adapter_is_said_to_have_none(
    stocked: Hub, server: Callable[..., AdapterServer], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="org/bare: ") as refused:
        server(owners=OWNERS).serve(BASE, "math+org/bare")
    assert str(tmp_path) not in str(refused.value)


def test_a_hub_that_cannot_be_asked_is_no_fault_of_the_request(
    server: Callable[..., AdapterServer],
) -> None:
    with pytest.raises(Missing):
        server(owners=OWNERS).serve(BASE, "math+org/adapter")
