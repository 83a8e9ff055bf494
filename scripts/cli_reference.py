"""Write docs/cli.md: the help of every command, as the commands themselves give it.

Run `make docs` after changing a command; tests/docs/test_cli_reference.py fails until then.
"""

from __future__ import annotations

from pathlib import Path

import typer

from superpose.cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
WIDTH = 90

HEAD = """\
# The command line

Made by `make docs` from the commands' own help.

Exit codes: 0 done; 1 a condition asked for with `--fail-on` or `--verify` did not hold; 2 bad
input; 3 could not check, because a base model or an extra is missing. With `--json` the answer
stands alone on standard output; everything else goes to standard error.
"""


def reference() -> str:
    """The page, as Markdown."""
    root = typer.main.get_command(app)
    # As when it is called: without them the help would not name `-h`.
    settings = root.context_settings
    parent = typer.Context(root, info_name="superpose", terminal_width=WIDTH, **settings)
    sections = [_section("superpose", parent)]
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
        sections.append(_section(f"superpose {name}", context))
    return "\n".join([HEAD, *sections])


def _section(title: str, context: typer.Context) -> str:
    lines = (line.rstrip() for line in context.get_help().splitlines())
    return f"## {title}\n\n```text\n" + "\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"wrote {PAGE}")
