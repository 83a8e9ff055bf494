"""What is done: a task, and the workbench that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["Do", "Task", "Workbench", "workbench_of"]


@dataclass(frozen=True)
class Task:
    """A piece of work that any worker can do.

    name: for people, such as `train math`. file: what is there once it is done, and not before: a
    file or a folder that is renamed into place, relative to the work's folder. arguments: what the
    workbench's function is called with; they can be pickled. work: what it costs, in any unit.
    after: files of the tasks that must be done before.
    """

    name: str
    file: str
    arguments: tuple[Any, ...]
    work: float = 1.0
    after: tuple[str, ...] = ()


Do = Callable[..., object]
"""Does one task: called with its arguments, it leaves its file."""

Workbench = Callable[[], AbstractContextManager[Do]]
"""Opens, once a worker, what the tasks need, and gives what does one. It can be pickled: a
function of a module, a `partial` of one, or a method of an object that can be pickled."""


def workbench_of(do: Do) -> Workbench:
    """Give the workbench of a function that needs nothing opened beforehand."""
    return partial(_nothing_opened, do)


@contextmanager
def _nothing_opened(do: Do) -> Iterator[Do]:
    yield do
