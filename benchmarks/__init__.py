"""How quick superpose is, beside what one would use without it."""

from __future__ import annotations

import os

# Nothing here needs a hub; asking one would be timed, and PEFT asks for the base's configuration.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
