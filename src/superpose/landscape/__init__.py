"""Lambda space: the base model and the superposed model on top of it."""

from superpose.landscape.base_model import BaseModel, load_base
from superpose.landscape.superposed import SuperposedModel

__all__ = ["BaseModel", "SuperposedModel", "load_base"]
