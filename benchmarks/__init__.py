"""How quick superpose is, beside what one would use without it."""
