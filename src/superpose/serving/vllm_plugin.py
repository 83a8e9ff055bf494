"""vLLM's plugin: requests that name a sum as their model are answered with it.

vLLM calls `register` in each of its processes (entry point of the group `vllm.general_plugins`);
its API server asks the resolver for a model's name that it does not know. What a resolver raises
becomes the answer to that request: a ValueError status 400, vLLM's own errors theirs.
Source: vLLM 0.33.0, plugins/__init__.py, lora/resolver.py, entrypoints/openai/models/serving.py,
entrypoints/serve/exception_handling.
"""

from __future__ import annotations

import logging
import os
import weakref
from http import HTTPStatus
from typing import Any

from superpose.errors import Missing, SuperposeError

__all__ = ["register", "resolver_of"]

NAME = "superpose"
_ALLOWED = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"


def register() -> None:
    """Register the resolver where the environment allows folders or owners; else do nothing.

    Raises BadSetting, and the server does not start, for a variable that means nothing.
    """
    from superpose.serving.settings import FOLDERS, ServerSettings

    settings = ServerSettings.from_environment(os.environ)
    if settings is None:
        return
    from vllm.lora.resolver import LoRAResolverRegistry

    if os.environ.get(_ALLOWED, "0").strip().lower() not in ("1", "true"):
        logging.getLogger("superpose").warning(
            "%s is set, but vLLM asks for no adapter by its name without %s=1", FOLDERS, _ALLOWED
        )
    LoRAResolverRegistry.register_resolver(NAME, resolver_of(settings))


def resolver_of(settings: Any) -> Any:
    """Give a `vllm.lora.resolver.LoRAResolver` that serves what these ServerSettings allow."""
    import asyncio

    from vllm.lora.request import LoRARequest
    from vllm.lora.resolver import LoRAResolver

    from superpose.serving.adapter_server import AdapterServer

    server = AdapterServer(settings)

    class SumRequest(LoRARequest, weakref=True):  # type: ignore[misc, call-arg]
        """A request for a sum: as long as vLLM has it, the sum stays on disk."""

        def __eq__(self, other: object) -> bool:
            return isinstance(other, LoRARequest) and self.lora_name == other.lora_name

        def __hash__(self) -> int:
            return hash(self.lora_name)

    class SumResolver(LoRAResolver):  # type: ignore[misc]
        """Gives a sum for its name."""

        async def resolve_lora(self, base_model_name: str, lora_name: str) -> Any:
            """Give the request for a sum's folder, or None for a name that is none of ours."""
            return await asyncio.to_thread(self._resolved, base_model_name, lora_name)

        def _resolved(self, base: str, name: str) -> Any:
            try:
                served = server.serve(base, name)
            except SuperposeError as error:
                raise _refusal(error, settings) from error
            if served is None:
                return None
            # vLLM gives it a number of its own.
            request = SumRequest(lora_name=name, lora_int_id=1, lora_path=str(served.path))
            weakref.finalize(request, served.release)
            return request

    return SumResolver()


def _refusal(error: SuperposeError, settings: Any) -> Exception:
    """Give what vLLM answers a request with: the message, without the machine's own paths."""
    from superpose.serving.adapter_server import UnknownAdapter

    said = str(error)
    for folder in (*settings.folders, settings.cache):
        for path in (str(folder), os.path.realpath(folder)):
            said = said.replace(f"{path}/", "").replace(path, "the server's folder")
    if isinstance(error, Missing):
        return _own_error("GracefulHTTPError", RuntimeError, said, HTTPStatus.SERVICE_UNAVAILABLE)
    if isinstance(error, UnknownAdapter):
        return _own_error("VLLMNotFoundError", ValueError, said)
    return ValueError(said)


def _own_error(name: str, other: type[Exception], said: str, *more: object) -> Exception:
    """Give an error of vLLM's where this version has it, else another with the same message."""
    try:
        import vllm.exceptions as known
    except ImportError:
        return other(said)
    kind = getattr(known, name, None)
    found: Exception = other(said) if kind is None else kind(said, *more)
    return found
