"""An adapter to a PEFT folder that every engine reads alike."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter
from superpose.adapter.base_class import MAPPING
from superpose.files import check_free, encodable, new_folder, write_tensors
from superpose.formats.folded import checked_dtype, fold, widest_dtype
from superpose.formats.foreign import CONFIG, WEIGHTS
from superpose.formats.noted import KEY, note_of
from superpose.formats.peft import CARD, REPLACEABLE
from superpose.formats.peft.card import model_card
from superpose.formats.peft.keys import factor_name
from superpose.formats.peft.layout import Layout, check_for_peft, file_layout
from superpose.formats.vllm import VLLM_RANKS, check_for_vllm
from superpose.formats.written import Written, written_bytes


def write_peft(
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    compact: bool = False,
    force: bool = False,
    for_vllm: bool = False,
) -> Written:
    """Write an adapter: portable unless `compact`, whole or not at all.

    dtype: of the file; None is the narrowest that holds every parent's factors, and more for
    stored tensors that this would round. compact: keep each
    module's rank (rank_pattern and alpha_pattern, which PEFT alone reads). force: replace an
    adapter that stands at `path`. for_vllm: take the least rank of vLLM's list that is enough, and
    refuse what it does not serve.

    Raises OutputExists before any work is done, BadInput when a value does not fit the dtype or the
    disk does not take the file, Refused for what a PEFT folder, or vLLM, does not hold.
    """
    from superpose.formats.beside import to_carry  # who only compares does not pay for it

    target = Path(path)
    check_free(target, force=force, replaceable=REPLACEABLE)
    chosen = checked_dtype(dtype or widest_dtype(adapter))
    check_for_peft(adapter)
    factors = fold(adapter, chosen, compact, VLLM_RANKS if for_vllm else (), name=factor_name)
    layout = file_layout(adapter, factors, chosen, exactly=dtype is None)
    tokenizer = to_carry(adapter.beside)
    written = Written(
        path=target,
        rank=max(layout.ranks.values(), default=1),
        dtype=chosen,
        rounding_error=factors.rounding_error,
        bytes=written_bytes(layout.tensors),
        modules=len(layout.ranks),
        carried=tuple(tokenizer),
    )
    fields = peft_config(adapter, layout)
    if for_vllm:
        check_for_vllm(fields, {name: t.shape for name, t in layout.tensors.items()})
    config = json.dumps(fields, indent=2, ensure_ascii=False)
    card = model_card(adapter, layout.ranks, chosen, factors.rounding_error)
    note = note_of(adapter, factors.rounding_error)
    with new_folder(target, force=force, replaceable=REPLACEABLE) as folder:
        write_tensors(folder / WEIGHTS, layout.tensors, {"format": "pt", KEY: note})
        (folder / CONFIG).write_text(config + "\n", encoding="utf-8")
        (folder / CARD).write_text(encodable(card), encoding="utf-8")
        for name, content in tokenizer.items():
            (folder / name).write_bytes(content)
    return written


def peft_config(adapter: Adapter, layout: Layout) -> dict[str, Any]:
    """Give the adapter_config.json for factors whose scaling is 1 everywhere.

    alpha equals rank, module by module too: a loader that ignores patterns still scales by 1.
    """
    rank = max(layout.ranks.values(), default=1)
    # Escaped and bound to the start: a pattern is a regular expression that may match the end of a
    # longer name.
    pattern = {f"^{re.escape(name)}": r for name, r in layout.ranks.items() if r != rank}
    settings = adapter.settings
    plain = {
        "alpha_pattern": pattern,
        MAPPING: settings.get(MAPPING),
        "base_model_name_or_path": adapter.base_model,
        "bias": layout.bias,
        "fan_in_fan_out": bool(settings.get("fan_in_fan_out")),
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "modules_to_save": list(layout.whole_modules) or None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": pattern,
        "revision": settings.get("revision"),
        "target_modules": list(layout.target_modules),
        "task_type": settings.get("task_type"),
        "use_dora": False,
        "use_rslora": False,
    }
    # Fields that older readers do not know stand there only where something needs them.
    special = {
        "ensure_weight_tying": bool(adapter.tied),
        "layer_replication": settings.get("layer_replication"),
        "lora_bias": layout.lora_bias,
        "qalora_group_size": layout.pooled if layout.pooled > 1 else None,
        "target_parameters": list(layout.target_parameters),
        "trainable_token_indices": layout.rows,
        "use_qalora": layout.pooled > 1,
    }
    return dict(sorted({**plain, **{k: v for k, v in special.items() if v}}.items()))


__all__ = ["peft_config", "write_peft"]
