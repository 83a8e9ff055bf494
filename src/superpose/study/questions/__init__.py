"""Question sets made from a seed, for the demo: math, medicine and finance."""

from superpose.study.questions.generate import DOMAINS, generate

__all__ = ["DOMAINS", "generate"]
