"""Many adapters of one base model: an index of them, and what their inner products tell."""
