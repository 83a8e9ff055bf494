"""Files and functions stay as small as CONTRIBUTING says."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "superpose"
FILE, BODY = 300, 35
"""Lines of a file, and lines of code of a function's body."""

FILES = sorted(SOURCE.rglob("*.py"))
_NO_CODE = {
    tokenize.COMMENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.INDENT, tokenize.NEWLINE,
    tokenize.NL,
}  # fmt: skip


def bodies(text: str) -> Iterator[tuple[str, int]]:
    """Each function with its lines of code: without docstring, comments and blank lines."""
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            told = ast.get_docstring(function) is not None
            start = function.body[0].end_lineno if told else function.body[0].lineno - 1
            lines = range((start or 0) + 1, (function.end_lineno or 0) + 1)
            yield function.name, len(code.intersection(lines))


def test_lines_of_code_are_counted_and_no_others() -> None:
    text = '''
def outer(
    a: int,
) -> str:
    """Docstring.

    More of it.
    """
    # A comment.
    x = """two

    three lines"""  # and a comment

    def inner() -> int:
        return 1

    return (
        x
    )
'''
    assert dict(bodies(text)) == {"outer": 8, "inner": 1}


def test_no_file_is_long() -> None:
    lines = {str(path): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {path: count for path, count in lines.items() if count > FILE} == {}


def test_no_function_is_long() -> None:
    found = {
        f"{path}: {name}": size
        for path in FILES
        for name, size in bodies(path.read_text(encoding="utf-8"))
    }
    assert {name: size for name, size in found.items() if size > BODY} == {}
