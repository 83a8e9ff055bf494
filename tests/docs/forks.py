"""The program `superpose` that pages find: a fork of a process that has loaded torch already.

Most of a short command on the real model is loading torch, transformers and PEFT, which this does
once for all pages of a worker. A server listens on a socket; the program on the path sends it its
arguments, folder, environment and open streams, and ends with the code that the fork ends with.
The installed program itself is what .ci/run starts, and `python -m superpose` other tests.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tests.forked import COMMANDS, ROOT, become, forks_leave_at_once, take

__all__ = ["superpose_on_path"]

LOADED = (
    *COMMANDS,
    "superpose.verbs.predict",
    "superpose.verbs.tune",
    "superpose.studies.run",
    "superpose.verbs.demo",
    "transformers.models.llama.modeling_llama",
    "transformers.models.auto.tokenization_auto",
)

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(asked)
    code = int(server.makefile().read())
sys.exit(code if code >= 0 else 128 - code)
"""


@contextmanager
def superpose_on_path(folder: Path) -> Iterator[Path]:
    """Give a folder with the program, which works as long as the block is not left."""
    address = folder / "socket"
    program = folder / "bin" / "superpose"
    program.parent.mkdir()
    program.write_text(CLIENT.format(python=sys.executable, address=str(address)), encoding="utf-8")
    program.chmod(0o755)
    started = [sys.executable, "-m", "tests.docs.forks", str(address)]
    with subprocess.Popen(started, cwd=ROOT) as server:
        while not address.exists() and server.poll() is None:
            time.sleep(0.05)
        try:
            yield program.parent
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Fork for everybody who asks."""
    forks_leave_at_once()
    for name in LOADED:
        import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.begun")
        listening.listen()
        Path(f"{address}.begun").rename(address)  # whoever sees it is heard
        while True:
            asking, _ = listening.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                answer(asking)
            asking.close()


def answer(asking: socket.socket) -> None:
    """Run what is asked in a fork, and answer with its exit code; does not come back."""
    head, streams, _, _ = socket.recv_fds(asking, 8, 3)
    size, text = int.from_bytes(head, "big"), b""
    while len(text) < size:
        text += asking.recv(size - len(text))
    child = os.fork()
    if not child:
        asking.close()
        take(streams)
        _anew()
        become(*json.loads(text))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    asking.sendall(str(code).encode())
    os._exit(0)


def _anew() -> None:
    """Open Python's own streams: the server's know what it was given, as a file that winds back."""
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


if __name__ == "__main__":
    serve(sys.argv[1])
