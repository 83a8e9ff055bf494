"""Threads follow what the machine grants: affinity, control groups, OMP_NUM_THREADS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from superpose.executor.cores import granted_cores

HERE = 64

QUOTAS = {
    "none": ({}, "0::/\n", 64),
    "no limit": ({"cpu.max": "max 100000"}, "0::/\n", 64),
    "two cores": ({"cpu.max": "200000 100000"}, "0::/\n", 2),
    "one and a half": ({"cpu.max": "150000 100000"}, "0::/\n", 2),
    "a tenth": ({"cpu.max": "10000 100000"}, "0::/\n", 1),
    "more than there are": ({"cpu.max": "9900000 100000"}, "0::/\n", 64),
    "of a job": ({"a/b/cpu.max": "300000 100000"}, "0::/a/b\n", 3),
    "of what is above a job": ({"a/cpu.max": "300000 100000"}, "0::/a/b/c\n", 3),
    "of another job": ({"other/cpu.max": "100000 100000"}, "0::/a\n", 64),
    "in a container, with the host's path": ({"cpu.max": "400000 100000"}, "0::/docker/1f2d\n", 4),
    "version 1": (
        {"cpu/a/cpu.cfs_quota_us": "500000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
        "5:memory:/b\n4:cpu,cpuacct:/a\n",
        5,
    ),
    "version 1 without a limit": (
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "4:cpu:/\n", 64,
    ),
    "nonsense": ({"cpu.max": "many"}, "0::/\nwhat is this\n:::\n", 64),
    "a period of zero": ({"cpu.max": "100 0"}, "0::/\n", 64),
}  # fmt: skip


@pytest.fixture(autouse=True)
def sixty_four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(HERE)), raising=False)


@pytest.mark.parametrize("name", QUOTAS)
def test_the_time_that_control_groups_grant_is_a_limit(name: str, tmp_path: Path) -> None:
    files, own, cores = QUOTAS[name]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(own)
    for file, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert granted_cores(tmp_path) == cores


@pytest.mark.parametrize(
    ("asked", "cores"),
    [("3", 3), ("1", 1), ("100", 64), ("4,2", 4), ("", 64), ("0", 64), ("many", 64), ("-2", 64)],
)
def test_what_the_user_asks_for_is_a_limit(
    asked: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert granted_cores(tmp_path) == cores


def test_the_affinity_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert granted_cores(tmp_path) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has control groups")
def test_this_machine_grants_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= granted_cores() <= (os.cpu_count() or 1)


def test_torch_keeps_to_it(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from superpose.model import base_model

    before = torch.get_num_threads()
    monkeypatch.setattr(base_model, "granted_cores", lambda: 3)
    try:
        torch.set_num_threads(8)
        base_model.load_base(tiny_base)
        assert torch.get_num_threads() == 3
        torch.set_num_threads(1)  # fewer by the user's own choice stay
        base_model.load_base(tiny_base)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
