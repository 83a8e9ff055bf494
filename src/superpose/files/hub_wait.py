"""How long the hub is waited for: every request has a limit, and a terminal is told what it is for.

huggingface_hub gives some of its requests ten seconds and others none; a hub that accepts and never
answers would hold a command for as long as the connection lives.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from superpose.errors import BadInput

__all__ = ["VARIABLE", "answers_awaited", "seconds"]

VARIABLE = "SUPERPOSE_HUB_TIMEOUT"
"""Environment variable: seconds without a byte from the hub."""

_SECONDS = 10.0
_QUIET = 3.0
"""Seconds after which a terminal is told what is waited for."""


def seconds() -> float:
    """Give the seconds that the hub may be silent; BadInput where the variable is no number."""
    text = os.environ.get(VARIABLE, "").strip()
    try:
        limit = float(text) if text else _SECONDS
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        raise BadInput(
            f"{VARIABLE} is {text!r}, no number of seconds above 0",
            hint=f"Such as {VARIABLE}=60 for a slow network; without it {_SECONDS:g} s.",
        )
    return limit


@contextmanager
def answers_awaited() -> Iterator[None]:
    """Limit how long each request of huggingface_hub's client waits in this block.

    Requests that have a limit of their own keep it. Raises BadInput as `seconds` does.
    """
    limit = seconds()
    _limit_new_clients()
    _Silence.limit = limit
    try:
        yield
    finally:
        _Silence.end()


@lru_cache(maxsize=1)
def _limit_new_clients() -> None:
    """Let every client that huggingface_hub makes from now on have the limit, once a process."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    # Whoever set a factory, for a proxy or certificates, goes on with it.
    make: Callable[[], Any] = _http._GLOBAL_CLIENT_FACTORY

    def limited() -> Any:
        client = make()
        hooks = client.event_hooks
        client.event_hooks = {
            "request": [*hooks["request"], _Silence.begin],
            "response": [_Silence.end, *hooks["response"]],
        }
        return client

    set_client_factory(limited)


class _Silence:
    """The time between a request and its answer, of which a terminal is told when it grows long."""

    limit = _SECONDS
    timer: threading.Timer | None = None

    @classmethod
    def begin(cls, request: Any) -> None:
        # The client asks some of its questions with an explicit "no limit".
        limits = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {
            wait: cls.limit if limits.get(wait) is None else limits[wait]
            for wait in ("connect", "read", "write", "pool")
        }
        cls.end()
        if sys.stderr.isatty():
            host, limit = request.url.host, cls.limit
            cls.timer = threading.Timer(_QUIET, _tell, [f"waiting for {host}, {limit:g} s at most"])
            cls.timer.daemon = True
            cls.timer.start()

    @classmethod
    def end(cls, _: object = None) -> None:
        if cls.timer is not None:
            cls.timer.cancel()
            cls.timer = None


def _tell(text: str) -> None:
    sys.stderr.write(f"{text} ({VARIABLE}) ...\n")
    sys.stderr.flush()
