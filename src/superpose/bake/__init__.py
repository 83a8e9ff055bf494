"""Base model and superposition as one model on disk, and the proof that it is their sum."""

from superpose.bake.model import Baked, bake
from superpose.bake.proof import Failure, Proof
from superpose.bake.prove_model import prove_model
from superpose.bake.prove_sum import prove_sum

__all__ = ["Baked", "Failure", "Proof", "bake", "prove_model", "prove_sum"]
