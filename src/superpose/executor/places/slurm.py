"""Workers as jobs of Slurm, sent by submitit. They outlive the command, and go on without it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from superpose.errors import BadSetting, Missing, missing_extra
from superpose.executor.execution import Execution
from superpose.executor.run import WorkRun
from superpose.executor.working import work_as

__all__ = ["SlurmPlace", "SlurmWorker"]

_TIME = 240
"""Minutes of a job where nothing else is said; another follows a worker whose time is over."""

_ANSWERS = 20.0
"""Seconds that a question to Slurm may take."""

_ASK = 5.0
"""Seconds between questions to Slurm about its queue."""


class SlurmWorker:
    """What a job runs. Where Slurm takes its machine away, it is queued again as it was."""

    def __call__(self, folder: str, name: str, worker: int) -> None:
        """Be a worker of a run."""
        work_as(folder, name, worker)

    def checkpoint(self, *arguments: Any) -> Any:
        """Give submitit what is to be queued again: all that is finished is a file already."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


class SlurmPlace:
    """Jobs, one a worker.

    Raises MissingExtra without submitit, Missing where Slurm does not answer, and BadSetting for
    what submitit does not know.
    """

    def __init__(self, run: WorkRun, execution: Execution) -> None:
        try:
            import submitit
        except ImportError as error:
            raise missing_extra(error.name, "--executor slurm") from None
        settings = dict(execution.slurm)
        self.run = run
        self.queue = settings.pop("cluster", "slurm") != "local"
        if self.queue:
            _check_reached()
        self._jobs: dict[int, Any] = {}
        self._asked = 0.0
        self._executor = submitit.AutoExecutor(
            run.control / "jobs", cluster="slurm" if self.queue else "local"
        )
        self._set(settings, execution)

    def _set(self, settings: dict[str, Any], execution: Execution) -> None:
        wanted = {
            "name": "superpose",
            "timeout_min": settings.pop("time", _TIME),
            "cpus_per_task": execution.cpus_per_task or 1,
            "gpus_per_node": execution.gpus_per_task or 0,
        }
        own = {f"slurm_{key}": value for key, value in settings.items()}
        try:
            self._executor.update_parameters(**wanted, **own)
        except (NameError, ValueError, TypeError) as error:
            said = str(error).replace("slurm_", "").splitlines()[0]
            raise BadSetting(f"submitit refuses: {said}", where="slurm") from error

    def start(self, workers: Sequence[int]) -> None:
        """Send a job for each worker. Raises BadSetting where Slurm does not take it."""
        from submitit.core.utils import FailedJobError

        arguments = [(str(self.run.folder), self.run.name, worker) for worker in workers]
        try:
            with self._executor.batch():
                jobs = [self._executor.submit(SlurmWorker(), *each) for each in arguments]
        except (FailedJobError, subprocess.CalledProcessError) as error:
            lines = str(error).strip().splitlines()
            raise BadSetting(f"sbatch refuses the job: {lines[-1]}", where="slurm") from error
        self._jobs |= dict(zip(workers, jobs, strict=True))

    def ended(self) -> Sequence[int]:
        """Give the numbers of workers whose jobs are no longer in the queue."""
        if time.monotonic() < self._asked + _ASK:
            return ()
        self._asked = time.monotonic()
        alive = self._alive()
        found = [number for number, job in self._jobs.items() if job.job_id not in alive]
        for number in found:
            del self._jobs[number]
        return found

    def close(self, *, at_once: bool) -> None:
        """Cancel the jobs, or leave those that wait to find that there is nothing left."""
        jobs = list(self._jobs.values())
        if at_once:
            for job in jobs:
                job.cancel(check=False)
        elif self.queue:
            # What still waits for a machine would come to an empty table.
            _said("scancel", "--state=PENDING", *(job.job_id for job in jobs))
        if not self.queue:
            for job in jobs:
                job.wait()
        self._jobs.clear()

    def _alive(self) -> set[str]:
        """Give the ids of the jobs that wait or run."""
        if not self.queue:
            return {job.job_id for job in self._jobs.values() if not job.done()}
        ids = ",".join(job.job_id for job in self._jobs.values())
        answer = _said("squeue", "--noheader", "--array", "--format=%i", f"--jobs={ids}")
        if answer.returncode == 0:
            return set(answer.stdout.split())
        if "Invalid job id" in answer.stderr:  # forgotten, so over
            return set()
        return {job.job_id for job in self._jobs.values()}  # a controller that is away comes back


def _check_reached() -> None:
    """Raise Missing where Slurm does not answer."""
    hint = (
        "Run this on a login node of the cluster, where sinfo answers; on a machine of your own "
        "start munged, slurmctld and slurmd. Without Slurm: --executor local."
    )
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise Missing("Slurm is not here: there is no sbatch and srun", hint=hint)
    answer = _said("sinfo", "--noheader", "--format=%P")
    if answer.returncode or not answer.stdout.strip():
        lines = answer.stderr.strip().splitlines() or ["sinfo shows no partition"]
        raise Missing(f"Slurm cannot be reached: {lines[-1]}", hint=hint)


def _said(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWERS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error}")
