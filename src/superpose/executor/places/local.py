"""Workers as processes of this machine, which end with the command that started them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from superpose.errors import BadSetting
from superpose.executor.cores import granted_cores
from superpose.executor.execution import Execution
from superpose.executor.run import WorkRun

__all__ = ["LocalPlace", "gpu_shares", "visible_gpus"]

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from superpose.executor.places.local_worker import main
main(sys.argv[2], sys.argv[3], int(sys.argv[4]))
"""
"""In place of `-m`, and of multiprocessing, which would run the script again that called us."""

_TO_TIDY = 20.0
"""Seconds that a worker has to take away what it has begun."""


class LocalPlace:
    """Processes, each with its cores and its GPUs.

    Raises BadSetting for more GPUs than there are.
    """

    def __init__(self, run: WorkRun, execution: Execution) -> None:
        self.run = run
        self.cores = execution.cpus_per_task or max(1, granted_cores() // execution.workers)
        self.shares = gpu_shares(execution)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, workers: Sequence[int]) -> None:
        """Start workers; one of the same place among the workers has the same GPUs."""
        for worker in workers:
            command = [sys.executable, "-c", _BOOT, json.dumps(self.run.settings["path"])]
            with self.run.log(worker).open("ab") as log:
                self._processes[worker] = subprocess.Popen(
                    [*command, str(self.run.folder), self.run.name, str(worker)],
                    env=os.environ | self._environment(worker),
                    stdin=subprocess.PIPE,  # its end tells the worker that we are gone
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is ours to pass on
                )

    def ended(self) -> Sequence[int]:
        """Give the numbers of workers whose process has ended."""
        found = [n for n, process in self._processes.items() if process.poll() is not None]
        for number in found:
            _let_go(self._processes.pop(number))
        return found

    def close(self, *, at_once: bool) -> None:
        """Wait for workers that have nothing left to do, or tell them to end."""
        if at_once:
            for process in self._processes.values():
                _let_go(process)
        until = time.monotonic() + _TO_TIDY if at_once else None
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(None if until is None else max(0.0, until - time.monotonic()))
            process.kill()
            process.wait()
            _let_go(process)
        self._processes.clear()

    def _environment(self, worker: int) -> Mapping[str, str]:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.cores))
        share = self.shares[worker % len(self.shares)]
        return threads if share is None else threads | {"CUDA_VISIBLE_DEVICES": ",".join(share)}


def _let_go(process: subprocess.Popen[Any]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def gpu_shares(execution: Execution) -> list[Sequence[str] | None]:
    """Give the GPUs of each worker; None where it sees what the command sees."""
    here, wanted, workers = visible_gpus(), execution.gpus_per_task, execution.workers
    if wanted is None:
        return [[here[n % len(here)]] for n in range(workers)] if here else [None]
    if wanted * workers > len(here):
        raise BadSetting(
            f"{workers} workers of {wanted} GPUs each are more than the {len(here)} that are here",
            where="gpus_per_task",
            hint="Give fewer workers; without this setting they share what there is.",
        )
    return [here[n * wanted : (n + 1) * wanted] for n in range(workers)]


def visible_gpus() -> list[str]:
    """Give the numbers of the GPUs that this process may use; none where no driver tells of any."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name.strip() for name in allowed.split(",") if name.strip() not in ("", "-1")]
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],  # noqa: S607 - as on PATH
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return told.stdout.split()
