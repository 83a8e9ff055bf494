"""A check, a prediction or a study as one self-contained HTML page."""
