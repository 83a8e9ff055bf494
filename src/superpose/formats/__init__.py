"""Adapters on disk: what a folder means, and writing one."""

from superpose.formats.door import check_output, load, save
from superpose.formats.table import ENGINES, engines_of
from superpose.formats.vllm import VLLM_DEFAULT_RANK, VLLM_RANKS, check_for_vllm, vllm_max_rank
from superpose.formats.written import Written

__all__ = [
    "ENGINES",
    "VLLM_DEFAULT_RANK",
    "VLLM_RANKS",
    "Written",
    "check_for_vllm",
    "check_output",
    "engines_of",
    "load",
    "save",
    "vllm_max_rank",
]
