"""How superpose and the paper whose system it implements are cited: BibTeX."""

from __future__ import annotations

from superpose._version import __version__

__all__ = ["bibtex"]


def bibtex() -> str:
    """Give the entries of both, as CITATION.cff has them, this version's."""
    return f"""\
@software{{superpose,
  title   = {{superpose: exact sums of LoRA adapters, and whether they add up}},
  author  = {{{{superpose maintainers}}}},
  version = {{{__version__}}},
  note    = {{Apache-2.0}},
}}

@article{{lora-summation,
  title         = {{Efficient Modular Learning through Naive LoRA Summation:
                   Leveraging Orthogonality in High-Dimensional Models}},
  author        = {{Cao and Truong and Lizarraga}},
  year          = {{2025}},
  eprint        = {{2508.11985}},
  archivePrefix = {{arXiv}},
  url           = {{https://arxiv.org/abs/2508.11985}},
}}
"""
