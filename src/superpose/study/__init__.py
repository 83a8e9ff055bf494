"""Studies: domains, training, the merged-data baseline, evaluation, statistics, resume."""
