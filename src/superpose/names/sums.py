r"""A sum as people write it: `math + 0.5*medicine - finance`. The one grammar, for everywhere.

    sum      = [sign] term { operator [sign] term }
    operator = "+", or "-" with a space before it
    sign     = "+" or "-"
    term     = name | weight "*" name | name ":" [sign] weight | name ":" parts
    parts    = part "=" [sign] weight { "," part "=" [sign] weight }
    weight   = 2, 0.5, .5, 1e-3
    name     = letters, digits and any of . _ - / \ @ ~ # % =, also "://" and "C:\"
             | anything between quotes, 'a+b' or "a+b"; the quote itself stands twice in it

Spaces are free, but for the minus: names have hyphens, so `math-toxic` is one adapter's name, and
`math - toxic` is a difference. Where no space can stand, `math+-1*toxic` says the same. Parts are
those of an image LoRA, `cats.safetensors:te=0.5,unet=1`; one that is not named has weight 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeAlias

from superpose.errors import BadInput

__all__ = [
    "Weight",
    "is_sum",
    "parse_sum",
    "parse_terms",
    "parse_terms_by_part",
    "parse_weight",
    "write_sum",
    "written_parts",
]

Weight: TypeAlias = float | Mapping[str, float]
"""One number, or one for each part of an image LoRA."""

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_PLAIN_NUMBER = re.compile(_NUMBER)
_SPACE = re.compile(r"\s*")
_FACTOR = re.compile(rf"({_NUMBER})\s*\*\s*")
_NO_FACTOR = re.compile(r"([^\s+*'\"]*)\s*\*")
_BARE = re.compile(r"(?!-)(?:[\w./\\@~#%=-]|:(?=[/\\]))+")
_QUOTED = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_WEIGHT = re.compile(rf":([+-]?{_NUMBER})(?=[\s+]|$)")
_PART = rf"[A-Za-z]\w*=[+-]?{_NUMBER}"
_PARTS = re.compile(rf":({_PART}(?:,{_PART})*)(?=[\s+]|$)")
_OPERATOR = re.compile(r"\s*\+|\s+-")
_WORD = re.compile(r"\+|[^\s+]*")

_HINT = (
    "A sum is written math + 0.5*medicine - finance: weights before a *, a space before a minus, "
    "and quotes around a name with other characters: 'a+b'."
)


def parse_sum(text: str) -> list[tuple[str, float]]:
    """Give the adapters' names and task weights of a sum, in its order; what is bare has weight 1.

    A name that stands twice is there twice. Whether there is such an adapter, is not asked here.

    Raises BadInput, with the character that is wrong.

    >>> parse_sum("math + 0.5*medicine - org/finance@v1")
    [('math', 1.0), ('medicine', 0.5), ('org/finance@v1', -1.0)]
    """
    return [(name, 1.0 if weight is None else weight) for name, weight in parse_terms(text)]


def parse_terms(text: str) -> list[tuple[str, float | None]]:
    """Give what `parse_sum` gives; of one name that stands alone, without a weight, None for it."""
    found: list[tuple[str, float | None]] = []
    for name, weight in parse_terms_by_part(text):
        if isinstance(weight, Mapping):
            raise BadInput(
                f"weights by part ({written_parts(weight)}) are not taken here: they are for image "
                "LoRAs that are added",
                where=name,
            )
        found.append((name, weight))
    return found


def parse_terms_by_part(text: str) -> list[tuple[str, Weight | None]]:
    """Give what `parse_terms` gives, and where weights are by part those: a mapping.

    >>> parse_terms_by_part("cats.safetensors:te=0.5,unet=1 - dogs.safetensors")
    [('cats.safetensors', {'te': 0.5, 'unet': 1.0}), ('dogs.safetensors', -1.0)]
    """
    return _Reader(text).terms()


def parse_weight(text: str) -> Weight | None:
    """Give the weight that stands behind a name's colon, or the weights by part; None for neither.

    Raises BadInput for a part that stands twice, and for a number that is not finite.
    """
    if _PARTS.fullmatch(f":{text}"):
        return _parts(text)
    return float(text) if re.fullmatch(rf"[+-]?{_NUMBER}", text) else None


def written_parts(weights: Mapping[str, float]) -> str:
    """Write weights by part as they are read: `te=0.5,unet=1`."""
    return ",".join(f"{part}={weight:g}" for part, weight in weights.items())


def _parts(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for word in text.split(","):
        part, _, number = word.partition("=")
        if part in found:
            raise BadInput(f"`{part}` has two task weights: {text}")
        if not math.isfinite(float(number)):
            raise BadInput(f"`{number}` is no finite task weight")
        found[part] = float(number)
    return found


def _times(sign: float, weight: Weight | None) -> Weight:
    if isinstance(weight, Mapping):
        return {part: sign * each for part, each in weight.items()}
    return sign * (1.0 if weight is None else weight)


def is_sum(text: str) -> bool:
    """Say whether a text has what adds or weighs adapters, and cannot be one plain name or path."""
    return "*" in text or re.search(r"\+|^\s*-|\s-", text) is not None


def write_sum(terms: Iterable[tuple[str, float]]) -> str:
    """Give the text that `parse_sum` reads as these names and task weights: the same every time.

    Raises BadInput for a weight that is not finite, a name that no sum can hold, and no terms.

    >>> write_sum([("math", 1.0), ("medicine", 0.5), ("a+b", -1.0)])
    "math + 0.5*medicine - 'a+b'"
    """
    words: list[str] = []
    for name, weight in terms:
        if not math.isfinite(weight):
            raise BadInput(f"{weight} is no task weight", where=name)
        sign = "-" if weight < 0 else "+"
        size = abs(float(weight))
        factor = "" if size == 1.0 else f"{repr(size).removesuffix('.0')}*"
        words += [sign, f"{factor}{_written(name)}"]
    if not words:
        raise BadInput("a sum of no adapters cannot be written")
    first = words[1] if words[0] == "+" else "".join(words[:2])
    return " ".join([first, *words[2:]])


def _written(name: str) -> str:
    if not name or not name.isprintable():
        raise BadInput(f"{name!r} is no adapter's name that a sum can hold")
    if _BARE.fullmatch(name) and not _PLAIN_NUMBER.fullmatch(name):
        return name
    quote = '"' if "'" in name and '"' not in name else "'"
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


class _Reader:
    """Reads one sum from its first character to its last."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def terms(self) -> list[tuple[str, Weight | None]]:
        if not self.text.strip():
            self._refuse("an empty text is no sum")
        self._take(_SPACE)
        sign = self._sign()
        name, weight = self._term()
        bare = sign is None and weight is None
        found: list[tuple[str, Weight | None]]
        found = [(name, None if bare else _times(sign or 1.0, weight))]
        while self._take(_SPACE) and self.at < len(self.text):
            operator = self._operator()
            self._take(_SPACE)
            sign = operator * (self._sign() or 1.0)
            name, weight = self._term()
            found.append((name, _times(sign, weight)))
        if len(found) > 1 and found[0][1] is None:
            found[0] = found[0][0], 1.0
        return found

    def _operator(self) -> float:
        """Take a plus or a minus; spaces before it are taken already."""
        before = self.text[: self.at]
        spaced = self.text[len(before.rstrip()) :]
        if not _OPERATOR.match(spaced):
            word = self._word()
            self._refuse(f"a + or a - is missing before `{word}`")
        self.at += 1
        return -1.0 if self.text[self.at - 1] == "-" else 1.0

    def _sign(self) -> float | None:
        """Take one sign and what spaces follow it."""
        sign = self.text[self.at : self.at + 1]
        if sign not in ("+", "-"):
            return None
        self.at += 1
        self._take(_SPACE)
        return -1.0 if sign == "-" else 1.0

    def _term(self) -> tuple[str, Weight | None]:
        factor = self._factor()
        start = self.at
        if quoted := self._take(_QUOTED):
            single, double = quoted.groups()
            name = double.replace('""', '"') if single is None else single.replace("''", "'")
        else:
            name = self._bare()
        if not name or not name.isprintable():
            self._refuse(f"{name!r} is no adapter's name", start)
        weight = self._weight_behind() if self.text.startswith(":", self.at) else None
        if factor is not None and weight is not None:
            self._refuse(f"`{name}` has two task weights", start)
        self._nothing_more(name, start)
        return name, weight if factor is None else factor

    def _factor(self) -> float | None:
        """Take a weight and its star."""
        start = self.at
        if found := self._take(_FACTOR):
            return self._number(found[1], start)
        if other := _NO_FACTOR.match(self.text, start):
            said = f"`{other[1]}`" if other[1] else "nothing"
            self._refuse(f"{said} before the * is no task weight", start)
        return None

    def _bare(self) -> str:
        start = self.at
        found = self._take(_BARE)
        if found is None:
            if self.text[start : start + 1] in ("'", '"'):
                self._refuse("a quote is not closed")
            self._refuse(f"an adapter's name is missing{self._instead()}")
        if _PLAIN_NUMBER.fullmatch(found[0]):
            self._refuse(f"`{found[0]}` is a task weight without an adapter", start)
        return found[0]

    def _weight_behind(self) -> Weight:
        start = self.at
        if parts := self._take(_PARTS):
            return _parts(parts[1])
        found = self._take(_WEIGHT)
        if found is None:
            said = self._word()[1:]
            self._refuse(f"{f'`{said}`' if said else 'nothing'} after the colon is no task weight")
        return self._number(found[1], start + 1)

    def _number(self, text: str, start: int) -> float:
        number = float(text)
        if not math.isfinite(number):
            self._refuse(f"`{text}` is no finite task weight", start)
        return number

    def _nothing_more(self, name: str, start: int) -> None:
        """Refuse what touches a term and is no operator."""
        rest = self.text[self.at :]
        if rest.lstrip().startswith("*"):
            self._refuse(f"`{name}` before the * is no task weight", start)
        if rest.startswith("-"):
            self._refuse("a space is missing before the minus")
        if rest and not rest[0].isspace() and rest[0] != "+":
            self._refuse(f"`{rest[0]}` can stand in an adapter's name between quotes alone")

    def _instead(self) -> str:
        word = self._word()
        return f" where `{word}` stands" if word else ""

    def _word(self) -> str:
        found = _WORD.match(self.text, self.at)
        return found[0] if found else ""

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _refuse(self, problem: str, at: int | None = None) -> NoReturn:
        where = (self.at if at is None else at) + 1
        raise BadInput(f"{problem} (character {where})", where=f"the sum {self.text!r}", hint=_HINT)
