"""Tensors without a single value, which a run on several processes leaves in place of its own."""

from __future__ import annotations

from collections.abc import Mapping

from superpose.errors import BadInput

_GATHER = (
    "DeepSpeed ZeRO-3 and FSDP write such stubs when the shards were not gathered before saving: "
    'save again with "stage3_gather_16bit_weights_on_model_save": true in the DeepSpeed '
    "configuration (of FSDP: FULL_STATE_DICT), or gather a checkpoint with the zero_to_fp32.py "
    "that DeepSpeed puts into it."
)


def check_stubs(shapes: Mapping[str, tuple[int, ...]], where: object = None) -> None:
    """Refuse a file in which a tensor holds nothing, whatever it is there for.

    shapes: of every tensor, by name. where: the file, None where the caller knows it.

    Raises BadInput, naming the first such tensor and how many more there are. What it was to hold
    was trained and is lost, so a sum without it would be another one.
    """
    stubs = [name for name, shape in shapes.items() if 0 in shape]
    if stubs:
        more = f", and {len(stubs) - 1:,} more like it" if len(stubs) > 1 else ""
        raise BadInput(
            f"tensor `{stubs[0]}` has shape {shapes[stubs[0]]}, which holds no values{more}",
            where=where,
            hint=_GATHER,
        )
