"""A delta from a full fine-tune: base and fine-tuned weights to an adapter."""

from superpose.extraction.extract import extract
from superpose.extraction.extracted import Extracted, ExtractedKind, ExtractedModule, Leftover

__all__ = ["Extracted", "ExtractedKind", "ExtractedModule", "Leftover", "extract"]
