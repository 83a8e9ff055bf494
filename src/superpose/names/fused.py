"""Layers that some models keep as one and others apart: the same rows of the same weights.

Source: transformers 5.24, Phi3Attention and Phi3MLP (and every model after them): q, k and v one
below the other, gate above up. Baichuan's W_pack is the same. Models that order the rows of such a
layer by head or by group are named in `OTHER_FUSED`: nothing but the base's numbers tells them.
"""

from __future__ import annotations

FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "W_pack": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}
"""Last word of a fused layer -> those of its parts, in the order of the rows."""

PARTS = {part: fused for fused, parts in FUSED.items() for part in parts}

OTHER_FUSED = frozenset("query_key_value Wqkv wqkv qkv c_attn attn_qkv in_proj".split())
OTHER_PARTS = frozenset(
    "q_proj k_proj v_proj query key value wq wk wv q k v q_attn to_q to_k to_v".split()
)


def heights(fused: str, total: int, known: dict[str, int]) -> dict[str, int] | None:
    """Give the number of rows of each part; None where they cannot be told, or do not fit.

    total: rows of the fused layer. known: rows of the parts that an adapter has apart. k and v are
    of one height; so are gate and up.
    """
    parts = FUSED[fused]
    found = dict(known)
    if len(parts) == 2:
        found = dict.fromkeys(parts, total // 2) | found
    else:
        _, k, v = parts
        for one, other in ((k, v), (v, k)):
            if one in found:
                found.setdefault(other, found[one])
        rest = total - sum(found.values())
        missing = [part for part in parts if part not in found]
        if missing:
            found |= dict.fromkeys(missing, rest // len(missing))
    fits = sum(found.values()) == total and all(height > 0 for height in found.values())
    return {part: found[part] for part in parts} if fits else None
