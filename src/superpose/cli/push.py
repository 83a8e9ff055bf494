"""`superpose push`: an adapter to the Hugging Face hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import one_line, out, print_json
from superpose.cli.options import IgnoreKey, Json

if TYPE_CHECKING:
    from superpose.formats.pushing import Pushed

__all__ = ["push"]


def push(
    adapter: Annotated[
        str,
        typer.Argument(help="A PEFT folder, an adapter file or a hub name.", show_default=False),
    ],
    repository: Annotated[
        str,
        typer.Argument(
            help="org/name, or a folder in it: org/name/folder. It is made where there is none.",
            show_default=False,
        ),
    ],
    private: Annotated[
        bool,
        typer.Option("--private", help="Make it private; nothing is sent to a public one."),
    ] = False,
    branch: Annotated[
        str | None,
        typer.Option("--branch", "--revision", help="The branch, made where there is none."),
    ] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Of the commit.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    ignore_key: IgnoreKey = None,
    json: Json = False,
) -> None:
    """Send an adapter to the Hugging Face hub: its own files, in one commit.

    The adapter is read first; what is none is refused. Of a folder go configuration, weights,
    model card, tokenizer and training record, never a checkpoint or a pickle beside them. It needs
    a token that may write: `hf auth login`, or HF_TOKEN.

    Example: superpose push both org/both --private
    """
    from superpose.formats.pushing import push as push_adapter

    pushed = push_adapter(
        adapter,
        repository,
        branch=branch,
        private=private,
        message=message,
        ignore_keys=ignore_key or (),
        dry_run=dry_run,
    )
    if json:
        print_json({**pushed.to_json(), "dry_run": dry_run})
    else:
        _print(pushed)


def _print(pushed: Pushed) -> None:
    done = "would push" if pushed.commit is None else "pushed"
    lines = [f"{done} {one_line(pushed.name)} to {pushed.url}"]
    lines += [f"{size:>14,} bytes  {one_line(path)}" for path, size in pushed.files.items()]
    out().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
