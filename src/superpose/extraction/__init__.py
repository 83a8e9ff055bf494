"""A delta from a full fine-tune: base and fine-tuned weights to an adapter."""

from superpose.extraction.extracted import Extracted, ExtractedKind, ExtractedModule, Leftover
from superpose.extraction.extracting import extract, extracted_format

__all__ = [
    "Extracted",
    "ExtractedKind",
    "ExtractedModule",
    "Leftover",
    "extract",
    "extracted_format",
]
