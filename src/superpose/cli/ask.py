"""`superpose ask`: what base, singles and the superposition answer, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.options import Adapters, Base, Dtype, IgnoreKey, Json, Template

__all__ = ["ask"]


def ask(
    base: Base,
    adapters: Adapters,
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="A question; repeatable.")],
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest token.")] = 0.0,
    template: Template = "",
    seed: Annotated[int, typer.Option(help="Of the sampling, with a temperature.")] = 0,
    dtype: Dtype = "float32",
    ignore_key: IgnoreKey = None,
    json: Json = False,
) -> None:
    """Ask base, each adapter alone, and their weighted sum the same question.

    \b
    Example:
      superpose ask smollm2 math finance:0.5 --prompt "What is 12 times 7?"
    """
    from superpose.cli import running
    from superpose.cli.console import out, print_json
    from superpose.cli.tables import answers_table
    from superpose.measure.answer import answers
    from superpose.measure.sweep import weightings
    from superpose.model import SuperposedModel, load_base

    loaded, weights = running.load_weighted(adapters, ignore_key, base)
    model = load_base(base, dtype=dtype)
    asked = running.prompt_of(model, None, template)
    points = weightings([adapter.name for adapter in loaded], weights, whole_only=True)
    with SuperposedModel(model.model, loaded) as superposed:
        found = answers(
            superposed, asked, points, prompt,
            max_new_tokens=max_new_tokens, temperature=temperature, seed=seed,
        )  # fmt: skip
    if json:
        print_json({"base": model.name, "answers": [answer.to_json() for answer in found]})
    else:
        out().print(answers_table(found))
