"""`superpose eval`: the perplexity of every subset on every domain."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    base: Annotated[str, typer.Argument(help="smollm2, a transformers folder, or a hub name.")],
    adapters: Annotated[list[str], typer.Argument(help="Adapters, each PATH or PATH:WEIGHT.")],
    data: Annotated[
        list[str],
        typer.Option("--data", "-d", help="A domain's test questions; once for each domain."),
    ],
    only: Annotated[
        str, typer.Option(help="all: every subset; sum: base, singles and the whole sum.")
    ] = "all",
    max_tokens: Annotated[int, typer.Option(help="Longest question and answer.")] = 128,
    rows: Annotated[int | None, typer.Option(help="So many rows a domain, drawn by seed.")] = None,
    question: Annotated[str, typer.Option(help="Column of the question.")] = "question",
    answer: Annotated[str, typer.Option(help="Column of the answer.")] = "answer",
    seed: Annotated[int, typer.Option(help="Draws the rows; seeds the bootstrap.")] = 0,
    dtype: Annotated[str, typer.Option(help="The base's weights in memory.")] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Conditional perplexity of base, singles and every sum, on every domain.

    Only the answers' tokens are scored, given their question. The interval is a 95 % bootstrap
    over questions. The base is loaded once; a subset is a choice of task weights.

    \b
    Example:
      superpose eval smollm2 math finance:0.5 --data math.test.jsonl --data finance.test.jsonl
    """
    from superpose.cli.console import out, print_json, progress
    from superpose.cli.running import domain_names
    from superpose.cli.tables import evaluation_table
    from superpose.cli.weighted import weighted
    from superpose.errors import BadInput
    from superpose.formats import load
    from superpose.landscape import SuperposedModel, load_base
    from superpose.study.domain import read_rows, sample_rows
    from superpose.study.prompt import Prompt
    from superpose.study.sweep import evaluate_subsets, weightings

    if only not in {"all", "sum"}:
        raise BadInput(f"`{only}` is neither `all` nor `sum`", where="--only")
    paths, weights = weighted(adapters)
    loaded = [load(path) for path in paths]
    sources = domain_names(data)
    texts = {n: read_rows(s, question=question, answer=answer) for n, s in sources.items()}
    model = load_base(base, dtype=dtype)
    prompt = Prompt(model.tokenizer, max_tokens=max_tokens)
    examples = {
        name: prompt.encode_all(sample_rows(prompt.fitting(found), rows, seed=seed, where=name))
        for name, found in texts.items()
    }
    points = weightings([adapter.name for adapter in loaded], weights, whole_only=only == "sum")
    total = len(points) * sum(map(len, examples.values()))
    with (
        progress(quiet=quiet) as bars,
        SuperposedModel(model.model, loaded) as superposed,
    ):
        task = bars.add_task("evaluate", total=total)
        results = evaluate_subsets(
            superposed, points, examples, seed=seed, progress=lambda n: bars.advance(task, n)
        )
    if as_json:
        print_json({"base": model.name, "rows": [result.to_json() for result in results]})
    else:
        out().print(evaluation_table(results))
