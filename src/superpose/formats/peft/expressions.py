"""Regular expressions out of a configuration that somebody else wrote, kept from running for ever.

Python matches by trying every way that an expression can divide a name, and `(a+)+z` divides
thirty letters in a thousand million ways. A bound on the number of ways is read off the expression
before it meets a name: an unbounded quantifier may end anywhere in the name, an optional part is
there or not, branches that could both match count each. What is repeated must itself have one way.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from superpose.errors import BadInput

LONGEST = 50_000
"""Characters of an expression. One that spells out every module of a large model takes 20,000."""

MOST_KEYS = 20_000
"""Keys of one field; with LONGEST_OF_ALL, compiling them takes seconds at the very worst."""

LONGEST_OF_ALL = 1_000_000
"""Characters of all keys of one field together."""

MOST_WAYS = 1e9
"""Ways over all expressions and module names of one field: less than a minute at the very worst.
Unsloth's pattern, four `.*` in a row, takes a tenth of it on a 7B model."""

_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?#[^)]*\)|\(\?(?:P<\w+>|P=\w+|<?[=!]|[:>]|\([^)]*\)|"
    r"[a-zA-Z-]+[:)])|\(|\)|\||(?:[*+?]|\{\d*,\d*\}|\{\d+\})[+?]?|.",
    re.DOTALL,
)
_QUANTIFIER = re.compile(r"([*+?]|\{(\d*)(,?)(\d*)\})[+?]?")
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]|\\[uUNx]")
_MOST_REPEATS = 1000
_MOST_STARS = 20


@dataclass(frozen=True)
class Ways:
    """In how many ways an expression divides a name. stars: that may end anywhere; others: product.

    Of a sequence both add up; of branches the larger number of stars counts, and the sum of others.
    times: how often counted repetitions, one inside the other, go through what is innermost.
    """

    stars: int = 0
    others: float = 1.0
    times: int = 1

    def on(self, length: int) -> float:
        """Give the bound for a name of so many characters."""
        if self.stars > _MOST_STARS:
            return math.inf
        return math.comb(length + self.stars, self.stars) * self.others

    def then(self, after: Ways) -> Ways:
        """Give the ways of one expression behind another."""
        times = max(self.times, after.times)
        return Ways(self.stars + after.stars, self.others * after.others, times)


@dataclass
class _Group:
    """An open group. literal: of the branch being read, None once it is more than characters."""

    done: list[tuple[Ways, str | None]] = field(default_factory=list)
    before: Ways = field(default_factory=Ways)
    atom: Ways = field(default_factory=Ways)
    literal: str | None = ""

    def take(self, atom: Ways, literal: str | None) -> None:
        self.before, self.atom = self.before.then(self.atom), atom
        known = self.literal is not None and literal is not None
        self.literal = f"{self.literal}{literal}" if known else None

    def end_branch(self) -> None:
        self.done.append((self.before.then(self.atom), self.literal))
        self.before, self.atom, self.literal = Ways(), Ways(), ""

    def close(self) -> Ways:
        self.end_branch()
        stars = max(ways.stars for ways, _ in self.done)
        times = max(ways.times for ways, _ in self.done)
        plain = [literal.lower() for _, literal in self.done if literal is not None]
        if len(plain) == len(self.done):
            return Ways(stars, _chain(plain), times)
        return Ways(stars, sum(ways.others for ways, _ in self.done), times)


def compiled(expression: str, name: str, *, ends: bool = False) -> tuple[re.Pattern[str], Ways]:
    """Compile an expression of the field `name`, with the bound of the ways it can match in.

    ends: it names the end of a module's name, from a dot on, as in PEFT's `get_pattern_key`.
    Raises BadInput when it is no regular expression, and as `ways` does.
    """
    if len(expression) > LONGEST:
        raise BadInput(f"an expression of {name} has {len(expression):,} characters")
    # Letters beyond ASCII are equal to others when case is ignored, and a range of them is walked
    # letter by letter when it is compiled.
    if _IGNORES_CASE.search(expression) and _BEYOND_ASCII.search(expression):
        raise _refused(expression, name, "it ignores the case of letters beyond ASCII")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # `[[` may mean a set in a set one day
            pattern = re.compile(rf"(.*\.)?({expression})$" if ends else expression)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        raise BadInput(
            f"{expression[:80]!r} of {name} is no regular expression ({error})"
        ) from error
    bound = ways(expression, name)
    # What the prefix `(.*\.)?` can be: one star, there or not.
    return pattern, Ways(1, 2.0).then(bound) if ends else bound


def ways(expression: str, name: str) -> Ways:
    """Give the bound of a valid expression; name: of the field it stands in, for messages.

    Raises BadInput when the expression repeats what can itself be matched in several ways, or uses
    what this reading does not know (conditions, verbose mode).
    """
    groups = [_Group()]
    for token in _TOKEN.findall(expression):
        if token.startswith("(?(") or re.match(r"\(\?[a-zA-Z-]*x", token):
            raise _refused(expression, name, f"`{token}` is not supported")
        if token.startswith("(?") and token.endswith(")"):
            continue  # flags for all of it, or a comment
        if token.startswith("("):
            groups.append(_Group())
        elif token == ")":
            inner = groups.pop().close()
            groups[-1].take(inner, None)
        elif token == "|":
            groups[-1].end_branch()
        elif quantifier := _QUANTIFIER.fullmatch(token):
            groups[-1].atom = _repeated(groups[-1].atom, quantifier, expression, name)
            groups[-1].literal = None
        else:
            plain = token == r"\." or token[0] not in r"[.\^$"
            groups[-1].take(Ways(), token if plain else None)
    return groups[0].close()


def check_keys(keys: Collection[str], name: str) -> None:
    """Raise BadInput when the field `name` has more, or longer, keys than are worth compiling."""
    length = sum(map(len, keys))
    if len(keys) > MOST_KEYS or length > LONGEST_OF_ALL:
        raise BadInput(
            f"{name} has {len(keys):,} keys of {length:,} characters together; superpose reads "
            f"{MOST_KEYS:,} keys and {LONGEST_OF_ALL:,} characters at most",
            hint="Join keys of one value into one expression, for example `.*\\.(q|v)_proj`.",
        )


def total_ways(bounds: Iterable[Ways], modules: Iterable[str]) -> float:
    """Give the bound for all these expressions with all these names of modules."""
    lengths = Counter(map(len, modules))
    return sum(
        bound.on(length) * times * names
        for bound, times in Counter(bounds).items()
        for length, names in lengths.items()
    )


def _repeated(atom: Ways, quantifier: re.Match[str], expression: str, name: str) -> Ways:
    sign, low, comma, high = quantifier.groups()
    if sign == "?":
        return replace(atom, others=atom.others + 1)
    least = int(low or 0)
    most = int(high) if high else (least if sign[0] == "{" and not comma else math.inf)
    if atom.stars or atom.others > 1:
        raise _refused(expression, name, "it repeats a group that is itself variable")
    if least > _MOST_REPEATS or (most > _MOST_REPEATS and most != math.inf):
        raise _refused(expression, name, f"`{sign}` repeats too often")
    times = atom.times * int(max(1, least if most == math.inf else most))
    if times > _MOST_REPEATS:
        raise _refused(expression, name, f"`{sign}` repeats what is repeated too often")
    return Ways(1, 1.0, times) if most == math.inf else Ways(0, most - least + 1, times)


def _refused(expression: str, name: str, problem: str) -> BadInput:
    return BadInput(
        f"the expression {expression[:80]!r} of {name} is refused: {problem}, and matching it "
        "could take for ever",
        hint="Write it without nested quantifiers, for example `.*\\.(q|v)_proj`.",
    )


def _chain(literals: list[str]) -> float:
    """Give how many of these at most begin one name: the longest chain of prefixes."""
    chain: list[str] = []
    longest = 0
    for literal in sorted(literals):
        while chain and not literal.startswith(chain[-1]):
            chain.pop()
        chain.append(literal)
        longest = max(longest, len(chain))
    return float(longest)
