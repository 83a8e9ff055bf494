"""Running a tool's own command line, as a process or within this one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["run_click", "run_command"]


def run_command(command: Sequence[object], folder: Path) -> None:
    """Run a command in a folder. Raises ChildProcessError with its last words if it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr.strip() or done.stdout.strip())
        if "Traceback (most recent call last)" in words:
            words = words.splitlines()[-1]
        raise ChildProcessError(words or f"exit code {done.returncode}")


def run_click(command: Any, arguments: Sequence[object]) -> None:
    """Run a click command in this process, without its import time. Raises what it raises."""
    command.main(args=[str(part) for part in arguments], standalone_mode=False)
