"""`superpose ask`: what base, singles and the superposition answer, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["ask"]


def ask(
    base: Annotated[str, typer.Argument(help="smollm2, a transformers folder, or a hub name.")],
    adapters: Annotated[list[str], typer.Argument(help="Adapters, each PATH or PATH:WEIGHT.")],
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="A question; repeatable.")],
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest token.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the sampling, with a temperature.")] = 0,
    dtype: Annotated[str, typer.Option(help="The base's weights in memory.")] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Ask base, each adapter alone, and their weighted sum the same question.

    \b
    Example:
      superpose ask smollm2 math finance:0.5 --prompt "What is 12 times 7?"
    """
    from superpose.cli.console import out, print_json
    from superpose.cli.tables import answers_table
    from superpose.cli.weighted import weighted
    from superpose.formats import load
    from superpose.landscape import SuperposedModel, load_base
    from superpose.study.answer import answers
    from superpose.study.sweep import weightings

    paths, weights = weighted(adapters)
    loaded = [load(path) for path in paths]
    model = load_base(base, dtype=dtype)
    points = weightings([adapter.name for adapter in loaded], weights, whole_only=True)
    with SuperposedModel(model.model, loaded) as superposed:
        found = answers(
            superposed,
            model.tokenizer,
            points,
            prompt,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
    if as_json:
        print_json({"base": model.name, "answers": [answer.to_json() for answer in found]})
    else:
        out().print(answers_table(found))
