"""Many adapters in one file: the bases of their target modules, and a small core for each."""
