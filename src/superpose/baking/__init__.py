"""Base model and superposition as one model on disk, and the proof that it is their sum."""

from superpose.baking.model import Baked, bake
from superpose.baking.proof import Failure, Proof
from superpose.baking.proof_of_model import prove_model
from superpose.baking.proof_of_sum import prove_sum

__all__ = ["Baked", "Failure", "Proof", "bake", "prove_model", "prove_sum"]
