"""Question rows, the prompts made of them, and question sets made from a seed."""
