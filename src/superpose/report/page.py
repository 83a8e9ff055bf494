"""One self-contained HTML page: sections in, a file out that opens from disk and asks nobody.

Styles, scripts and data are written into the page. Whatever comes from outside is escaped: by
jinja2 between the tags, by `json_in_html` in the data, by the scripts in what they draw. A content
security policy in the page forbids requests on top of that.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose._version import __version__
from superpose.errors import BadInput, OutputExists, missing_extra
from superpose.files import check_writable, new_file, without_nan
from superpose.report.texts import prose, visible_on_page

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Page", "Section", "json_in_html", "ready", "render", "write_page"]

HERE = Path(__file__).parent

MARK = b'<meta name="generator" content="superpose'
"""What tells an earlier page from a file that is none of ours."""

STYLES = ("base", "parts", "heat", "table", "desk", "chart", "graph", "print")
SCRIPTS = (
    *("start", "copy", "picture", "table", "more", "heat"),
    *("model", "right", "score", "address", "desk", "run"),
)

_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Section:
    """One part of a page.

    key: its anchor, and the name of its data for the scripts. title: its heading. template: the
    file under `templates` that shows `values`. data: JSON for the scripts; None for none.
    """

    key: str
    title: str
    values: Mapping[str, Any]
    data: Any = None
    template: str = ""

    @property
    def file(self) -> str:
        """The template's file name."""
        return f"{self.template or self.key}.jinja"


@dataclass(frozen=True)
class Page:
    """A page: its title, the line below it, and the sections in order.

    Raises ValueError for two sections of one anchor: the scripts would find one's data for both.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...] = field(default=())

    def __post_init__(self) -> None:
        keys = [section.key for section in self.sections]
        if len(set(keys)) < len(keys):
            raise ValueError(f"two sections of one page have one anchor: {', '.join(keys)}")


def ready(target: str | Path) -> None:
    """Find out before the work whether a page can be written.

    Raises MissingExtra where jinja2 is not here, OutputExists where something stands at `target`
    that is no page of superpose, BadInput where the system would refuse to write.
    """
    _jinja()
    check_writable(target)
    _check_replaceable(Path(target))


def render(page: Page) -> str:
    """Give the page as HTML. Raises MissingExtra where jinja2 is not installed."""
    template = _environment().get_template("page.jinja")
    data = {s.key: s.data for s in page.sections if s.data is not None}
    return template.render(
        page=page,
        version=__version__,
        styles="\n".join(_asset(f"{name}.css") for name in STYLES),
        script="\n".join(_asset(f"{name}.js") for name in SCRIPTS),
        data=json_in_html(data),
    )


def write_page(target: str | Path, page: Page) -> None:
    """Write the page whole, or not at all; an earlier page of superpose is replaced.

    Raises what `ready` does.
    """
    ready(target)
    text = render(page)
    with new_file(target) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def json_in_html(value: object) -> str:
    """Give JSON that stands in a script element: nothing in it ends the element.

    Text is as the page shows it (`visible`); a figure that does not exist is null.
    """
    text = json.dumps(
        _shown(without_nan(value)), ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return text.translate(_ESCAPES)


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {visible_on_page(str(key)): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return visible_on_page(value)


def _check_replaceable(target: Path) -> None:
    """Let a page be written anew, and no other file be lost."""
    if target.is_dir():
        raise OutputExists("is a folder, not a file; nothing was written", where=target)
    if not target.exists():
        return
    start = b""
    try:
        if target.is_file():  # and not a pipe or a device, which may never end
            with target.open("rb") as file:
                start = file.read(2048)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", where=target) from error
    if MARK not in start:
        raise OutputExists(
            "already exists and is no page of superpose; nothing was written",
            where=target,
            hint="Give another file with --html.",
        )


@functools.cache
def _environment() -> Environment:
    jinja2 = _jinja()
    environment: Environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible_on_page,
    )
    environment.filters["prose"] = prose
    return environment


def _jinja() -> Any:
    try:
        import jinja2
    except ModuleNotFoundError:
        raise missing_extra("jinja2", "a page") from None
    return jinja2


def _asset(name: str) -> str:
    return (HERE / "assets" / name).read_text(encoding="utf-8")
