"""Work that outgrows a process: tasks whose results are files, done here, by Slurm or by Ray.

A task is a function's arguments and the file that is there once they were done. A worker opens
what the tasks need (a base model) once, then does one task after the other that is open; the same
command goes on where it was stopped. Slurm and Ray start workers and no more: which task is whose
is decided by a lock beside the task's own record, so nothing is done twice.
"""

from __future__ import annotations

from superpose.executor.execution import Execution
from superpose.executor.folder import WorkFolder
from superpose.executor.run import WorkRun
from superpose.executor.running import work_off
from superpose.executor.status import WorkStatus, seconds_taken, work_status
from superpose.executor.task import Do, Task, Workbench, workbench_of

__all__ = [
    "Do",
    "Execution",
    "Task",
    "WorkFolder",
    "WorkRun",
    "WorkStatus",
    "Workbench",
    "seconds_taken",
    "work_off",
    "work_status",
    "workbench_of",
]
