"""Tiny random models, and adapters of them that PEFT itself has saved."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.exactness.bases import BASES
from benchmarks.exactness.cases import Case
from benchmarks.exactness.hosts import Host, load
from benchmarks.exactness.protocol import Task
from benchmarks.exactness.spellings import SPELLINGS, respell

__all__ = ["Made", "Parent", "write_case"]

_DEFAULTS = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
_SPREAD = 0.1
"""Of every trained number. With it an adapter's delta has about the size of the weight."""
_FACTOR = re.compile(r"\.lora_(embedding_)?[AB]\.")


@dataclass(frozen=True)
class Parent:
    """An adapter as PEFT loads it: its folder, and the model that it was trained on.

    Where a tool is given a spelling that PEFT does not load, this is the folder before that.
    """

    path: str
    host: Host


@dataclass(frozen=True)
class Made:
    """A case on disk: what a tool is asked, what the parents are, and the base they add up on."""

    task: Task
    parents: tuple[Parent, ...]
    base: Host


def write_case(case: Case, bases: Path, folder: Path) -> Made:
    """Write a case's adapters into a folder of its own, made here.

    bases: a folder in which the base models lie, or come to lie.
    """
    base = _host(case, "", bases)
    parents, paths = [], []
    for number, settings in enumerate(case.adapters):
        path = folder / f"adapter-{number}"
        host = _host(case, case.host(number), bases)
        # Whatever it is trained on is the same model, and called by the base's name.
        _write_adapter(path, host, base.path, _DEFAULTS | dict(settings), number, case.dtype)
        parents.append(Parent(str(_respelled(path, case.spelling(number))), host))
        paths.append(str(path))
    if case.on_disk:
        _change(Path(paths[-1]) / "adapter_config.json", case.on_disk)
    task = Task(
        case=case.name,
        base=base.path,
        adapters=tuple(paths),
        weights=case.task_weights,
        ranks=tuple(int(each.get("r", _DEFAULTS["r"])) for each in case.adapters),
        out=str(folder / "out"),
        auto=base.auto,
    )
    return Made(task, tuple(parents), base)


def _host(case: Case, trained_on: str, bases: Path) -> Host:
    """Give the model that an adapter is trained on; writes it where it is not there yet."""
    split = trained_on == "split"
    name = f"{case.base}, split" if split else case.base
    path = bases / f"{name.replace(', ', '-')}-{case.base_dtype}"
    if not path.exists():
        _write_base(name, case.base_dtype, path)
    return Host(str(path), BASES[name].auto, bare=trained_on == "bare", split=split)


def _write_base(name: str, dtype: str, path: Path) -> None:
    import torch

    torch.manual_seed(1)
    model = BASES[name].make()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias"):  # transformers begins with zeros
                parameter.normal_(std=0.02)
    model.to(getattr(torch, dtype)).save_pretrained(path)


def _write_adapter(
    path: Path, host: Host, base: str, settings: Mapping[str, Any], seed: int, dtype: str
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(100 + seed)
    # In the adapter's own dtype: PEFT makes its factors in the base's.
    _, model = load(host, dtype)
    model.name_or_path = base
    config = LoraConfig(task_type=None if host.bare else "CAUSAL_LM", **settings)
    tuned = get_peft_model(model, config, autocast_adapter_dtype=False)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if _FACTOR.search(name):
                parameter.normal_(std=_SPREAD)
            elif parameter.requires_grad:
                # It stands at what the base has: a head, a bias, a magnitude, a token's row.
                parameter.add_(torch.randn_like(parameter) * _SPREAD)
    tuned.save_pretrained(str(path))


def _respelled(path: Path, spelling: str) -> Path:
    """Respell an adapter in place; gives the folder that PEFT loads as what it is."""
    if not spelling:
        return path
    before = path.with_name(f"{path.name}-before")
    shutil.copytree(path, before)
    respell(path, SPELLINGS[spelling])
    return path if SPELLINGS[spelling].loads else before


def _change(path: Path, keys: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(keys), indent=2))
