"""Is what was written the sum? Asked of PEFT, which knows nothing of how superpose adds.

PEFT loads each parent on the base model and forms its delta; the sum of these, added to the base's
own weights, gives the logits that are right. PEFT then loads the result, and its logits are
compared. The base model is lent: it comes back bit for bit as it was.

In two steps, because the first may fail and must do so before anything is written, and because what
is written may replace a parent: `expect_sum` asks the parents, its `compare` asks the result.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from superpose.errors import BadInput, DoesNotHold, missing_extra
from superpose.files import locate, read_header
from superpose.files.file_format import PEFT
from superpose.files.precision import rounding_unit
from superpose.model.verification import STAYS, Verification

__all__ = ["ExpectedSum", "Verification", "expect_sum", "verify_sum"]

Deltas = dict[str, torch.Tensor]
"""Target module -> delta in the layout of the base's own weight, float32."""

TOLERANCE = 1e-4
"""What is allowed of a float32 result."""

FORWARD_ROUNDING = 2.0**-18
"""What float32 makes of a forward pass, relative to the logits: 64 units in the last place."""


@dataclass(frozen=True)
class ExpectedSum:
    """What base + sum_k lambda_k dW_k is, ready for a result to be compared with.

    deltas: the sum, by target module. parts: sum of the weighted parents' norms. tokens: (rows,
    length), what the logits are computed for. logits: of base + sum. effect: |logits - base's|.
    """

    base_model: nn.Module
    deltas: Deltas
    parts: float
    tokens: torch.Tensor
    logits: torch.Tensor
    effect: float

    def compare(self, result: str | os.PathLike[str], *, approximate: bool = False) -> Verification:
        """Say how far the written folder `result` is from the sum.

        The deltas may differ by 1e-4, or by twice the rounding unit of the result's dtype where
        that is more, grown by the cancellation among the parents. The logits may differ by 1e-4, or
        by sixteen times that unit (a nonlinear model amplifies what rounding it is given), plus the
        rounding of a float32 forward pass.

        Raises DoesNotHold when PEFT does not load the result where it loaded the parents.
        """
        with _lent(self.base_model), torch.no_grad():
            try:
                with _loaded(self.base_model, result) as model:
                    written = _deltas(model)
                    logits = _logits(model, self.tokens)
            except BadInput as error:
                raise DoesNotHold(error.problem, where=error.where, hint=STAYS) from error
        size = _size(self.deltas)
        noise = FORWARD_ROUNDING * _norm(self.logits)
        unit = _eps(locate(result)) * _ratio(self.parts, size)
        return Verification(
            logits_error=_ratio(_norm(logits - self.logits), self.effect),
            weights_error=_ratio(_size(_difference(written, self.deltas)), size),
            logits_tolerance=max(TOLERANCE, 16.0 * unit) + _ratio(noise, self.effect),
            weights_tolerance=max(TOLERANCE, 2.0 * unit),
            approximate=approximate,
        )


def expect_sum(
    base_model: nn.Module,
    parents: Sequence[tuple[str | os.PathLike[str], float]],
    *,
    seed: int = 0,
) -> ExpectedSum:
    """Form base + sum_k lambda_k dW_k, each dW_k as PEFT forms it.

    base_model: a transformers causal language model; it is used in place and given back unchanged.
    parents: folders or hub names with their task weights. seed: of the random tokens the logits are
    computed for.

    Raises MissingExtra without peft, BadInput when PEFT does not load a parent on this base model.
    """
    with _lent(base_model), torch.no_grad():
        tokens = _tokens(base_model, seed)
        base_logits = _logits(base_model, tokens)
        deltas, parts = _summed(base_model, parents)
        with _added(base_model, deltas):
            logits = _logits(base_model, tokens)
    effect = _norm(logits - base_logits)
    return ExpectedSum(base_model, deltas, parts, tokens, logits, effect)


def verify_sum(
    base_model: nn.Module,
    result: str | os.PathLike[str],
    parents: Sequence[tuple[str | os.PathLike[str], float]],
    *,
    approximate: bool = False,
    seed: int = 0,
) -> Verification:
    """Compare a written sum with its parents: `expect_sum`, then `compare`; raises as they do."""
    return expect_sum(base_model, parents, seed=seed).compare(result, approximate=approximate)


def _summed(
    base: nn.Module, parents: Sequence[tuple[str | os.PathLike[str], float]]
) -> tuple[Deltas, float]:
    """Give the sum of the weighted deltas, and the sum of their norms."""
    total: Deltas = {}
    parts = 0.0
    for name, weight in parents:
        with _loaded(base, name) as model:
            deltas = _deltas(model)
        parts += abs(weight) * _size(deltas)
        for module, delta in deltas.items():
            total[module] = total.get(module, torch.zeros(())) + weight * delta
    return total, parts


@contextmanager
def _loaded(base: nn.Module, name: str | os.PathLike[str]) -> Iterator[Any]:
    """Give the base model with one adapter on it, as PEFT loads it; the base alone afterwards."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise missing_extra("peft", "verifying a sum") from error
    folder = locate(name)
    with _same_modules(base), warnings.catch_warnings():
        # Of keys that are missing, of flags that PEFT corrects: what matters shows in the figures.
        warnings.simplefilter("ignore")
        try:
            model = PeftModel.from_pretrained(base, str(folder))
        except (ValueError, RuntimeError, KeyError, TypeError) as error:
            raise BadInput(
                f"peft does not load it on this base model: {str(error).splitlines()[0]}",
                where=name,
            ) from error
        yield model


@contextmanager
def _same_modules(base: nn.Module) -> Iterator[None]:
    """Put every module back in its place: PEFT's own `unload` is out of reach after it failed."""
    before = [(parent, dict(parent._modules)) for parent in base.modules()]
    try:
        yield
    finally:
        for parent, children in before:
            for name, child in children.items():
                setattr(parent, name, child)
        if hasattr(base, "peft_config"):
            del base.peft_config


def _deltas(model: Any) -> Deltas:
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").float()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def _eps(folder: Path) -> float:
    """Give the rounding unit of the coarsest dtype in the file; PEFT itself widens on loading."""
    entries = read_header(folder / PEFT.folder[1]).entries.values()
    return max(rounding_unit(entry.dtype) for entry in entries)


@contextmanager
def _added(base: nn.Module, deltas: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Let the target modules have other weights for a while: base + delta.

    The base's own tensors are set aside untouched, so they come back bit for bit, and a weight that
    is tied to another layer's (lm_head, embeddings) changes in the target module alone.
    """
    kept: dict[str, Any] = {name: base.get_submodule(name).weight for name in deltas}
    try:
        for name, weight in kept.items():
            changed = (weight.float() + deltas[name].to(weight.device)).to(weight.dtype)
            base.get_submodule(name).weight = nn.Parameter(changed, requires_grad=False)
        yield
    finally:
        for name, weight in kept.items():
            base.get_submodule(name).weight = weight


@contextmanager
def _lent(base: nn.Module) -> Iterator[None]:
    """Keep what PEFT changes in passing: training mode, gradient flags, the random generator."""
    training = [module for module in base.modules() if module.training]
    asking = [parameter for parameter in base.parameters() if parameter.requires_grad]
    with torch.random.fork_rng():
        base.eval()
        try:
            yield
        finally:
            for module in training:
                module.training = True
            for parameter in asking:
                parameter.requires_grad_(True)


def _tokens(base: Any, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    vocabulary = base.config.get_text_config().vocab_size
    device = next(base.parameters()).device
    return torch.randint(vocabulary, (4, 16), generator=generator).to(device)


def _logits(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=tokens).logits
    assert isinstance(logits, torch.Tensor)
    return logits.double()


def _difference(x: Deltas, y: Deltas) -> Deltas:
    nothing = torch.zeros(())
    return {name: x.get(name, nothing) - y.get(name, nothing) for name in {**x, **y}}


def _norm(x: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(x))


def _size(deltas: Deltas) -> float:
    return math.hypot(*(_norm(delta) for delta in deltas.values()))


def _ratio(part: float, whole: float) -> float:
    """Give part / whole; a part of nothing is 0 when it is nothing itself, else infinite."""
    if whole > 0.0:
        return part / whole
    return 0.0 if part == 0.0 else math.inf
