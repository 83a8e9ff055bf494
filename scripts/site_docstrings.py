"""Docstrings as Markdown: each argument a line of a list, and characters that stand for themselves.

The docstrings here say `A: (rank, in_features). rank: at least 1.` in one paragraph, which reads
well in an editor; on a page the arguments are wanted apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import griffe

__all__ = ["Readable", "as_markdown"]

_CODE = re.compile(r"(``.+?``|`[^`\n]+`)", re.DOTALL)
_RAISES = re.compile(r"(?<=[.;]) (?=Raises [A-Z])")


class Readable(griffe.Extension):
    """Rewrites what griffe read, before it is shown."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Called by griffe when a package is read, after its own extension for dataclasses."""
        _rewrite(pkg)


def as_markdown(text: str, names: Collection[str] = ()) -> str:
    """Give a docstring as Markdown.

    names: of the object's arguments and fields; each of them, where `name: ` starts a sentence of a
    paragraph that starts with one, becomes a line of a list. Paragraphs of code, which are indented
    by four spaces or are examples (`>>>`), stay; elsewhere, but in code spans, `<` and `*` are
    escaped: the docstrings' inner products, `<dW_i, dW_j>`, would be HTML tags.
    """
    blocks = re.split(r"\n[ \t]*\n", text)
    return "\n\n".join(_listed(_escaped(b), names) if not _is_code(b) else b for b in blocks)


def _rewrite(obj: griffe.Object) -> None:
    """Rewrite the docstrings of an object and of everything in it."""
    if obj.docstring is not None:
        obj.docstring.value = as_markdown(obj.docstring.value, set(_names(obj)))
    elif obj.is_attribute and obj.parent is not None and obj.parent.is_module:
        obj.docstring = griffe.Docstring("A constant.")  # shown only where it is public
    for member in obj.members.values():
        if isinstance(member, griffe.Object):
            _rewrite(member)


def _names(obj: griffe.Object) -> Iterator[str]:
    """Give the names of the arguments of a function, of the arguments and fields of a class."""
    if isinstance(obj, griffe.Class):
        yield from (name for name, member in obj.members.items() if member.is_attribute)
    if isinstance(obj, griffe.Function | griffe.Class):
        yield from (parameter.name for parameter in obj.parameters)


def _is_code(block: str) -> bool:
    return all(line.startswith(("    ", ">>>", "...")) for line in block.splitlines() if line)


def _escaped(block: str) -> str:
    parts = _CODE.split(block)  # every second one is code
    parts[::2] = [part.replace("<", "&lt;").replace("*", r"\*") for part in parts[::2]]
    return "".join(parts)


def _listed(block: str, names: Collection[str]) -> str:
    """Give a paragraph of arguments as a list; what it says is raised, as a paragraph after it."""
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    start = rf"(?P<names>(?:{known})(?:(?:, | and )(?:{known}))*)(?P<shape> \([^)]*\))?: "
    if not known or not re.match(start, block):
        return block
    text, *raised = _RAISES.split(" ".join(block.split()), maxsplit=1)
    entries = re.split(rf"(?:^|(?<=[.;]) )(?={start})", text)
    # `split` also gives what the groups found; whole entries alone start with a name and a colon.
    lines = [e for e in entries if e and re.match(start, e)]
    listed = "\n".join(f"- {re.sub(start, _marked, line, count=1)}" for line in lines)
    return "\n\n".join([listed, *raised])


def _marked(found: re.Match[str]) -> str:
    names = re.sub(r"\w+(?<!\band)", lambda name: f"`{name[0]}`", found["names"])
    return f"{names}{found['shape'] or ''}: "
