"""Settings dataclasses as options: one option for each field, with its default and its help."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from superpose.verbs.settings import Option

__all__ = ["unfolded"]


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command that typer takes: a parameter that is a dataclass becomes its fields.

    Field names must differ from each other and from the other parameters. The dataclass is made
    again from the options' values before `command` is called.
    """
    folded: dict[str, tuple[type, dict[str, bool]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind = parameter.annotation
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            options = list(_options(kind))
            parameters += options
            hints = get_type_hints(kind)
            folded[parameter.name] = kind, {o.name: _is_tuple(hints[o.name]) for o in options}
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, (kind, fields) in folded.items():
            values = {field: given.pop(field) for field in fields}
            lists = {f: tuple(values[f] or ()) for f, is_tuple in fields.items() if is_tuple}
            given[name] = kind(**{**values, **lists})
        command(**given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__  # typer would read its signature
    return run


def _options(kind: type) -> Iterator[inspect.Parameter]:
    """Give a keyword parameter for each field, in their order, as typer reads it."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, said = get_args(hints[field.name])[:2]
        option = said if isinstance(said, Option) else Option(said)
        default = field.default
        if _is_tuple(hint):
            hint, default = list[get_args(hint)[0]] | None, None  # type: ignore[misc]
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[
                hint, typer.Option(*option.flags, help=option.help, metavar=option.metavar)
            ],
        )


def _is_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple
