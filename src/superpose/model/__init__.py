"""Base models, the superposed model on top of one, and a written sum held against PEFT on it."""

from superpose.model.base_model import BaseModel, load_base
from superpose.model.superposed import SuperposedModel

__all__ = ["BaseModel", "SuperposedModel", "load_base"]
