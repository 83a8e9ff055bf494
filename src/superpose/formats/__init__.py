"""Adapters on disk: what a folder means, and writing one."""

from superpose.formats.door import check_output, load, save
from superpose.formats.peft import Written
from superpose.formats.summary import Kind, Summary, summarise
from superpose.formats.vllm import VLLM_DEFAULT_RANK, vllm_max_rank

__all__ = [
    "VLLM_DEFAULT_RANK",
    "Kind",
    "Summary",
    "Written",
    "check_output",
    "load",
    "save",
    "summarise",
    "vllm_max_rank",
]
