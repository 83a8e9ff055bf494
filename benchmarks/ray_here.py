"""Ray itself, as two nodes of one core each on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["ray_cluster", "ray_program"]

_UP = "Ray runtime started"


def ray_program() -> str | None:
    """Give the program that starts Ray, which lies beside this Python; None without the extra."""
    return shutil.which("ray", path=str(Path(sys.executable).parent))


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Run a cluster; gives its address, for RAY_ADDRESS."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    port = address.rpartition(":")[2]
    with ExitStack() as stack:
        # Sockets lie in it, whose paths the system holds to a hundred characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ray", dir="/tmp")))
        head = ["--head", "--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}"]
        head += ["--include-dashboard=false", "--disable-usage-stats"]
        for number, node in enumerate((head, [f"--address={address}"])):
            stack.enter_context(_node(node, folder / f"said-{number}"))
        yield address


@contextmanager
def _node(options: list[str], said: Path) -> Iterator[None]:
    program = ray_program()
    assert program is not None
    # Ray's workers are nicer than all others unless told; beside a busy test they would starve.
    environment = {**os.environ, "RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [program, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000"]
    with said.open("wb") as file:
        node = subprocess.Popen([*command, *options], env=environment, stdout=file, stderr=file)
    try:
        until = time.monotonic() + 120
        while _UP not in said.read_text(errors="replace"):
            if node.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Ray does not come up: {said.read_text(errors='replace')}")
            time.sleep(0.2)
        yield
    finally:
        node.terminate()
        try:
            node.wait(30)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()
