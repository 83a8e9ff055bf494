"""JUnit XML, as Jenkins, GitLab and GitHub's actions read it."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from superpose.shown.gate import Tested, Tests, plain

__all__ = ["junit"]


def junit(run: Tests) -> str:
    """Give a run as a file of one suite: a test case for each thing that was tested."""
    failed = sum(test.passed is False for test in run.tests)
    counts = (
        f'tests="{len(run.tests)}" failures="{failed}" '
        f'errors="{sum(test.passed is None for test in run.tests)}" time="{run.seconds:.3f}"'
    )
    suite = f"superpose {run.command}"
    cases = "".join(_case(suite, test) for test in run.tests)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="superpose" {counts}>\n'
        f'  <testsuite name={_quoted(suite)} {counts} skipped="0">\n{cases}'
        "  </testsuite>\n</testsuites>\n"
    )


def _case(suite: str, test: Tested) -> str:
    opening = f"    <testcase classname={_quoted(suite)} name={_quoted(test.name)}"
    if test.path is not None:
        opening += f" file={_quoted(test.path)}"
    if test.passed:
        return f'{opening} time="0"/>\n'
    kind = "error" if test.passed is None else "failure"
    first = test.said.partition("\n")[0]
    return (
        f'{opening} time="0">\n      <{kind} type={_quoted(test.rule)} message={_quoted(first)}>'
        f"{escape(plain(test.said))}</{kind}>\n    </testcase>\n"
    )


def _quoted(text: str) -> str:
    # A parser makes a space of a line break in an attribute.
    return quoteattr(plain(text).replace("\n", "\\n"))
