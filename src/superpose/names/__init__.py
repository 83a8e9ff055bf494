"""One identity for a weight of the base model, whatever a file calls it."""
