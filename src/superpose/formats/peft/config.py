"""What an adapter_config.json says about the weights: ranks, alphas, and everything refused.

Scaling of a module: alpha_m / r_m, with rsLoRA alpha_m / sqrt(r_m); r_m and alpha_m come from the
first key of rank_pattern / alpha_pattern, in the order of the file, that matches the module, else
from r / lora_alpha. Source: peft 0.21.2, `get_pattern_key` and `LoraLayer.update_layer`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from superpose.adapter.base_class import MAPPING
from superpose.errors import BadInput, SuperposeWarning, placed
from superpose.formats.peft.expressions import MOST_WAYS, check_keys, compiled, total_ways
from superpose.formats.peft.fields import HARMLESS, REFUSED, USED, is_empty, refusals
from superpose.formats.peft.structure import structure
from superpose.names.identity import unwrapped

NARROWING = ("exclude_modules", "layers_to_transform")
"""Fields that may leave nothing of what target_modules names."""


class Pattern:
    """Values for some modules: regular expressions in the order of the file, first match wins."""

    def __init__(self, name: str, values: Mapping[str, float]) -> None:
        self.name = name
        self.values = dict(values)
        check_keys(self.values, name)
        found = [compiled(key, name, ends=True) for key in self.values]
        self._compiled = [(e, key) for (e, _), key in zip(found, self.values, strict=True)]
        self._ways = [ways for _, ways in found]

    def keys_for(self, module: str) -> list[str]:
        """Give every key that matches a module; the first one is the one that counts."""
        return [key for expression, key in self._compiled if expression.match(module)]

    def check_ways(self, modules: Collection[str], where: object) -> None:
        """Raise BadInput when asking for all these modules could take for ever."""
        if total_ways(self._ways, modules) > MOST_WAYS:
            raise BadInput(
                f"the keys of {self.name} can match in so many ways that it could take for ever",
                where=where,
                hint="Write them with fewer `.*`.",
            )


@dataclass(frozen=True)
class LoraConfig:
    """The part of an adapter_config.json that decides what the factors mean.

    narrowed: other fields take away some of the modules that target_modules names. diagonal: parts
    of names whose A, and whose B, is block-diagonal in so many blocks. lora_bias: whether B has
    biases. pooled: inputs that share a column of A. rows: of embeddings, that are trained, by (the
    end of) the embedding's name. whole_modules: that are stored whole. tying: tied layers carry
    one delta.
    """

    r: int
    lora_alpha: float
    use_rslora: bool
    rank_pattern: Pattern
    alpha_pattern: Pattern
    target_modules: str | tuple[str, ...] | None
    narrowed: bool
    base_model: str | None
    carried: Mapping[str, object]
    target_parameters: tuple[str, ...]
    diagonal: Mapping[str, tuple[str, ...]]
    diagonal_blocks: int
    lora_bias: bool
    pooled: int
    rows: Mapping[str, tuple[int, ...]]
    whole_modules: tuple[str, ...]
    tying: bool
    use_dora: bool

    def diagonal_side(self, module: str) -> str | None:
        """Give the side of a module's factors that is block-diagonal: "A", "B" or None."""
        for side, parts in self.diagonal.items():
            if any(part in module for part in parts):
                return side
        return None

    def rank_of(self, module: str) -> int:
        """Give the rank that the configuration announces for a module; the factors prove it.

        Where its name has wrappers in it (FSDP's come after PEFT) a key may mean it without them.
        """
        keys = self.rank_pattern.keys_for(module) or self.rank_pattern.keys_for(unwrapped(module))
        return int(self.rank_pattern.values[keys[0]]) if keys else self.r

    def scaling_of(self, module: str) -> float:
        """Give s of a module: its delta is s * B @ A.

        Raises BadInput where its name has wrappers in it, and alpha differs with and without them.
        """
        alpha, plain = (self._alpha_of(name) for name in (module, unwrapped(module)))
        if alpha != plain:
            raise BadInput(
                f"`{module}` has names of wrappers in it, with which its alpha is {alpha:g} and "
                f"without them {plain:g} (alpha_pattern): which one it was trained with depends on "
                "what was wrapped first",
                hint=f"If it was {plain:g} (wrapped after PEFT, as FSDP is), add "
                f'"{module}": {plain:g} to alpha_pattern; if it was {alpha:g}, take the '
                "key out that matches the name without wrappers.",
            )
        rank = self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    def _alpha_of(self, module: str) -> float:
        keys = self.alpha_pattern.keys_for(module)
        return self.alpha_pattern.values[keys[0]] if keys else self.lora_alpha


def parse_config(
    config: Mapping[str, Any], where: object, ignore_keys: Collection[str] = ()
) -> tuple[LoraConfig, list[str]]:
    """Give what a configuration means, and every reason why it cannot be part of a sum.

    where: the file, for messages. ignore_keys: unknown keys that the user knows to be harmless.

    An absent key means PEFT's default, as in configurations of 2023. An unknown key with an empty
    value is a SuperposeWarning, with any other value a reason to refuse. Raises BadInput when a
    value has a type or size that PEFT could not use either.
    """
    reasons = refusals(config) + _unknown(config, where, ignore_keys)
    with placed(where):
        parsed = LoraConfig(
            r=_rank(config.get("r", 8), "r"),
            lora_alpha=_number(config.get("lora_alpha", 8), "lora_alpha"),
            use_rslora=bool(_optional(config, "use_rslora", bool)),
            rank_pattern=Pattern("rank_pattern", _pattern(config, "rank_pattern", _rank)),
            alpha_pattern=Pattern("alpha_pattern", _pattern(config, "alpha_pattern", _number)),
            target_modules=_target_modules(config.get("target_modules")),
            narrowed=not all(is_empty(config.get(key)) for key in NARROWING),
            base_model=_optional(config, "base_model_name_or_path", str) or None,
            carried={
                "task_type": _optional(config, "task_type", str),
                MAPPING: _class_of_base(config.get("auto_mapping")),
                "fan_in_fan_out": bool(_optional(config, "fan_in_fan_out", bool)),
                "revision": _optional(config, "revision", str),
                "layer_replication": _replication(config.get("layer_replication")),
            },
            **structure(config),
        )
    return parsed, reasons


def warn_if_ambiguous(config: LoraConfig, modules: Collection[str], where: object) -> None:
    """Say when a module's alpha depends on the order of alpha_pattern's keys.

    PEFT sorts the keys on saving and takes the first match on loading: the adapter may have been
    trained with another alpha than the one every loader, and superpose, uses.
    """
    pattern = config.alpha_pattern
    for module in modules:
        keys = pattern.keys_for(module)
        if len({pattern.values[key] for key in keys}) > 1:
            warnings.warn(
                f"{where}: several keys of {pattern.name} match `{module}` ({', '.join(keys)}); "
                f"the first one counts, as when PEFT loads it, but PEFT sorts keys when it saves: "
                f"it may have been trained with another",
                SuperposeWarning,
                stacklevel=2,
            )
            return


def _unknown(config: Mapping[str, Any], where: object, ignore_keys: Collection[str]) -> list[str]:
    unknown = [k for k in config if k not in USED and k not in HARMLESS and k not in REFUSED]
    empty = [key for key in unknown if is_empty(config[key])]
    if empty:
        warnings.warn(
            f"{where}: unknown keys without a value are passed over: {', '.join(empty)}",
            SuperposeWarning,
            stacklevel=3,
        )
    return [
        f"the key `{key}` is unknown; if it does not touch the weights: --ignore-key {key} "
        f"(in Python: ignore_keys=[{key!r}])"
        for key in unknown
        if key not in empty and key not in ignore_keys
    ]


def _pattern(config: Mapping[str, Any], name: str, check: Any) -> dict[str, Any]:
    values = config.get(name) or {}
    if not isinstance(values, dict):
        raise BadInput(f"{name} is {_kind(values)}, not an object")
    return {key: check(value, f"{name}[{key!r}]") for key, value in values.items()}


def _rank(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"{name} is {value!r}; a rank is a whole number of at least 1")
    return value


def _number(value: object, name: str) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        number = math.inf
    if not good or not math.isfinite(number):
        raise BadInput(f"{name} is {str(value)[:40]}; it must be a finite number")
    return number


def _target_modules(value: object) -> str | tuple[str, ...] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    raise BadInput("target_modules is neither a list of names nor a regular expression")


def _replication(value: object) -> object:
    """Give layer_replication in a form that compares; an empty one is none."""
    return None if is_empty(value) else tuple(map(tuple, _ranges(value)))


def _class_of_base(value: object) -> object:
    """Give auto_mapping where it names a class, as PEFT writes it; None for all else."""
    good = isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    return value if good and value else None


def _ranges(value: object) -> list[list[int]]:
    good = isinstance(value, list) and all(
        isinstance(r, list) and len(r) == 2 and all(type(n) is int for n in r) for r in value
    )
    if not good:
        raise BadInput(f"layer_replication is {_kind(value)}, not a list of ranges of layers")
    assert isinstance(value, list)
    return value


def _optional(config: Mapping[str, Any], name: str, kind: type) -> Any:
    value = config.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadInput(f"{name} is {_kind(value)}, not {kind.__name__}")
    return value


def _kind(value: object) -> str:
    return f"{str(value)[:40]} ({type(value).__name__})"
