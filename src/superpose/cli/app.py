"""The program `superpose`: finds the command that was asked for, and ends it in one place.

A command is a plain function in a file of its own, named in `COMMANDS` and imported only when it
runs, so that `superpose check` never pays for what `superpose train` needs. `main` alone turns
what goes wrong into a message on standard error and an exit code:

    0    done
    1    a condition asked for with --fail-on or --verify did not hold
    2    bad input, or a wrong command line
    3    could not check: a base model or an extra is missing
    129  hung up, 130 interrupted (Ctrl-C), 143 terminated, as shells count it
    141  the reader of our output went away (`| head`), as shells count it

A traceback means a bug.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TextIO, cast

import typer
from typer.core import TyperGroup

from superpose._version import __version__
from superpose.cli.completion import also_called, completed, said_plainly
from superpose.cli.console import as_csv, hush, note, one_line
from superpose.cli.streams import discard_the_rest, signals_end_the_run, usable_streams
from superpose.cli.typed import remembered
from superpose.errors import (
    EXTRA_OF,
    BadInput,
    BadSetting,
    MissingExtra,
    SuperposeError,
    SuperposeWarning,
    missing_extra,
)
from superpose.verbs.notes import heard_by

__all__ = ["COMMANDS", "EXTRA_OF", "app", "main"]

# Name of each command -> module:function, in the order in which `superpose --help` lists them.
COMMANDS = {
    "demo": "superpose.cli.demo:demo",
    "check": "superpose.cli.check:check",
    "add": "superpose.cli.add:add",
    "info": "superpose.cli.info:info",
    "bake": "superpose.cli.bake:bake",
    "verify": "superpose.cli.verify:verify",
    "diff": "superpose.cli.diff:diff",
    "index": "superpose.cli.index:index",
    "near": "superpose.cli.near:near",
    "dupes": "superpose.cli.dupes:dupes",
    "lineage": "superpose.cli.lineage:lineage",
    "unmix": "superpose.cli.unmix:unmix",
    "compress": "superpose.cli.compress:compress",
    "expand": "superpose.cli.expand:expand",
    "extract": "superpose.cli.extract:extract",
    "push": "superpose.cli.push:push",
    "train": "superpose.cli.train:train",
    "statistics": "superpose.cli.statistics:statistics",
    "eval": "superpose.cli.eval_:evaluate",
    "ask": "superpose.cli.ask:ask",
    "predict": "superpose.cli.predict:predict",
    "tune": "superpose.cli.tune:tune",
    "compare": "superpose.cli.compare:compare",
    "study": "superpose.cli.study:study",
    "cite": "superpose.cli.cite:cite",
    "help": "superpose.cli.help_:show_help",
}

# What a verb calls a setting -> what the command line calls it, where that is another word.
_OPTIONS = {"engine": "for", "ignore_keys": "ignore_key"}

_WrongCommandLine = cast("type[Exception]", typer.BadParameter.__base__)
"""What the parser raises for every wrong command line; typer has a click of its own, or not."""

_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}
# Plain help: rich would read `superpose[study]` as markup, and costs 0.1 s more.
_PLAIN: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}


class LazyCommands(Mapping[str, Any]):
    """Name -> typer command, made from `COMMANDS` when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _load(name, COMMANDS[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class CommandTable(TyperGroup):
    """The group of all commands, each imported only when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = LazyCommands()  # type: ignore[assignment]

    def list_commands(self, ctx: object) -> list[str]:
        """The names of all commands, in the table's order."""
        return list(self.commands)

    def format_commands(self, ctx: object, formatter: Any) -> None:
        """List each command with its first sentence, wrapped where typer would cut it."""
        rows = [(name, made.get_short_help_str(limit=1000)) for name, made in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader that went away (`| head`) ends it without a word."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_the_rest(sys.stdout)
            raise typer.Exit(141) from None
        return result


app = typer.Typer(
    cls=CommandTable,
    name="superpose",
    no_args_is_help=True,
    context_settings=_SETTINGS,
    **_PLAIN,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"superpose {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def superpose(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    hub_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long the hub may be silent, or send less than 1,000 bytes a second, until "
            "the command ends with 3; 10 by default. SUPERPOSE_HUB_TIMEOUT says so for all.",
        ),
    ] = None,
) -> None:
    """An adapter is a vector. Add them.

    Adds LoRA adapters exactly, says beforehand whether they will add up, and proves it on a real
    language model. `superpose COMMAND --help` tells more, with an example.
    """
    if hub_timeout is not None:
        from superpose.files.hub_wait import VARIABLE  # NumPy comes with it

        os.environ[VARIABLE] = f"{hub_timeout:g}"


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code.

    args: the arguments after the program's name; those of the process when None.
    """
    with signals_end_the_run(), usable_streams() as stdout, _warnings_as_notes(), heard_by(note):
        code = _run(args)
        if stdout.reader_left:
            discard_the_rest(cast("TextIO", stdout))
            code = 141
    sys.exit(code)


def _run(args: Sequence[str] | None) -> int:
    """The exit code of one run; messages go to standard error."""
    try:
        code = _called(args)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_the_rest(sys.stdout)
        return 141
    except ModuleNotFoundError as error:
        missing = _missing_extra(error)
        if missing is None:
            raise
        return _fail(missing)
    except SuperposeError as error:
        return _fail(error)
    except (OSError, MemoryError) as error:  # no right to write, no room: the system said so
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return _fail(BadInput(f"the system refuses: {why}", where=getattr(error, "filename", None)))
    return code


def _called(args: Sequence[str] | None) -> int:
    hush(False)
    as_csv(False)
    command = typer.main.get_command(app)
    try:
        with remembered(sys.argv[1:] if args is None else args):
            ended = command.main(args=args, prog_name="superpose", standalone_mode=False)
    except SystemExit as end:  # what completes in a shell ends so
        ended = end.code
    except _WrongCommandLine as error:
        return _fail_usage(error)
    return ended if isinstance(ended, int) else 0


def _fail_usage(error: Any) -> int:
    """Say what is wrong with a command line, as all else that is wrong is said."""
    if error.ctx is None or type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        said = error.format_message().rstrip(".")
        note(
            "error", f"{said[:1].lower()}{said[1:]}\n`{error.ctx.command_path} --help` tells more."
        )
    return int(error.exit_code)


def _fail(error: SuperposeError) -> int:
    place = _option(error.where) if isinstance(error, BadSetting) else error.where
    where = "" if place is None else f"{one_line(place)}: "
    # A list of reasons stands on lines of its own, and so does the hint; a name must not.
    problem = re.sub(r"\n(?!  - )", r"\\n", error.problem)
    hint = "" if error.hint is None else f"\n{error.hint}"
    note("error", f"{where}{problem}{hint}")
    return error.exit_code


def _option(settings: str | None) -> str:
    """What a shell calls settings that a verb calls `max_tokens` or `least, most`."""
    return re.sub(r"[a-z]\w*", lambda name: f"--{_named(name[0])}", settings or "")


def _named(setting: str) -> str:
    return _OPTIONS.get(setting, setting).replace("_", "-")


def _missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """What to tell the user when an optional dependency is not installed; None for a bug."""
    name = (error.name or "").partition(".")[0]
    return missing_extra(name) if name in EXTRA_OF else None


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Show superpose's own warnings as one line each, without file and line number."""
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, SuperposeWarning):
            note("warning", one_line(message))
        else:
            usual(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _load(name: str, target: str) -> Any:
    """The typer command `name`, made from the function that `target` names."""
    module, _, function = target.partition(":")
    single = typer.Typer(add_completion=False, context_settings=_SETTINGS, **_PLAIN)
    single.command(name)(getattr(importlib.import_module(module), function))
    command = typer.main.get_command(single)
    for parameter in command.params:
        said_plainly(parameter)
        completed(parameter)
    also_called(command.params)
    return command
