"""Studies: a study file, its cells, the merged-data baseline, resume, and the summary."""
