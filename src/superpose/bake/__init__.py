"""Base model and superposition as one model on disk, and the proof that it is their sum."""

from superpose.bake.model import Baked, bake

__all__ = ["Baked", "bake"]
