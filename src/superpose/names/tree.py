"""The names that a base model's own modules have, from the names in its files.

transformers renames while it loads: a file says `h.0...` or `language_model.model.layers.0...` and
the model `transformer.h.0...` or `model.language_model.layers.0...`. Source: transformers 5.24,
conversion_mapping.py and `base_model_prefix`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from superpose.names.identity import FAMILIES, Parsed, Rule, parse
from superpose.names.prefixes import Region, modern, region_of
from superpose.names.words import BODIES

_TRANSFORMER = frozenset(
    "gpt2 openai-gpt gptj gpt_neo gpt_bigcode codegen bloom falcon mpt ctrl xlnet xlm flaubert "
    "imagegpt chatglm".split()
)
"""Model types whose models with a head call the body `transformer`."""

_SEVERAL = ("vision_config", "audio_config", "vit_config", "speech_config", "vision_encoder_config")
"""Keys of a configuration of several kinds of input."""


@dataclass(frozen=True)
class Tree:
    """A base model's names. prefixes: by identity of a tensor. usual: by region.

    shapes: by identity. rules: what its modules are called today in place of older names.
    """

    prefixes: Mapping[str, str]
    usual: Mapping[Region, str]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def prefix(self, parsed: Parsed) -> str:
        """Give what stands before a tensor's own name."""
        found = self.prefixes.get(parsed.identity)
        return self.usual.get(region_of(parsed), parsed.prefix) if found is None else found

    def has(self, tensor: str) -> bool:
        """Whether the base has such a tensor, under whatever name."""
        return parse(tensor).identity in self.prefixes

    def experts(self, tensor: str) -> int:
        """Give the number of experts of a stacked parameter, 0 where it is none."""
        shape = self.shapes.get(parse(tensor).identity, ())
        return shape[0] if len(shape) == 3 else 0

    def rows(self, tensor: str) -> int:
        """Give the length of a tensor's first axis, 0 where there is none."""
        return self.shapes.get(parse(tensor).identity, (0,))[0]


def tree_of(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> Tree:
    """Give a base model's names as transformers' model of today has them.

    shapes: of its files' tensors, by name. config: its config.json.
    """
    parsed = {name: parse(name) for name in shapes}
    stored = _most_common(parsed.values())
    usual = _today(stored, config)
    prefixes = {
        p.identity: usual[r] if p.prefix == stored.get(r) else p.prefix
        for p in parsed.values()
        for r in [region_of(p)]
    }
    own = {p.identity: shapes[name] for name, p in parsed.items() if shapes[name]}
    return Tree(prefixes, usual, own, _rules(config))


def tree_of_model(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> Tree:
    """Give the names of a loaded model: they are today's already.

    shapes: of its parameters, by name. config: as for `tree_of`.
    """
    parsed = {name: parse(name) for name in shapes}
    usual = {"body": "", "tower": "", "head": "", **_most_common(parsed.values())}
    prefixes = {p.identity: p.prefix for p in parsed.values()}
    own = {p.identity: shapes[name] for name, p in parsed.items() if shapes[name]}
    return Tree(prefixes, usual, own, _rules(config))


def _rules(config: Mapping[str, Any]) -> tuple[Rule, ...]:
    types = _types(config)
    return tuple(rule for family in FAMILIES if family.types & types for rule in family.rules)


def as_called(tree: Tree | None, body: Iterable[str], head: Iterable[str]) -> Tree:
    """Give the same base's names in a model that calls its body otherwise: a classifier's class.

    tree: None where the base is not at hand. body, head: tensors' names as that class has them; of
    those of the body the most common prefix counts (LlamaForQuestionAnswering says
    `transformer.layers...`), of those of the head each one's own (DeBERTa's `pooler`).
    """
    tree = tree or Tree({}, {})
    own = _most_common(parse(tensor) for tensor in body)
    prefixes = dict(tree.prefixes)
    for identity, prefix in tree.prefixes.items():
        region = region_of(parse(identity))
        if region in own and prefix == tree.usual.get(region):
            prefixes[identity] = own[region]
    prefixes |= {p.identity: p.prefix for p in map(parse, head)}
    return replace(tree, prefixes=prefixes, usual={**tree.usual, **own})


def _types(config: Mapping[str, Any]) -> set[str]:
    """Give the model types of a configuration and of its parts."""
    parts = [config, *(value for value in config.values() if isinstance(value, Mapping))]
    return {str(part["model_type"]) for part in parts if "model_type" in part}


def _is_bare(config: Mapping[str, Any]) -> bool:
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else ""
    with_head = ("LMHeadModel", "DoubleHeadsModel", "WithLMHeadModel")
    return isinstance(name, str) and name.endswith("Model") and not name.endswith(with_head)


def _most_common(names: Iterable[Parsed]) -> dict[Region, str]:
    found: dict[Region, Counter[str]] = {}
    for parsed in names:
        found.setdefault(region_of(parsed), Counter())[parsed.prefix] += 1
    return {region: count.most_common(1)[0][0] for region, count in found.items()}


def _today(stored: Mapping[Region, str], config: Mapping[str, Any]) -> dict[Region, str]:
    """Give what transformers makes of the prefixes in the files, by region."""
    body, bare = stored.get("body", ""), _is_bare(config)
    several = any(key in config for key in _SEVERAL) and body != "text_model."
    if several or body.startswith("language_model."):
        return modern(stored, bare=bare)
    if not (bare or body):
        body = _body_of(str(config.get("model_type", "")))
    halves = bare and body == "text_model." and "tower" in stored  # CLIP, which is two models
    return {"tower": "", "head": "", **stored, "body": "" if bare and not halves else body}


def _body_of(model_type: str) -> str:
    """Give what a model with a head calls the body whose files were written without one."""
    if model_type in _TRANSFORMER:
        return "transformer."
    word = model_type.replace("-", "_")
    return f"{word}." if word in BODIES else ""
