"""Adapters on disk: what a folder means, and writing one."""

from superpose.adapter.image_marks import IMAGE_FORMATS
from superpose.formats.door import ENGINES, check_output, load, save
from superpose.formats.peft import Written
from superpose.formats.vllm import VLLM_DEFAULT_RANK, VLLM_RANKS, check_for_vllm, vllm_max_rank

__all__ = [
    "ENGINES",
    "IMAGE_FORMATS",
    "VLLM_DEFAULT_RANK",
    "VLLM_RANKS",
    "Written",
    "check_for_vllm",
    "check_output",
    "load",
    "save",
    "vllm_max_rank",
]
