"""Question sets made from a seed, for the demo: math, medicine and finance."""

from superpose.data.questions.generator import DOMAINS, generate, generate_spare

__all__ = ["DOMAINS", "generate", "generate_spare"]
