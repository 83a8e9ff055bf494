"""Slurm itself, as one node of two cores on this machine: Debian's slurm-wlm, run as root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["missing", "slurm_node"]

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

CONFIG = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Say what a node of Slurm lacks here; nothing where it can be started."""
    if os.geteuid() != 0:
        return "starting a node of Slurm takes root"
    lacking = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    return f"apt-get install slurm-wlm munge brings {', '.join(lacking)}" if lacking else ""


@contextmanager
def slurm_node(folder: Path) -> Iterator[Path]:
    """Run a node, its files in `folder`; gives its configuration, for SLURM_CONF."""
    config = folder / "slurm.conf"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    config.write_text(
        CONFIG.format(folder=folder, host=socket.gethostname().partition(".")[0], ports=_ports(2))
    )
    key = folder / "munge.key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o400)
    munge = [f"--{kind}-file={folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
    munge += [f"--key-file={key}", f"--socket={folder}/munge.socket", "--foreground", "--force"]
    environment = {**os.environ, "SLURM_CONF": str(config), "PATH": _path()}
    with ExitStack() as stack, (folder / "said").open("ab") as said:
        for command in (["munged", *munge], ["slurmctld", "-D"], ["slurmd", "-D"]):
            daemon = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
            stack.callback(_end, daemon)
            time.sleep(0.5)
        _until_idle(environment)
        yield config


def _until_idle(environment: dict[str, str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        told = subprocess.run(
            ["sinfo", "-h", "-o", "%T"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if told.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"the node of Slurm does not come up: {told.stdout} {told.stderr}")


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
