"""What a comparison of methods leaves on disk, and the commands that write its best adapter."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from superpose.files import new_file
from superpose.verbs.same_rows import same_rows
from superpose.verbs.shared_work import shared_folder

if TYPE_CHECKING:
    from superpose.executor import Execution, WorkFolder
    from superpose.measure.standing import Standing
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.settings import Questions

__all__ = ["Records", "commands", "recorded"]

_STANDINGS, _WEIGHTS = "standings", "weights"


class Records:
    """Standings by name: in memory, and as files where there is a folder.

    kept: whether the folder is still there when the comparison is over.
    """

    def __init__(self, folder: WorkFolder | None, *, kept: bool = True) -> None:
        self.folder = folder
        self.kept = kept and folder is not None
        self.known: dict[str, Standing] = {}

    def __contains__(self, name: str) -> bool:
        if name not in self.known and self.folder is not None:
            self._read(name)
        return name in self.known

    def __getitem__(self, name: str) -> Standing:
        if name not in self:
            raise KeyError(name)
        return self.known[name]

    @staticmethod
    def file(name: str) -> str:
        """Where a standing lies within the folder."""
        return f"{_STANDINGS}/{_file(name)}"

    def keep(self, name: str, found: Standing) -> None:
        """Take a standing, and write it where there is a folder."""
        self.known[name] = found
        if self.folder is not None:
            self.folder.write(self.file(name), found.to_json())

    def weights_of(self, found: Standing, names: Sequence[str]) -> str | None:
        """Write a tuned sum's weights as `add --weights` reads them; None where none is kept."""
        if self.folder is None or not self.kept:
            return None
        content = {
            "weights": dict.fromkeys(names, 1.0),
            "finer": {
                "by": found.settings["by"],
                "weights": {n: dict(w) for n, w in zip(names, found.fine, strict=True)},
            },
        }
        return str(self.folder.write(f"{_WEIGHTS}/{_file(found.method)}", content))

    def finish(self, columns: Sequence[str], rows: Sequence[Sequence[object]], found: Any) -> None:
        """Write the table and the figures beside the standings, where there is a folder."""
        if self.folder is None:
            return
        from superpose.shown.csv_table import csv_text

        with new_file(self.folder.path / "table.csv") as part:
            part.write_text(csv_text(columns, rows), encoding="utf-8")
        self.folder.write("summary.json", found)

    def _read(self, name: str) -> None:
        from superpose.measure.standing import Standing

        assert self.folder is not None
        path = self.folder.path / self.file(name)
        if not path.exists():
            return
        content = self.folder.read(self.file(name))
        try:
            self.known[name] = Standing.from_json(content)
        except (KeyError, TypeError, AttributeError):
            raise self.folder.damaged(path) from None


@contextmanager
def recorded(
    out: str | os.PathLike[str] | None,
    asked: Callable[[], Mapping[str, Any]],
    execution: Execution,
) -> Iterator[Records]:
    """Give the records of a comparison, and keep others from its folder meanwhile.

    asked: gives what the comparison is of. Raises BadInput where the folder is another's.
    """
    with shared_folder(out, "comparison", asked, execution) as folder:
        yield Records(folder, kept=out is not None)


def commands(
    best: Standing, ready: Calibrating, questions: Questions, records: Records
) -> tuple[str, ...]:
    """Give the commands that write the best one: what it needs of the rows, and `superpose add`."""
    from superpose.compose import FROM_DATA
    from superpose.compose.from_inputs import FromInputs

    add = ["superpose", "add", *ready.given]
    name = best.method.partition(" ")[0]
    if best.method != "sum":
        add += ["--method", name, *_options(best)]
    weights = records.weights_of(best, ready.names) if best.fine else None
    if weights is not None:
        add += ["--weights", weights]
    elif best.scale != 1.0:
        add.append("--weights=" + ",".join([f"{best.scale:.4g}"] * len(ready.names)))
    if name in FROM_DATA and (weights is None or issubclass(FROM_DATA[name], FromInputs)):
        add += same_rows(ready, questions)
    return (shlex.join([*add, "-o", "OUT"]),)


def _options(best: Standing) -> Iterator[str]:
    """Give the settings as options; those that are not set are left out."""
    for name, value in best.settings.items():
        if isinstance(value, bool):
            yield f"--{name}" if value else "--merged"
        elif value is not None:
            yield f"--{name}={value}"


def _file(name: str) -> str:
    return name.replace(" ", "-") + ".json"
