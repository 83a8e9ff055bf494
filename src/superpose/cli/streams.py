"""Standard output and signals as a command meets them: closed, full, of any encoding, stopped."""

from __future__ import annotations

import codecs
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

from superpose.errors import BadInput

__all__ = ["StandardOutput", "is_utf8", "signals_end_the_run", "usable_streams"]


class StandardOutput:
    """Standard output whose failures are told apart from those of the files a command opens.

    Everything but writing is the stream's own. `write` and `flush` raise BadInput for an OSError,
    except that the reader went away (BrokenPipeError), which is no error of anybody. reader_left:
    whether that happened, whatever became of the exception: rich and click end with 1 for it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.reader_left = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as the stream does."""
        with self._failures():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush as the stream does."""
        with self._failures():
            self._stream.flush()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.reader_left = True
            raise
        except OSError as error:
            discard_the_rest(self._stream)
            reason = error.strerror or error
            raise BadInput(f"standard output cannot be written: {reason}") from error


def discard_the_rest(stream: TextIO) -> None:
    """Let what is still buffered go nowhere: Python flushes once more on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_utf8(stream: TextIO) -> bool:
    """Say whether a stream takes every character there is."""
    return codecs.lookup(getattr(stream, "encoding", None) or "ascii").name == "utf-8"


@contextmanager
def usable_streams() -> Iterator[StandardOutput]:
    """Let both streams be there, and take text that their encoding has no bytes for.

    Gives what is standard output within the block.

    A stream that was closed (`>&-`) is None in Python; what is written there goes nowhere. A file
    name need not be text (`bad\\xff`): what cannot be encoded is shown as an escape.
    """
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        # The lowest descriptors first, so that no file of ours becomes "standard output".
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
                setattr(sys, name, stack.enter_context(nowhere))
            reconfigure = getattr(getattr(sys, name), "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        ours = StandardOutput(sys.stdout)
        sys.stdout = cast("TextIO", ours)
        try:
            yield ours
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def signals_end_the_run() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the run as Ctrl-C does, through every clean-up, with 128 + n."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # A signal that is ignored (nohup) stays so; handlers can be set from the main thread alone.
    ours = [
        number
        for number in (getattr(signal, name) for name in names)
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in ours:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
