"""What went wrong in a worker, as a file that the command reads and raises again."""

from __future__ import annotations

import socket
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from superpose import errors
from superpose.files.json_values import read_json

__all__ = ["WorkerError"]


@dataclass(frozen=True)
class WorkerError:
    """An error of a worker: of its task, or of itself where task is empty.

    kind: the class of a SuperposeError; empty for any other, whose traceback is the problem.
    """

    task: str
    worker: str
    at: float
    kind: str
    problem: str
    where: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: Exception, worker: int, task: str = "") -> WorkerError:
        """Give what is written of an error."""
        here = f"worker {worker} on {socket.gethostname()}"
        if isinstance(error, errors.SuperposeError):
            kind = type(error).__name__
            return cls(task, here, time.time(), kind, error.problem, error.where, error.hint)
        said = "".join(traceback.format_exception(error))
        return cls(task, here, time.time(), "", said)

    @classmethod
    def in_file(cls, path: Path) -> WorkerError:
        """Read what was written of an error; raises BadInput for a damaged file."""
        try:
            return cls(**read_json(path))
        except TypeError:
            raise errors.BadInput("holds no error of a worker", where=path) from None

    @property
    def error(self) -> Exception:
        """The error again, saying which worker and task it was."""
        at = f"{self.task} ({self.worker})" if self.task else self.worker
        kind = getattr(errors, self.kind, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.SuperposeError)):
            return RuntimeError(f"{at}: {self.problem}")  # a bug: its traceback is the message
        where = at if self.where is None else f"{at}: {self.where}"
        error: Exception = kind(self.problem, where=where, hint=self.hint)
        return error

    def to_json(self) -> dict[str, Any]:
        """Give what its file holds."""
        return asdict(self)
