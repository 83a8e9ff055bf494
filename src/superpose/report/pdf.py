"""A drawing as a PDF of one page, its size the drawing's: lines and words, no picture.

As ISO 32000-1 has it: five objects and a table of where they begin. Words are in Helvetica, which
readers bring; a character that Windows' Latin alphabet lacks is a question mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from superpose.report.drawing import SIZE, Disc, Drawing, Filled, Point, Straight, Stroke, Word
from superpose.report.helvetica import text_width

__all__ = ["pdf_bytes"]

_ROUND = 0.5523
"""Control points of a quarter circle, by its radius."""


def pdf_bytes(drawing: Drawing) -> bytes:
    """Give the file, the same for the same drawing."""
    content = "\n".join(line for one in drawing.strokes for line in _operators(one, drawing.height))
    stream = content.encode("cp1252", errors="replace")
    shades = sorted({s.opacity for s in drawing.strokes if isinstance(s, Filled)} | {1.0})
    states = " ".join(f"/{_state(opacity)} << /ca {opacity:g} >>" for opacity in shades)
    page = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {drawing.width:g} {drawing.height:g}] "
        f"/Resources << /Font << /F 5 0 R >> /ExtGState << {states} >> >> /Contents 4 0 R >>"
    )
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page.encode("ascii"),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        font.encode("ascii"),
    ]
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    """Put objects behind each other, and the table of their places behind them."""
    whole, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(whole))
        whole += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(whole)
    whole += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        whole += b"%010d 00000 n \n" % place
    whole += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    whole += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(whole)


def _operators(one: Stroke, height: float) -> Iterator[str]:
    """Give what draws a stroke. height: of the page, whose zero is at the bottom."""

    def at(point: Point) -> str:
        return f"{round(point[0], 2):g} {round(height - point[1], 2):g}"

    if isinstance(one, Straight):
        dash = " ".join(f"{length:g}" for length in one.dash)
        yield f"{_colour(one.colour)} RG {one.width:g} w [{dash}] 0 d"
        yield f"{at(one.start)} m {at(one.end)} l S"
    elif isinstance(one, Filled):
        first, *others = one.corners
        yield f"/{_state(one.opacity)} gs {_colour(one.colour)} rg {at(first)} m"
        yield f"{' '.join(f'{at(corner)} l' for corner in others)} h f /{_state(1.0)} gs"
    elif isinstance(one, Disc):
        yield f"{_colour(one.colour)} rg {_circle(one, at)} f"
    else:
        place = at(_start(one))
        yield f"{_colour(one.colour)} rg BT /F {SIZE:g} Tf {place} Td ({_text(one)}) Tj ET"


def _circle(one: Disc, at: Callable[[Point], str]) -> str:
    (x, y), r = one.centre, one.radius
    k = _ROUND * r
    curves = (
        ((x + r, y - k), (x + k, y - r), (x, y - r)),
        ((x - k, y - r), (x - r, y - k), (x - r, y)),
        ((x - r, y + k), (x - k, y + r), (x, y + r)),
        ((x + k, y + r), (x + r, y + k), (x + r, y)),
    )
    drawn = " ".join(f"{' '.join(map(at, curve))} c" for curve in curves)
    return f"{at((x + r, y))} m {drawn}"


def _start(word: Word) -> Point:
    """Give where a word begins, wherever it is held."""
    share = {"start": 0.0, "middle": 0.5, "end": 1.0}[word.anchor]
    return word.at[0] - share * text_width(word.text, SIZE), word.at[1]


def _text(word: Word) -> str:
    text = word.text.replace("\u2212", "\u2013")  # that alphabet has no minus sign
    return "".join(f"\\{letter}" if letter in "()\\" else letter for letter in text)


def _state(opacity: float) -> str:
    return f"G{round(100 * opacity)}"


def _colour(colour: str) -> str:
    parts = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return " ".join(f"{part:.3f}" for part in parts)
