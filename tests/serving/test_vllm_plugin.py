"""The plugin in vLLM's own classes: run by `make test-vllm`, where vLLM can be imported."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import BASE, deltas, dense_sum

from superpose.serving import AdapterServer
from superpose.serving.vllm_plugin import register, resolver_of

HERE = importlib.util.find_spec("vllm") is not None
in_vllm = [
    pytest.mark.vllm,
    pytest.mark.skipif(not HERE, reason="vLLM is not installed: make test-vllm"),
    pytest.mark.filterwarnings("ignore"),  # of vLLM's own imports
]
pytestmark = in_vllm


@pytest.fixture
def resolve(server: Callable[..., AdapterServer]) -> Callable[..., Any]:
    def asked(name: str, **settings: Any) -> Any:
        resolver = resolver_of(server(**settings).settings)
        return asyncio.run(resolver.resolve_lora(BASE, name))

    return asked


def test_vllm_finds_the_plugin_and_registers_its_resolver(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry

    (found,) = entry_points(group="vllm.general_plugins", name="superpose")
    assert found.load() is register
    register()
    assert "superpose" not in LoRAResolverRegistry.get_supported_resolvers()
    monkeypatch.setenv("SUPERPOSE_ADAPTERS", str(folder))
    monkeypatch.setenv("SUPERPOSE_SUMS", str(tmp_path / "kept"))
    monkeypatch.setitem(LoRAResolverRegistry.resolvers, "superpose", None)
    register()
    resolver = LoRAResolverRegistry.get_resolver("superpose")
    assert isinstance(resolver, LoRAResolver)
    request = asyncio.run(resolver.resolve_lora(BASE, "math+0.5*medicine"))
    assert request.lora_name == "math+0.5*medicine"


def test_the_request_that_vllm_is_given_leads_to_a_sum_by_vllms_own_rules(
    resolve: Callable[..., Any], folder: Path
) -> None:
    from vllm.lora.peft_helper import PEFTHelper
    from vllm.lora.request import LoRARequest

    request = resolve("math+0.5*medicine")
    assert isinstance(request, LoRARequest)
    helper = PEFTHelper.from_local_dir(request.lora_path, max_position_embeddings=None)
    assert (helper.r, helper.vllm_lora_scaling_factor) == (8, 1.0)
    assert helper._validate_features() == []
    expected = dense_sum(folder, {"math": 1.0, "medicine": 0.5})
    for module, delta in deltas(Path(request.lora_path)).items():
        assert np.allclose(delta, expected[module], rtol=1e-6)


def test_the_request_crosses_to_vllms_engine_as_its_own(resolve: Callable[..., Any]) -> None:
    import msgspec
    from vllm.lora.request import LoRARequest

    request = resolve("math")
    there = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=LoRARequest)
    assert type(there) is LoRARequest
    assert (there == request, request == there, hash(there) == hash(request)) == (True,) * 3
    assert (there.lora_path, there.lora_int_id) == (request.lora_path, request.lora_int_id)


def test_what_vllm_has_stays_and_what_it_unloads_makes_room(resolve: Callable[..., Any]) -> None:
    from vllm.exceptions import GracefulHTTPError

    tight = {"limit": (1 << 18) + 2000}  # room for one
    first = resolve("math", **tight)
    with pytest.raises(GracefulHTTPError, match="are in use") as full:
        resolve("medicine", **tight)
    assert full.value.http_status == 503
    assert Path(first.lora_path).is_dir()
    del first
    gc.collect()
    assert Path(resolve("medicine", **tight).lora_path).is_dir()


@pytest.mark.parametrize(
    ("name", "error", "status", "said"),
    [
        ("math+nobody", "VLLMNotFoundError", 404, "no adapter called `nobody`"),
        ("math+../outside/secret", "ValueError", 400, "leads out of the server's folders"),
        ("math+half*medicine", "ValueError", 400, r"`half` before the \* is no task weight"),
        ("math+other", "ValueError", 400, "org/quite-another"),
        ("+".join(["math"] * 9), "ValueError", 400, "has rank 18"),
    ],
)
def test_a_refusal_is_the_answer_that_vllm_gives_its_client(
    resolve: Callable[..., Any], tmp_path: Path, name: str, error: str, status: int, said: str
) -> None:
    from vllm.entrypoints.serve import create_error_response

    with pytest.raises(Exception, match=said) as refused:
        resolve(name)
    assert type(refused.value).__name__ == error
    answer = create_error_response(refused.value)
    assert answer.error.code == status
    assert str(tmp_path) not in answer.error.message
    assert resolve("math+medicine") is not None


def test_a_name_that_is_none_of_ours_is_left_to_other_resolvers(
    resolve: Callable[..., Any],
) -> None:
    assert resolve("nobody") is None
