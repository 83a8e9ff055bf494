"""Every error superpose raises on purpose, and the exit code the command line gives it.

    SuperposeError                 base of all; a traceback of anything else is a bug
    ├── BadInput            (2)    what was given cannot be used
    │   ├── Refused         (2)    understood, and by name not something a sum can hold
    │   ├── BadSetting      (2)    a setting that cannot be used; the shell calls it an option
    │   ├── DifferentBase   (2)    adapters of different base models
    │   └── OutputExists    (2)    something already stands where the result would go
    ├── Missing             (3)    could not check: something has to be brought first
    │   ├── MissingBase     (3)    the base model is not here
    │   └── MissingExtra    (3)    an optional dependency is not installed
    └── DoesNotHold         (1)    a check that was asked for came out negative

A message says what is wrong, where (file, setting, tensor) and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = [
    "BadInput",
    "BadSetting",
    "DifferentBase",
    "DoesNotHold",
    "Missing",
    "MissingBase",
    "MissingExtra",
    "OutputExists",
    "Refused",
    "SuperposeError",
    "SuperposeWarning",
]

EXTRA_OF = {
    "accelerate": "study",
    "datasets": "study",
    "filelock": "study",
    "gguf": "gguf",
    "huggingface_hub": "hub",
    "jinja2": "report",
    "lm_eval": "lm-eval",
    "peft": "study",
    "pydantic": "study",
    "pyarrow": "library",
    "ray": "ray",
    "scipy": "study",
    "sklearn": "extract",
    "submitit": "slurm",
    "torch": "study",
    "transformers": "study",
    "yaml": "study",
}
"""Importable name of each optional dependency -> the extra that brings it."""

_INSTALLED_AS = {"lm_eval": "lm-eval", "sklearn": "scikit-learn", "yaml": "pyyaml"}


class SuperposeError(Exception):
    """Base of superpose's errors.

    problem: one sentence, what is wrong. where: the file, setting or tensor it is about.
    hint: what to do. The parts stay readable as attributes; `str()` joins them.
    """

    exit_code = 2

    def __init__(self, problem: str, *, where: object = None, hint: str | None = None) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(problem)

    def __str__(self) -> str:
        text = self.problem if self.where is None else f"{self.where}: {self.problem}"
        return text if self.hint is None else f"{text}\n{self.hint}"


class BadInput(SuperposeError):
    """What was given cannot be used as it is."""


class Refused(BadInput):
    """What was given is understood, and a sum of LoRA deltas cannot hold it."""


class BadSetting(BadInput):
    """A setting of a verb cannot be used. `where` is its name in Python.

    The command line names its option: `max_tokens` is `--max-tokens` there.
    """


class DifferentBase(BadInput):
    """The adapters were trained on different base models."""


class OutputExists(BadInput):
    """The output path is taken; nothing was written."""


class Missing(SuperposeError):
    """The question could not be answered because something is not here."""

    exit_code = 3


class MissingBase(Missing):
    """The base model could not be found."""


class MissingExtra(Missing):
    """An optional dependency is not installed."""


class DoesNotHold(SuperposeError):
    """A condition asked for with `--fail-on` or `--verify` did not hold."""

    exit_code = 1


class SuperposeWarning(UserWarning):
    """Something worth knowing that does not stop the work."""


@contextmanager
def placed(where: object, about: str = "") -> Iterator[None]:
    """Let a BadInput from inside say where: the file, mostly, that its reader did not know.

    about: goes before the problem. A setting that a Refused names stands behind the place. An
    OSError becomes a BadInput.
    """
    try:
        yield
    except BadInput as error:
        setting = f" ({error.where})" if isinstance(error, Refused) and error.where else ""
        error.problem = f"{about} {error.problem}" if about else error.problem
        error.where = f"{where}{setting}"
        raise
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", where=where) from error


def listed(names: Sequence[str], most: int = 1, form: str = "`{}`") -> str:
    """Give the first of these names, and how many more there are: "`a`, `b` and 3 more"."""
    more = len(names) - most
    return ", ".join(map(form.format, names[:most])) + (f" and {more:,} more" if more > 0 else "")


def bullets(reasons: Sequence[str], most: int | None = None) -> str:
    """Give reasons as lines below the sentence that they belong to, the first `most` of them."""
    more = len(reasons) - (most or len(reasons))
    said = [*reasons[:most], f"and {more:,} more"] if more > 0 else reasons
    return "".join(f"\n  - {reason}" for reason in said)


def missing_extra(module: str | None, what: str = "this", where: object = None) -> MissingExtra:
    """Say that `what` needs a package that an extra brings. module: its importable name."""
    name = (module or "").partition(".")[0]
    return MissingExtra(
        f"{what} needs {_INSTALLED_AS.get(name, name) or 'a package'}, which is not installed",
        where=where,
        hint=f'Install it with: pip install "superpose[{EXTRA_OF.get(name, "study")}]"',
    )
