"""Losses, slopes and answers on question rows, and what is foreseen and tuned from them."""
