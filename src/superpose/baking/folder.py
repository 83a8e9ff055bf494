"""What a new model's folder holds beside its weights: carried from the base, or written anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose._version import __version__
from superpose.adapter import Adapter, Made
from superpose.baking.beside import with_head, with_vocabulary
from superpose.baking.plan import Plan
from superpose.baking.shards import Shard
from superpose.errors import BadInput, OutputExists
from superpose.files import check_free, encodable, is_here
from superpose.files.checkpoint import CONFIG, INDEX
from superpose.files.file_format import PEFT
from superpose.files.hub_name import is_hub_address, parse_base_name
from superpose.files.own import own_file, own_files_below
from superpose.files.tensors import FLOATS
from superpose.shown.text import in_markdown

CARD = "README.md"

MARK = "- superpose-bake"
"""Line of a model card by which `force` knows a folder of ours."""

_CARRIED = (".json", ".txt", ".model", ".jinja", ".py", ".tiktoken", ".vocab", ".bpe")
"""Endings of what a transformers folder holds beside weights: configuration, tokenizer, code."""

_LICENCES = ("license", "licence", "notice", "copying")

_NOT_CARRIED = (PEFT.folder[0], "trainer_state.json", "superpose.json", CONFIG)

_TEMPLATES = "additional_chat_templates"


def carried(folder: Path) -> Iterator[Path]:
    """Give the files of a base model that a model made from it needs as they are.

    Not its weights, nor its model card, which tells of the base; nor code and files below it, but
    for chat templates.
    """
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if path.is_dir():
            wanted = name == _TEMPLATES
        elif name in _NOT_CARRIED or name.endswith(".index.json"):
            wanted = False
        else:
            wanted = name.startswith(_LICENCES) or name.endswith(_CARRIED)
        if wanted:
            yield path


def carry(source: Path, target: Path) -> None:
    """Copy those files; raises OSError as the system does, Refused for links that lead out.

    The base's own configuration and index are looked at too: they are written anew from what they
    say, whatever that is. Its tensors may lie elsewhere, as those do that were fetched by link.
    """
    for name in filter(lambda name: os.path.lexists(source / name), (CONFIG, INDEX)):
        own_file(source / name, source)
    for path in carried(source):
        for file in own_files_below(path, source) if path.is_dir() else [own_file(path, source)]:
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def check_target(target: Path, base: Path, *, force: bool) -> list[str]:
    """Give the names of what `force` may replace at `target`: a model that bake wrote there.

    Raises OutputExists for anything else, and BadInput for the base model itself.
    """
    if os.path.realpath(target) == os.path.realpath(base):
        raise BadInput("is the base model itself; give another output folder", where=target)
    if not force or not target.is_dir():
        check_free(target, force=force)
        return []
    with_card = target / CARD
    ours = with_card.is_file() and MARK in with_card.read_text("utf-8", "replace").splitlines()
    names = [path.name for path in target.iterdir()]
    if names and not ours:
        raise OutputExists(
            f"holds other things than a model that superpose baked ({', '.join(sorted(names)[:5])})"
            "; nothing was written",
            where=target,
            hint="Replacing it would delete them: give another output folder.",
        )
    return names


def write_config(plan: Plan, adapter: Adapter, target: Path, dtype: str | None) -> None:
    """Write config.json: the base's, with what became of tied weights, the head and the dtype.

    dtype: of a header, that the weights were converted to; None for none.
    """
    config = dict(plan.checkpoint.config)
    if plan.untied:
        config = _everywhere(config, {"tie_word_embeddings": False})
        config.setdefault("tie_word_embeddings", False)
    if plan.classifier is not None:
        config = with_head(config, adapter, plan.classifier)
    if plan.vocabulary is not None:
        config = with_vocabulary(config, plan.vocabulary)
    if dtype is not None:
        name = FLOATS[dtype]
        config = _everywhere(config, {"dtype": name, "torch_dtype": name})
        if not {"dtype", "torch_dtype"} & config.keys():
            config["dtype"] = name
    _write_json(target / CONFIG, config)


def write_index(plan: Plan, shards: list[Shard], target: Path) -> None:
    """Write the index of a model of several files; a model of one has none."""
    base = plan.checkpoint.index
    if base is None:
        return
    weight_map = {piece.name: shard.file for shard in shards for piece in shard.pieces}
    metadata = base.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, Mapping) else {}
    if "total_parameters" in metadata:
        pieces = [piece for shard in shards for piece in shard.pieces]
        metadata["total_parameters"] = sum(p.target.rows * p.target.columns for p in pieces)
    metadata["total_size"] = sum(shard.bytes for shard in shards)
    ordered = dict(sorted(weight_map.items()))
    _write_json(target / INDEX, {**base, "metadata": metadata, "weight_map": ordered})


def write_card(adapter: Adapter, base: str, plan: Plan, target: Path, dtype: str | None) -> None:
    """Write the model card: base model, parents with their task weights, what was done.

    base: what the base model is called.
    """
    title = in_markdown(f"{Path(base).name} + {adapter.title}")
    lines = [
        "---",
        *_on_hub(base, adapter.base_model),
        "library_name: transformers",
        "tags:",
        "- superpose",
        MARK,
        "- merge",
        "- lora",
        "---",
        "",
        f"# {title}",
        "",
        _opening(adapter.made),
        "",
        f"Base model: {in_markdown(base)}",
        "",
        "| parent | task weight | read from |",
        "| --- | --- | --- |",
        *(
            f"| {in_markdown(p.name)} | {p.weight:g} | {in_markdown(p.path or 'made in memory')} |"
            for p in adapter.parents or (_itself(adapter),)
        ),
        "",
        *_done(plan, dtype),
    ]
    (target / CARD).write_text(encodable("\n".join(lines)) + "\n", encoding="utf-8")


def _opening(made: Made) -> str:
    """Say what is added; that it is the sum, only where it is."""
    by = f"made by superpose {__version__}"
    done = "computed in float32 and rounded once."
    if made.exact is False:
        return f"The base model plus LoRA adapters, {by}: {in_markdown(str(made))}; {done}"
    whole = f"The base model plus a weighted sum of LoRA adapters, {by}: W = W_0 + sum_k "
    inside = f" What is added is {in_markdown(str(made))}." if made.inputs else ""
    return f"{whole}lambda_k dW_k, {done}{inside}"


def _on_hub(*names: str | None) -> list[str]:
    """Give the front matter's line for the base model; the hub takes no path and no revision."""
    for name in names:
        known = name and not is_here(name) and not is_hub_address(name) and parse_base_name(name)
        if known and not known.path:
            return [f"base_model: {json.dumps(known.repo)}"]  # a JSON string is a YAML string
    return []


def _itself(adapter: Adapter) -> Any:
    return (1.0 * adapter).parents[0]


def _done(plan: Plan, dtype: str | None) -> list[str]:
    checkpoint = plan.checkpoint
    changed = sum(t.name in checkpoint.locations for t in plan.targets.values())
    copied = "converted" if dtype else "copied byte for byte"
    lines = [
        f"{changed} of the base model's {len(checkpoint.names)} tensors are changed; the others "
        f"are {copied}."
    ]
    if plan.untied:
        lines.append("Embedding and output layer, tied in the base model, differ here.")
    lines += [f"{in_markdown(f'`{target.name}`')} is new." for target in plan.new]
    if plan.vocabulary is not None:
        lines.append(f"The vocabulary has {plan.vocabulary} rows, as the adapter's has.")
    if plan.dropped:
        lines.append(
            "Left out, as a classifier does not have it: "
            f"{in_markdown(', '.join(sorted(plan.dropped)))}."
        )
    return lines


def _everywhere(config: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Replace keys where they stand, in the configurations of a model's parts too."""
    return {
        key: _everywhere(value, new)
        if isinstance(value, Mapping) and key.endswith("_config")
        else new.get(key, value)
        for key, value in config.items()
    }


def _write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(encodable(text) + "\n", encoding="utf-8")
