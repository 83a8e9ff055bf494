"""How long the hub is waited for: every request has a limit, and a terminal is told what it is for.

huggingface_hub gives some of its requests ten seconds and others none; a hub that accepts and never
answers, or a byte a second, would hold a command for as long as the connection lives.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from superpose.errors import BadInput

__all__ = ["SLOW", "VARIABLE", "answers_awaited", "seconds"]

VARIABLE = "SUPERPOSE_HUB_TIMEOUT"
"""Environment variable: seconds without a byte from the hub, or with fewer than `LEAST` each."""

LEAST = 1000
"""Bytes a second below which an answer is none: with fewer no adapter arrives in a day."""

SLOW = f"the hub sends less than {LEAST:,} bytes a second"
"""How the message of an error begins that ends such an answer."""

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
            "response": [_Silence.end, _at_least_so_fast, *hooks["response"]],
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


def _at_least_so_fast(response: Any) -> None:
    """Let the answer's body end with a time-out where it comes slower than `LEAST`."""
    library = type(response).__module__.partition(".")[0]
    response.stream = _paced(library)(response.stream, response.request, _Silence.limit)


@lru_cache(maxsize=2)
def _paced(library: str) -> Any:
    """Give the class of such bodies, of a library that huggingface_hub speaks through."""
    client = importlib.import_module(library)

    class Paced(client.SyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, stream: Any, request: Any, limit: float) -> None:
            self._stream, self._request, self._limit = stream, request, limit

        def __iter__(self) -> Iterator[bytes]:
            begun, received = time.monotonic(), 0
            for chunk in self._stream:
                received += len(chunk)
                spent = time.monotonic() - begun
                if spent > self._limit and received < LEAST * spent:
                    raise client.ReadTimeout(SLOW, request=self._request)
                yield chunk

        def close(self) -> None:
            self._stream.close()

    return Paced


def _tell(text: str) -> None:
    sys.stderr.write(f"{text} ({VARIABLE}) ...\n")
    sys.stderr.flush()
