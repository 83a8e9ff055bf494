"""Workers as long tasks of a Ray cluster that runs already. They end with the command."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, BadSetting, Missing, missing_extra
from superpose.executor.execution import Execution
from superpose.executor.run import WorkRun
from superpose.executor.working import work_as

__all__ = ["RayPlace"]

_HINT = (
    "Start one with `ray start --head` here, and `ray start --address=HEAD:6379` on the other "
    "machines; RAY_ADDRESS names one that runs elsewhere. Without Ray: --executor local."
)


class RayPlace:
    """Ray tasks, one a worker.

    Raises MissingExtra without ray, Missing where no cluster answers, and BadSetting where none of
    its machines has what a worker asks for.
    """

    def __init__(self, run: WorkRun, execution: Execution) -> None:
        try:
            import ray
        except ImportError as error:
            raise missing_extra(error.name, "--executor ray") from None
        if not hasattr(ray, "init"):  # a folder of that name in the working folder
            raise missing_extra("ray", "--executor ray")
        self.ray: Any = ray
        self.run = run
        self._connected = not ray.is_initialized()
        if self._connected:
            _connect(ray)
        self._wanted = {
            "num_cpus": execution.cpus_per_task or 1,
            "num_gpus": execution.gpus_per_task or 0,
        }
        _check_room(ray, self._wanted)
        # Killed workers are replaced by the command: Ray would begin them again without its eye.
        self._task = self.ray.remote(**self._wanted, max_retries=0, max_calls=1)(work_as)
        self._workers: dict[Any, int] = {}

    def start(self, workers: Sequence[int]) -> None:
        """Hand Ray a task for each worker."""
        for worker in workers:
            options = {"name": f"superpose worker {worker}"}
            task = self._task.options(**options)
            self._workers[task.remote(str(self.run.folder), self.run.name, worker)] = worker

    def ended(self) -> Sequence[int]:
        """Give the numbers of workers that have ended, or were killed."""
        over, _ = self._over_and_left(0)
        for task in over:
            self._check_began(task)
        return [self._workers.pop(task) for task in over]

    def close(self, *, at_once: bool) -> None:
        """Wait for workers that have nothing left to do, or end them, and leave the cluster."""
        # Never one that has ended: Ray aborts the process that cancels a task while it is still
        # putting its answer away ("Tried to complete task that was not pending").
        if at_once:
            for task in self._over_and_left(0)[1]:
                self.ray.cancel(task, force=False)  # as Ctrl-C: what was begun is taken away
        for task in self._over_and_left(20)[1]:
            self.ray.cancel(task, force=True)
        self._workers.clear()
        if self._connected:
            self.ray.shutdown()

    def _over_and_left(self, seconds: float) -> tuple[list[Any], list[Any]]:
        """Give the tasks that have ended within so many seconds, and the others."""
        waiting = list(self._workers)
        if not waiting:
            return [], []
        over, left = self.ray.wait(waiting, num_returns=len(waiting), timeout=seconds)
        return over, left

    def _check_began(self, task: Any) -> None:
        """Raise BadInput where a worker could not even load what it is to do."""
        errors = self.ray.exceptions
        try:
            self.ray.get(task)
        except errors.RayTaskError as error:
            lines = str(error).strip().splitlines()
            raise BadInput(
                f"a worker of the Ray cluster cannot begin: {lines[-1]}",
                hint="superpose has to be installed in the environment that Ray was started from, "
                "on every machine.",
            ) from error
        except errors.RayError:
            return  # it was killed, or its machine was: another follows


def _connect(ray: Any) -> None:
    """Connect to the cluster that RAY_ADDRESS names, or that runs on this machine."""
    address = os.environ.get("RAY_ADDRESS") or _noted()
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "//" not in address:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise Missing(f"no Ray cluster answers at {address}: {error}", hint=_HINT) from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Missing(f"no Ray cluster can be reached: {reason}", hint=_HINT) from error


def _check_room(ray: Any, wanted: dict[str, int]) -> None:
    """Raise BadSetting where no machine of the cluster could ever take a worker."""
    kinds = {"num_cpus": "CPU", "num_gpus": "GPU"}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(kinds[k], 0) >= n for k, n in wanted.items()) for node in nodes):
        return
    cores, gpus = (int(max(node.get(kind, 0) for node in nodes)) for kind in kinds.values())
    raise BadSetting(
        f"a worker asks for {wanted['num_cpus']} cores and {wanted['num_gpus']} GPUs, and no "
        f"machine of the Ray cluster has them (the most: {cores} cores, {gpus} GPUs)",
        where="gpus_per_task" if wanted["num_gpus"] > gpus else "cpus_per_task",
    )


def _noted() -> str:
    """Give the address that Ray notes of the cluster it started here; it may be gone since."""
    note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")  # noqa: S108 - Ray's own
    try:
        return note.read_text(encoding="utf-8").strip() or "auto"
    except OSError:
        return "auto"
