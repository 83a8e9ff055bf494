"""`superpose help`: what --help says, asked for as git does."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from superpose.cli.options import Quiet

__all__ = ["show_help"]


def show_help(
    context: typer.Context,
    command: Annotated[
        str | None,
        typer.Argument(metavar="[COMMAND]", help="One of the commands.", show_default=False),
    ] = None,
    _quiet: Quiet = False,
) -> None:
    """Print the help of superpose, or of one of its commands.

    Example: superpose help check
    """
    above: Any = context.parent
    if command is None:
        print(above.get_help())  # noqa: T201
        return
    name, asked, _ = above.command.resolve_command(above, [command])
    with type(context)(asked, info_name=name, parent=above) as its:
        print(its.get_help())  # noqa: T201
