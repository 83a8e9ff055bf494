"""Settings dataclasses as options: one option for each field, with its default and its help."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer

from superpose.errors import BadInput, BadSetting
from superpose.option import Option

__all__ = ["key_values", "unfolded"]


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command that typer takes: a parameter that is a dataclass becomes its fields.

    Field names must differ from each other and from the other parameters. The dataclass is made
    again from the options' values before `command` is called.
    """
    folded: dict[str, tuple[type, dict[str, Callable[[Any], Any]]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind = parameter.annotation
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            fields = list(_fields(kind))
            parameters += (_parameter(field) for field in fields)
            folded[parameter.name] = kind, {field.name: _reader(field) for field in fields}
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, (kind, readers) in folded.items():
            given[name] = kind(**{field: read(given.pop(field)) for field, read in readers.items()})
        command(**given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__  # typer would read its signature
    return run


class _Field(NamedTuple):
    name: str
    hint: Any
    default: Any
    option: Option


def _fields(kind: type) -> Iterator[_Field]:
    """Give each field that has an option, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, said = get_args(hints[field.name])[:2]
        option = said if isinstance(said, Option) else Option(said)
        if option.in_shell:
            yield _Field(field.name, hint, field.default, option)


def _parameter(field: _Field) -> inspect.Parameter:
    """Give the keyword parameter that typer reads; several values are a list of words."""
    hint, default, option = field.hint, field.default, field.option
    if get_origin(hint) in (tuple, dict):
        hint, default = list[get_args(hint)[0]] | None, None  # type: ignore[misc]
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            hint, typer.Option(*option.flags, help=option.help, metavar=option.metavar)
        ],
    )


def _reader(field: _Field) -> Callable[[Any], Any]:
    """Give what makes the field's value of what typer gives."""
    if get_origin(field.hint) is dict:
        return lambda pairs: key_values(field.name, pairs or ())
    if get_origin(field.hint) is tuple:
        return lambda words: tuple(_parts(words or (), field.option.separator))
    return lambda value: value


def _parts(words: Iterable[Any], separator: str) -> Iterator[Any]:
    for word in words:
        yield from filter(None, map(str.strip, word.split(separator))) if separator else (word,)


def key_values(name: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` options; values are YAML (numbers, true, lists).

    name: of the option. Raises BadSetting for a word without either side.
    """
    found = {}
    for pair in pairs:
        from superpose.training.yaml_text import yaml_value

        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadSetting(f"`{pair}` is not KEY=VALUE", where=name)
        try:
            found[key] = yaml_value(value, name)
        except BadInput:  # text that happens to look like YAML
            found[key] = value
    return found
