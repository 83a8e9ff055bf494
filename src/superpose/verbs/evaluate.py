"""The perplexity of base, singles and every sum, on every domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from superpose.adapter import sum_or_formula
from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.shown import Column, Framed, Part, Shown, Table, four_digits
from superpose.verbs.accuracies import accuracy_parts
from superpose.verbs.adapters import Weighted
from superpose.verbs.base import Base, base_name_or_none, loaded_base_of
from superpose.verbs.images import no_images
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.prompts import asked_in, prompt_of
from superpose.verbs.questions import Data, DomainRows, drawn_rows, read_domains
from superpose.verbs.settings import Loading, Questions, held
from superpose.verbs.weights_file import TaskWeights, loaded_with_table

if TYPE_CHECKING:
    from superpose.data.prompt import Prompt
    from superpose.measure.domain_test import DomainTest
    from superpose.measure.sweep import Evaluation

__all__ = ["Evaluated", "TestQuestions", "evaluate"]


@dataclass(frozen=True)
class TestQuestions(Questions):
    """Questions that are scored."""

    __test__ = False  # pytest takes a class of such a name for tests

    seed: Annotated[int, "Draws the rows; seeds the bootstrap."] = 0
    exact_match: Annotated[
        int,
        "Let every question be answered greedily, in so many tokens at most, and count the answers "
        "that are the row's; 0 for not.",
    ] = 0


@dataclass(frozen=True)
class Evaluated(Framed, Shown):
    """The score of each weighting on each domain. prompt: what rows were asked in."""

    TABLE: ClassVar[str] = "evaluations"

    base: str
    evaluations: tuple[Evaluation, ...]
    prompt: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Give what `eval --json` prints."""
        found = [each.to_json() for each in self.evaluations]
        return {"base": self.base, "prompt": dict(self.prompt), "evaluations": found}

    def shown(self) -> tuple[Part, ...]:
        """Give weightings down and domains across: the perplexity and its interval."""
        tokens = {row.domain: row.score.tokens for row in self.evaluations}
        of_points: dict[int, list[Evaluation]] = {}
        for row in self.evaluations:
            of_points.setdefault(id(row.weighting), []).append(row)
        weights = Column("task weights", sum_or_formula)
        columns = (Column(f"{name}, {count} tokens", form="") for name, count in tokens.items())
        rows = (
            (weights.cell(row[0].weighting.weights), *map(_SCORE.cell, row))
            for row in of_points.values()
        )
        title = "Perplexity of the answers (95 % interval over questions)"
        perplexities = Table(title, (weights, *columns), tuple(rows))
        return (perplexities, *accuracy_parts(list(of_points.values())))


_SCORE = Column("perplexity", lambda row: row.score.perplexity, four_digits, ("low", "high"))


@typed
def evaluate(
    base: Base | None,
    adapters: Weighted,
    data: Data,
    only: str = "all",
    questions: TestQuestions = TestQuestions(),
    loading: Loading = Loading(),
    *,
    weights: TaskWeights = None,
    progress: Progress | None = None,
) -> Evaluated:
    """Score base, singles and sums on every domain: the perplexity of the answers' tokens.

    Rows with choices are scored on them as well: how often the right one is the likeliest.

    base: a name, or a loaded one; None for the adapters' own. adapters: names, each with its task
    weight behind a colon, a mapping of names to weights, or loaded ones. data: one set of test
    questions a domain. only: "all" subsets, or the base, each adapter alone and the "sum" of all.
    weights: those of the adapters, as `superpose.add` takes them. progress: called with rows
    scored, how many there are, and what is done.

    Raises BadInput, MissingBase and MissingExtra as reading and loading do.
    """
    if only not in {"all", "sum"}:
        raise BadSetting(f"`{only}` is neither `all` nor `sum`", where="only")
    held(questions, Questions, "questions")
    held(loading, Loading, "loading")
    from superpose.measure.sweep import evaluate_subsets, weightings
    from superpose.model import SuperposedModel

    parts, numbers = loaded_with_table(
        adapters, weights, base=base_name_or_none(base), ignore_keys=loading.ignore_keys
    )
    no_images(parts)
    read = read_domains(data, questions)
    if not read:
        raise BadSetting("there are no test questions", where="data")
    model = loaded_base_of(base, parts, loading)
    rows = {domain.name: domain.rows for domain in read}
    every = (row for of in rows.values() for row in of)
    prompt = prompt_of(model, questions.max_tokens, questions.template, every, parts)
    asked = asked_in(prompt, rows, parts)
    tests = {domain.name: _test_of(domain, prompt, questions) for domain in read}
    points = weightings([part.name for part in parts], numbers, whole_only=only == "sum")
    work = len(points) * sum(test.steps for test in tests.values())
    with SuperposedModel(model.model, parts) as superposed:
        found = evaluate_subsets(
            superposed,
            points,
            tests,
            seed=questions.seed,
            progress=advancing(progress, "evaluate", work),
        )
    return Evaluated(model.name, tuple(found), asked)


def _test_of(domain: DomainRows, prompt: Prompt, questions: Questions) -> DomainTest:
    """A domain's rows as tokens; a prompt comes with the torch that measuring takes."""
    from superpose.measure.domain_test import DomainTest

    rows = drawn_rows(domain.name, domain.rows, prompt, questions.rows, questions.seed)
    said = getattr(questions, "exact_match", 0)
    return DomainTest.of(rows, prompt, domain.name, said=said)
