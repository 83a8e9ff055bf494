"""Runs ways of tools over tasks, in this interpreter's children or another's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.exactness.oracle import Right
from benchmarks.exactness.protocol import Answer, Task, Tool, Way

__all__ = ["about", "answers", "outcome"]

_ROOT = Path(__file__).resolve().parent.parent.parent
_LONGEST_MESSAGE = 400


def about(python: str, tool: Tool) -> dict[str, str] | None:
    """Versions of a tool in an interpreter, or None where it is not installed."""
    done = _worker(python, "--about", tool.distribution)
    said, _ = done.communicate()
    if done.returncode:
        raise RuntimeError(f"{python} could not be asked for {tool.name}")
    found: dict[str, str] | None = json.loads(said)
    return found


def answers(python: str, tool: Tool, way: Way, tasks: Sequence[Task]) -> Iterator[Answer]:
    """Let one process of an interpreter do all tasks, in order, and give its answers.

    A process that dies of a task is replaced; that task counts as refused.
    """
    left = list(tasks)
    while left:
        with _worker(python, tool.name, way.name) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            while left:
                worker.stdin.write(left.pop(0).to_line() + "\n")
                worker.stdin.flush()
                line = worker.stdout.readline()
                if not line:
                    yield Answer("refused", f"the process died, exit code {worker.wait()}")
                    break
                yield Answer.from_line(line)


def outcome(way: Way, task: Task, answer: Answer, right: Right) -> dict[str, Any]:
    """Measure what an answer left on disk.

    Gives `outcome`: `measured` with `error`; `refused`, `cannot`, or `broken` (something was
    written that cannot be loaded), each with `message`.
    """
    error_of = right.error_of_adapter if way.writes == "adapter" else right.error_of_model
    try:
        if answer.status != "written":
            left = answer.status == "refused" and _has_weights(task)
            status = "broken" if left else answer.status
            return {"outcome": status, "message": _clean(answer.message, task)}
        error = error_of(answer.path)
    except Exception as trouble:  # noqa: BLE001 (what cannot be loaded is an outcome)
        message = f"{type(trouble).__name__}: {trouble}"
        return {"outcome": "broken", "message": _clean(message, task)}
    finally:
        shutil.rmtree(task.out, ignore_errors=True)
    return {"outcome": "measured", "error": float(f"{error:.2g}")}


def _has_weights(task: Task) -> bool:
    return any(Path(task.out).rglob("*.safetensors"))


def _worker(python: str, *arguments: str) -> subprocess.Popen[str]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [python, "-W", "ignore", "-m", "benchmarks.exactness.worker", *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"},
    )


def _clean(message: str, task: Task) -> str:
    """One line, without this machine's paths."""
    words = " ".join(message.split()).replace(str(Path(task.out).parent), "CASE")
    words = words.replace(task.base, "BASE")
    words = re.sub(r"/\S*/site-packages/", "", words)
    return words if len(words) <= _LONGEST_MESSAGE else words[: _LONGEST_MESSAGE - 3] + "..."
