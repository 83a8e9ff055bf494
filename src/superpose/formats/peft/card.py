"""The model card of a written adapter: YAML for the hub's index, then what it is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping

from superpose._version import __version__
from superpose.adapter import Adapter, Made
from superpose.adapter.beside import trained
from superpose.adapter.heads import HEADS
from superpose.adapter.made import GIVEN
from superpose.files.hub_name import is_hub_address, parse_base_name
from superpose.shown.text import in_markdown
from superpose.shown.words import counted

_PORTABLE = (
    "The scaling is folded into B and is 1 in every module, so PEFT, vLLM and llama.cpp compute "
    "the same model from it."
)
_COMPACT = (
    "The scaling is folded into B and is 1 in every module. The modules differ in rank, which PEFT "
    "reads from `rank_pattern`; vLLM and llama.cpp do not."
)
_WHOLE = (
    "It also stores {tensors} in place of the base model's own (biases, whole modules, "
    "token rows). PEFT puts them there; vLLM and llama.cpp take no such adapter."
)

_LOST = "What was trained beside these adapters and lies in files of its own is not in it:"


def model_card(
    adapter: Adapter, ranks: Mapping[str, int], dtype: str, rounding_error: float
) -> str:
    """Give README.md: front matter, parents with their task weights, figures, how to load it."""
    title = in_markdown(adapter.title)
    made = adapter.made.written(rounding_error)
    largest = max(ranks.values(), default=0)
    lines = [
        *_front_matter(adapter),
        f"# {title}",
        "",
        f"{_opening(adapter)}. Written by superpose {__version__}.",
        "",
        *_parents(adapter),
        *_inputs(adapter.made),
        "| figure | value |",
        "| --- | --- |",
        f"| base model | {in_markdown(adapter.base_model or 'unknown')} |",
        f"| target modules | {len(ranks)} |",
        f"| rank | {largest} |",
        f"| dtype | {dtype} |",
        *(
            [f"| heads | {in_markdown(adapter.metadata[HEADS])} |"]
            if HEADS in adapter.metadata
            else []
        ),
        *(f"| {name} | {value} |" for name, value in _figures(made)),
        "",
        _PORTABLE if len(set(ranks.values())) <= 1 else _COMPACT,
        "",
        *_whole(adapter),
        *_beside(adapter),
        "```python",
        "from peft import PeftModel",
        "",
        'model = PeftModel.from_pretrained(base, "THIS_FOLDER")',
        "```",
    ]
    return "\n".join(lines) + "\n"


def _opening(adapter: Adapter) -> str:
    made = adapter.made
    what = "A superposition of LoRA adapters" if len(adapter.parents) > 1 else "A LoRA adapter"
    if made.method == GIVEN:
        return what
    return f"{what}: {in_markdown(str(made))}"


def _front_matter(adapter: Adapter) -> list[str]:
    base = adapter.base_model
    # The hub takes no card that names a path here, or a revision.
    on_hub = base and not is_hub_address(base) and parse_base_name(base)
    known = [f"base_model: {json.dumps(on_hub.repo)}"] if on_hub and not on_hub.path else []
    return [
        "---",
        *known,
        "library_name: peft",
        "tags:",
        "- lora",
        "- superpose",
        "- merge",
        "---",
        "",
    ]


def _parents(adapter: Adapter) -> list[str]:
    if not adapter.parents:
        return []
    rows = [
        f"| {in_markdown(p.name)} | {p.weight:g} | {in_markdown(p.path or 'made in memory')} |"
        for p in adapter.parents
    ]
    return ["| parent | task weight | read from |", "| --- | --- | --- |", *rows, ""]


def _inputs(made: Made) -> list[str]:
    """List what was not exact itself before it was put together."""
    if not made.inputs:
        return []
    rows = [f"| {in_markdown(name)} | {in_markdown(one.told)} |" for name, one in made.inputs]
    return ["| not exact itself | how it was made |", "| --- | --- |", *rows, ""]


def _figures(made: Made) -> list[tuple[str, str]]:
    """Give the figures of how it was made, in words; a method's settings by their own names."""
    found = [("method", made.method)] if made.method != GIVEN else []
    found += [(name, f"{value}") for name, value in made.settings if name != "rank"]
    shares = {"energy kept": made.energy_kept, "share left out": made.share_left_out}
    found += [(name, f"{share:.6g}") for name, share in shares.items() if share is not None]
    found.append(("rounding error", f"{made.rounding_error:.6g}"))
    return [(in_markdown(name), in_markdown(value)) for name, value in found]


def _heads(adapter: Adapter) -> list[str]:
    told = adapter.metadata.get(HEADS)
    return [] if told is None else [f"| heads | {in_markdown(told)} |"]


def _whole(adapter: Adapter) -> list[str]:
    count = len(adapter.replacements)
    return [_WHOLE.format(tensors=counted(count, "tensor")), ""] if count else []


def _beside(adapter: Adapter) -> list[str]:
    lost = trained(adapter.beside)
    if not lost:
        return []
    rows = [
        f"| {in_markdown(one.adapter)} | {in_markdown(one.file)} | {in_markdown(one.what)} |"
        for one in lost
    ]
    return [_LOST, "", "| of | file | what it holds |", "| --- | --- | --- |", *rows, ""]
