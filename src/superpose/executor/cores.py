"""How many cores this machine grants: not all that it has are ours.

torch starts a thread for each core that the process may be scheduled on. In a container that is
given the time of two of sixty-four, sixty-four threads then wait for each other.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["granted_cores"]


def granted_cores(root: Path = Path("/")) -> int:
    """Give how many threads at once this process should keep busy, at least 1.

    The least of the cores that it may be scheduled on (affinity: `taskset`, Slurm), the processor
    time that its control groups grant, rounded up (`cpu.max`, or `cpu.cfs_quota_us` of version 1:
    `docker run --cpus`, Kubernetes' limits), and OMP_NUM_THREADS where that is set.

    root: where /proc and /sys are.
    """
    limits = [_schedulable(), *map(math.ceil, _quotas(root))]
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked):
        limits.append(int(asked))
    return max(1, min(limits))


def _schedulable() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> list[float]:
    """Give the cores' worth of time that each control group above this process has, where any."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []  # another system, or one without control groups
    found = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        mounts = [""] if not controllers else ["cpu", "cpu,cpuacct"]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in mounts:
            top = root / "sys/fs/cgroup" / mount
            place = top / path.lstrip("/")
            # In a container the path may be the host's, and only the top be there.
            for folder in {top, place, *(p for p in place.parents if p.is_relative_to(top))}:
                found += _quota(folder)
    return found


def _quota(folder: Path) -> list[float]:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            files = "cpu.cfs_quota_us", "cpu.cfs_period_us"
            quota, period = ((folder / name).read_text(encoding="ascii") for name in files)
        return [float(quota) / float(period)] if float(quota) > 0 < float(period) else []
    except (OSError, ValueError):  # none, or "max"
        return []
