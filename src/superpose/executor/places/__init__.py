"""Where workers are started: processes here, jobs of Slurm, tasks of a Ray cluster."""
