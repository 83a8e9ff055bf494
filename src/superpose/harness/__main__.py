"""`lm_eval` with the model `superpose` in its registry, and several sums over one loaded base."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from superpose.errors import SuperposeError

_SUM = re.compile(r"(?P<before>(?:^|,)\s*sum=)(?P<sums>[^,]*)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the harness's command line, once for each of `sum=A;A+B`; gives the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        import superpose.harness  # noqa: F401  which registers the model
        from superpose.harness.model import no_cache

        runs = list(each_sum(given))
        if len(runs) > 1 and any(word.startswith("--use_cache") for word in given):
            raise no_cache()
        with _tasks_indexed_once():
            for run in runs:
                _run(run)
    except SuperposeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def each_sum(words: Sequence[str]) -> list[list[str]]:
    """Give the command line of each sum that `--model_args` names, with a `;` between them.

    The sum is what the harness calls the folder of its results, unless `model=` gives another name.
    """
    for place, word in enumerate(words):
        found = _SUM.search(word)
        if found is None or ";" not in found["sums"]:
            continue
        named = re.search(r"(?:^|[ ,])model=", " ".join(words))
        return [
            [*words[:place], _with(word, found, text.strip(), named is None), *words[place + 1 :]]
            for text in found["sums"].split(";")
        ]
    return [list(words)]


def _with(word: str, found: re.Match[str], text: str, named: bool) -> str:
    name = f",model={text}" if named else ""
    return f"{word[: found.start()]}{found['before']}{text}{name}{word[found.end() :]}"


def _run(words: Sequence[str]) -> None:
    from lm_eval.__main__ import cli_evaluate

    before = sys.argv
    sys.argv = ["lm_eval", *words]
    try:
        cli_evaluate()
    finally:
        sys.argv = before


@contextmanager
def _tasks_indexed_once() -> Iterator[None]:
    """Let all runs share the index of the harness's thousands of task files, which takes seconds.

    A version of the harness that makes its index elsewhere makes it for each run.
    """
    try:
        from lm_eval.tasks._index import TaskIndex  # lm-eval 0.4.13
    except ImportError:
        yield
        return
    build = TaskIndex.build
    made: dict[Any, dict[str, Any]] = {}

    def built(paths: Iterable[Any], **options: Any) -> dict[str, Any]:
        paths = list(paths)
        key = (*map(str, paths), *sorted(options.items()))
        if key not in made:
            made[key] = build(paths, **options)
        return dict(made[key])  # a run adds names to its own

    TaskIndex.build = staticmethod(built)
    try:
        yield
    finally:
        TaskIndex.build = staticmethod(build)


if __name__ == "__main__":
    sys.exit(main())
