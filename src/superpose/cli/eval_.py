"""`superpose eval`: the perplexity of every subset on every domain."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.options import (
    Adapters,
    AnswerColumn,
    Base,
    Dtype,
    IgnoreKey,
    Json,
    MaxTokens,
    QuestionColumn,
    Quiet,
    Rows,
    Template,
)

__all__ = ["evaluate"]


def evaluate(
    base: Base,
    adapters: Adapters,
    data: Annotated[
        list[str],
        typer.Option("--data", "-d", help="A domain's test questions; once for each domain."),
    ],
    only: Annotated[
        str, typer.Option(help="all: every subset; sum: base, singles and the whole sum.")
    ] = "all",
    max_tokens: MaxTokens = 128,
    template: Template = "",
    rows: Rows = None,
    question: QuestionColumn = "question",
    answer: AnswerColumn = "answer",
    seed: Annotated[int, typer.Option(help="Draws the rows; seeds the bootstrap.")] = 0,
    dtype: Dtype = "float32",
    ignore_key: IgnoreKey = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Conditional perplexity of base, singles and every sum, on every domain.

    Only the answers' tokens are scored, given their question. The interval is a 95 % bootstrap
    over questions. The base is loaded once; a subset is a choice of task weights.

    \b
    Example:
      superpose eval smollm2 math finance:0.5 --data math.test.jsonl --data finance.test.jsonl
    """
    from superpose.cli import running
    from superpose.cli.console import out, print_json, progress
    from superpose.cli.tables import evaluation_table
    from superpose.errors import BadInput
    from superpose.measure.sweep import evaluate_subsets, weightings
    from superpose.model import SuperposedModel, load_base

    if only not in {"all", "sum"}:
        raise BadInput(f"`{only}` is neither `all` nor `sum`", where="--only")
    loaded, weights = running.load_weighted(adapters, ignore_key, base)
    sources = running.domain_names(data)
    read = {name: running.read_all([s], question, answer) for name, s in sources.items()}
    model = load_base(base, dtype=dtype)
    prompt = running.prompt_of(model, max_tokens, template)
    examples = {n: running.encoded(n, found, prompt, rows, seed) for n, found in read.items()}
    points = weightings([adapter.name for adapter in loaded], weights, whole_only=only == "sum")
    with progress(quiet=quiet) as bars, SuperposedModel(model.model, loaded) as superposed:
        task = bars.add_task("evaluate", total=len(points) * sum(map(len, examples.values())))
        results = evaluate_subsets(
            superposed, points, examples, seed=seed, progress=lambda n: bars.advance(task, n)
        )
    if json:
        print_json({"base": model.name, "rows": [result.to_json() for result in results]})
    else:
        out().print(evaluation_table(results))
