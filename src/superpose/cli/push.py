"""`superpose push`: an adapter to the Hugging Face hub."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.options import IgnoreKey, Json, Quiet

__all__ = ["push"]


def push(
    adapter: Annotated[
        str,
        typer.Argument(
            metavar="ADAPTER",
            help="A PEFT folder, an adapter file or a hub name.",
            show_default=False,
        ),
    ],
    repository: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY",
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
    _quiet: Quiet = False,
) -> None:
    """Send an adapter to the Hugging Face hub: its own files, in one commit.

    The adapter is read first; what is none is refused. Of a folder go configuration, weights,
    model card, tokenizer and training record, never a checkpoint or a pickle beside them. It needs
    a token that may write: `hf auth login`, or HF_TOKEN.

    Example: superpose push both org/both --private
    """
    from superpose.cli.console import answer
    from superpose.verbs.push import push as push_adapter

    pushed = push_adapter(
        adapter, repository, branch=branch, private=private, message=message,
        ignore_keys=ignore_key or (), dry_run=dry_run,
    )  # fmt: skip
    answer(pushed, json)
