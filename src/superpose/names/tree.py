"""The names that a base model's own modules have, from the names in its files.

transformers renames while it loads: a file says `h.0...` or `language_model.model.layers.0...` and
the model `transformer.h.0...` or `model.language_model.layers.0...`. Source: transformers 5.24,
conversion_mapping.py and `base_model_prefix`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from superpose.names.identity import (
    RENAMINGS,
    Parsed,
    Scoped,
    half_of,
    parse,
    respelled,
    without_prefix,
)
from superpose.names.prefixes import Region, modern, region_of
from superpose.names.words import BODIES

_TRANSFORMER = frozenset(
    "gpt2 openai-gpt gptj gpt_neo gpt_bigcode codegen bloom falcon mpt ctrl xlnet xlm flaubert "
    "imagegpt chatglm".split()
)
"""Model types whose models with a head call the body `transformer`."""

_MOVED = frozenset(
    """
    llava llava_next llava_next_video llava_onevision vipllava video_llava aria aya_vision got_ocr2
    gemma3 internvl mistral3 paligemma pp_chart2table fuyu mllama emu3 qwen2_audio voxtral
    voxtral_realtime audioflamingo3 glmasr musicflamingo granite_speech granite_speech_plus
    qwen2_vl qwen2_5_vl
    """.split()
)
"""Model types of several kinds of input whose files may say `language_model.model.` or `model.` of
what is `model.language_model.` in the model. Of all others the files' names are believed."""


@dataclass(frozen=True)
class Tree:
    """A base model's names. prefixes: by identity of a tensor. usual: by region.

    shapes: by identity. rules: what its modules are called today in place of older names. decides:
    its prefixes are known to be those of the model, whatever adapters say. stems: by identity, what
    the files say after the prefix.
    """

    prefixes: Mapping[str, str]
    usual: Mapping[Region, str]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    rules: tuple[Scoped, ...] = ()
    decides: bool = False
    stems: Mapping[str, str] = field(default_factory=dict)

    def read(self, tensor: str) -> Parsed:
        """Take a name apart as `parse` does, but for words that this base has as its own.

        DistilBERT's layers lie in a `transformer`, which is what GPT-2 calls its body.
        """
        parsed = parse(tensor)
        if parsed.identity in self.prefixes or not parsed.prefix:
            return parsed
        whole = without_prefix(parsed)
        return whole if whole.identity in self.prefixes else parsed

    def prefix(self, parsed: Parsed) -> str:
        """Give what stands before a tensor's own name.

        One that is not there (half of a stack, an output layer that is tied) is called as the
        layers beside it are, and keeps its own where there are none.
        """
        found = self.prefixes.get(parsed.identity)
        if found is not None:
            return found
        known = parsed.identity.partition(".")[0] in self._first or region_of(parsed) == "head"
        return self.usual.get(region_of(parsed), parsed.prefix) if known else parsed.prefix

    def called(self, parsed: Parsed) -> str:
        """Give a tensor's name in the model."""
        return self.prefix(parsed) + respelled(parsed, self.rules)

    def elsewhere(self, tensor: str) -> str | None:
        """Give what the model calls a tensor, None where it calls it so.

        An expert may be called as one of transformers 4: PEFT makes of it what there is.
        """
        parsed = self.read(tensor)
        own = self.called(parsed)
        stored = self.stems.get(parsed.identity, parsed.stem)
        if own != tensor or ".experts." in parsed.identity:
            return None if own == tensor else own
        today = respelled(parsed._replace(stem=stored), self.rules)
        return None if parsed.stem in {stored, today} else self.prefix(parsed) + today

    @cached_property
    def words(self) -> Mapping[tuple[Region, str], str]:
        """Prefixes by region and first word, where one stands before all; the usual ones by ""."""
        found: dict[tuple[Region, str], set[str]] = {}
        for identity, prefix in self.prefixes.items():
            word = identity.partition(".")[0]
            found.setdefault((region_of(Parsed(prefix, identity, identity)), word), set()).add(
                prefix
            )
        single = {key: next(iter(each)) for key, each in found.items() if len(each) == 1}
        return {**single, **{(region, ""): prefix for region, prefix in self.usual.items()}}

    @cached_property
    def _first(self) -> frozenset[str]:
        return frozenset(identity.partition(".")[0] for identity in self.prefixes)

    def has(self, tensor: str) -> bool:
        """Whether the base has such a tensor, under whatever name."""
        return self.read(tensor).identity in self.prefixes

    def experts(self, tensor: str) -> int:
        """Give the number of experts of a stacked parameter, 0 where it is none."""
        shape = self.shapes.get(self.read(tensor).identity, ())
        return shape[0] if len(shape) == 3 else 0

    def rows(self, tensor: str) -> int:
        """Give the length of a tensor's first axis, 0 where there is none."""
        return self.shapes.get(self.read(tensor).identity, (0,))[0]


def tree_of(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> Tree:
    """Give a base model's names as transformers' model of today has them.

    shapes: of its files' tensors, by name. config: its config.json.
    """
    parsed = {name: parse(name) for name in shapes}
    stored = _most_common(parsed.values())
    bodies = {p.prefix for p in parsed.values() if region_of(p) == "body"}
    usual = _today(stored, config, bodies)
    prefixes = {
        p.identity: usual[r] if p.prefix == stored.get(r) else p.prefix
        for p in parsed.values()
        for r in [region_of(p)]
    }
    own = {p.identity: shapes[name] for name, p in parsed.items() if shapes[name]}
    rules, moved = _rules(config, parsed.values()), config.get("model_type") in _MOVED
    stems = {p.identity: p.stem for p in parsed.values()}
    return Tree(prefixes, usual, own, rules, moved, stems)


def tree_of_model(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> Tree:
    """Give the names of a loaded model: they are today's already.

    shapes: of its parameters, by name. config: as for `tree_of`.
    """
    parsed = {name: parse(name) for name in shapes}
    usual = {"body": "", "tower": "", "head": "", **_most_common(parsed.values())}
    prefixes = {p.identity: p.prefix for p in parsed.values()}
    own = {p.identity: shapes[name] for name, p in parsed.items() if shapes[name]}
    return Tree(prefixes, usual, own, _rules(config, parsed.values()), True)


def _rules(config: Mapping[str, Any], names: Iterable[Parsed]) -> tuple[Scoped, ...]:
    """Give what the modules of today are called in place of the names before, and in which halves.

    A part of the configuration (`encoder`, `vision_config`) tells of those halves that are called
    like it.
    """
    halves = {half_of(name.identity) for name in names}
    own = {str(config.get("model_type", "")): frozenset(halves)}
    for key, part in config.items():
        if isinstance(part, Mapping) and "model_type" in part:
            word = key.removesuffix("_config")
            there = frozenset(half for half in halves if _is_called(half, word))
            kind = str(part["model_type"])
            own[kind] = own.get(kind, frozenset()) | there
    found: list[Scoped] = []
    for family in RENAMINGS:
        if not family.by_half:
            found += [Scoped(rule) for rule in family.rules if family.types & own.keys()]
            continue
        there = frozenset[str]().union(*(own[kind] for kind in family.types & own.keys()))
        found += [Scoped(rule, there) for rule in family.rules if there]
    return tuple(found)


def _is_called(half: str, word: str) -> bool:
    """Say whether a half is that of a part of the configuration: `vision_tower.` of `vision`."""
    first = half.partition(".")[0]
    return first.startswith(word) or (word == "vision" and first in ("visual", "image_tower"))


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


def is_other_class(tree: Tree, files: Iterable[Iterable[str]]) -> bool:
    """Say whether all files are of the model with its head and the base's own without, or reversed.

    files: names of tensors of each. `layers.0` and `model.layers.0` differ by no more than that.
    """
    found = {_most_common(map(parse, names)).get("body") for names in files}
    body, base = found.pop() if len(found) == 1 else None, tree.usual.get("body", "")
    if body is None or body == base:
        return False
    for longer, shorter in ((body, base), (base, body)):
        word = longer.removesuffix(shorter)
        if longer.endswith(shorter) and word.removesuffix(".") in BODIES:
            return True
    return False


def _is_bare(config: Mapping[str, Any]) -> bool:
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else ""
    with_head = ("LMHeadModel", "DoubleHeadsModel", "WithLMHeadModel")
    bare = ("Model", "Backbone", "Encoder")
    return isinstance(name, str) and name.endswith(bare) and not name.endswith(with_head)


def _most_common(names: Iterable[Parsed]) -> dict[Region, str]:
    found: dict[Region, Counter[str]] = {}
    for parsed in names:
        found.setdefault(region_of(parsed), Counter())[parsed.prefix] += 1
    return {region: count.most_common(1)[0][0] for region, count in found.items()}


def _today(
    stored: Mapping[Region, str], config: Mapping[str, Any], all_stored: Collection[str]
) -> dict[Region, str]:
    """Give what transformers makes of the prefixes in the files, by region.

    all_stored: every prefix of the body, not the most common ones alone.
    """
    body, bare = stored.get("body", ""), _is_bare(config)
    if config.get("model_type") in _MOVED:
        return modern(stored, bare=bare)
    if not (bare or body):
        own = _body_of(str(config.get("model_type", "")))
        body = own if own not in all_stored else body
    return {"tower": "", "head": "", **stored, "body": body}


def _body_of(model_type: str) -> str:
    """Give what a model with a head calls the body whose files were written without one."""
    if model_type in _TRANSFORMER:
        return "transformer."
    word = model_type.replace("-", "_")
    return f"{word}." if word in BODIES else ""
