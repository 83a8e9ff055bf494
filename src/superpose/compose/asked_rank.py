"""What every method says to a rank that is more than there is."""

from __future__ import annotations

from superpose.errors import BadSetting

__all__ = ["check_asked_rank"]


def check_asked_rank(rank: int, most: int, method: str) -> None:
    """Raise BadSetting for a rank above the most that a module of a result can have."""
    if rank > most:
        raise BadSetting(
            f"rank is {rank}, and `{method}` of these adapters has at most {most}",
            where="rank",
            hint="Leave the rank out to have all of it.",
        )
