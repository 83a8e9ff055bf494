"""The model card of a written adapter: YAML for the hub's index, then what it is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping

from superpose._version import __version__
from superpose.adapter import Adapter
from superpose.adapter.beside import trained
from superpose.adapter.heads import HEADS
from superpose.adapter.parents import EXTRACTED_FROM
from superpose.files.hub_name import is_hub_address, parse_base_name

_PORTABLE = (
    "The scaling is folded into B and is 1 in every module, so PEFT, vLLM and llama.cpp compute "
    "the same model from it."
)
_COMPACT = (
    "The scaling is folded into B and is 1 in every module. The modules differ in rank, which PEFT "
    "reads from `rank_pattern`; vLLM and llama.cpp do not."
)
_WHOLE = (
    "It also stores {count} tensor(s) in place of the base model's own (biases, whole modules, "
    "token rows). PEFT puts them there; vLLM and llama.cpp take no such adapter."
)

_LOST = "What was trained beside these adapters and lies in files of its own is not in it:"


def model_card(
    adapter: Adapter, ranks: Mapping[str, int], dtype: str, figures: Mapping[str, float]
) -> str:
    """Give README.md: front matter, parents with their task weights, figures, how to load it."""
    title = " ".join(adapter.name.split())
    largest = max(ranks.values(), default=0)
    lines = [
        *_front_matter(adapter),
        f"# {title}",
        "",
        f"{_opening(adapter)}, written by superpose {__version__}.",
        "",
        *_parents(adapter),
        "| figure | value |",
        "| --- | --- |",
        f"| base model | {_cell(adapter.base_model or 'unknown')} |",
        f"| target modules | {len(ranks)} |",
        f"| rank | {largest} |",
        f"| dtype | {dtype} |",
        *([f"| heads | {_cell(adapter.metadata[HEADS])} |"] if HEADS in adapter.metadata else []),
        *(f"| {name.replace('_', ' ')} | {value:.6g} |" for name, value in figures.items()),
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
    origin = adapter.metadata.get(EXTRACTED_FROM)
    if adapter.parents:
        return "A superposition of LoRA adapters: a weighted sum of their deltas"
    if origin is None:
        return "A LoRA adapter"
    return f"A LoRA adapter: what `{_cell(origin)}` adds to its base model, as factors of low rank"


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
        f"| {_cell(p.name)} | {p.weight:g} | {_cell(p.path or 'made in memory')} |"
        for p in adapter.parents
    ]
    return ["| parent | task weight | read from |", "| --- | --- | --- |", *rows, ""]


def _whole(adapter: Adapter) -> list[str]:
    count = len(adapter.replacements)
    return [_WHOLE.format(count=count), ""] if count else []


def _beside(adapter: Adapter) -> list[str]:
    lost = trained(adapter.beside)
    if not lost:
        return []
    rows = [f"| {_cell(one.adapter)} | {_cell(one.file)} | {_cell(one.what)} |" for one in lost]
    return [_LOST, "", "| of | file | what it holds |", "| --- | --- | --- |", *rows, ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
