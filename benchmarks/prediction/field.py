"""The field of play: the base, the split domains and the folder that holds what is finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.prediction.domains import SOURCES, Source, Split, load_splits
from benchmarks.prediction.settings import DATA, Tournament
from superpose.data.choices import ChoiceQuestion
from superpose.data.domain import fingerprint
from superpose.data.prompt import Example, Prompt
from superpose.errors import BadInput
from superpose.model import BaseModel, load_base
from superpose.studies.folder import StudyFolder

__all__ = ["Field"]


class Field:
    """A tournament and its folder.

    out: its folder; one that another tournament was begun in is refused. data: the folder of
    the question sets.
    """

    def __init__(
        self,
        out: str | Path,
        *,
        data: str | Path = DATA,
        tournament: Tournament | None = None,
        sources: Mapping[str, Source] = SOURCES,
    ) -> None:
        self.tournament = tournament or Tournament()
        self.folder = StudyFolder(out)
        self.names = tuple(sources)
        self._sources = sources
        self.data = Path(data)
        self._examples: dict[tuple[str, str], list[Example]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process makes the same field from: the arguments of this class."""
        return partial(Field, **self._plan()), ()

    def _plan(self) -> dict[str, Any]:
        return {
            "out": self.folder.path.resolve(),
            "data": self.data,
            "tournament": self.tournament,
            "sources": dict(self._sources),
        }

    @cached_property
    def base(self) -> BaseModel:
        """The loaded base model."""
        return load_base(self.tournament.base)

    @cached_property
    def prompt(self) -> Prompt:
        """How rows become tokens."""
        return Prompt(self.base.tokenizer, max_tokens=self.tournament.max_tokens)

    @cached_property
    def splits(self) -> dict[str, Split]:
        """The domains' rows, by name."""
        return load_splits(self.data, self.tournament, self.prompt, self._sources)

    def examples(self, domain: str, part: str) -> list[Example]:
        """A domain's rows as tokens. part: `train`, `calibration` or `test`."""
        key = domain, part
        if key not in self._examples:
            rows = self.splits[domain].parts()[part]
            self._examples[key] = self.prompt.encode_all(rows, domain)
        return self._examples[key]

    def questions(self, domain: str, part: str) -> list[ChoiceQuestion]:
        """A domain's rows with all their choices as tokens, row by row; none where it has none.

        Raises BadInput where a choice of one finds no room.
        """
        rows = self.splits[domain].parts()[part]
        if not any(row.choices for row in rows):
            return []
        found = [self.prompt.encode_choices(row) for row in rows]
        whole = [question for question in found if question is not None]
        if len(whole) < len(rows):
            raise BadInput(f"{len(rows) - len(whole)} rows have no choices that fit", where=domain)
        return whole

    def identity(self) -> dict[str, Any]:
        """What makes two folders hold the same tournament."""
        data = {
            name: {part: fingerprint(rows) for part, rows in split.parts().items()}
            for name, split in self.splits.items()
        }
        return {"tournament": self.tournament.to_json(), "data": data, "order": list(self.names)}

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for this process. Raises BadInput where it is another's."""
        self.folder.claim(self.identity())
        with self.folder.locked():
            yield
