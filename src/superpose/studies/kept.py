"""A study as its folder keeps it: for its tables and its page again, without base or rows."""

from __future__ import annotations

from functools import cached_property

from superpose.studies.forecasting import forecast_file
from superpose.studies.run import Study

__all__ = ["KeptStudy"]


class KeptStudy(Study):
    """A study that is only looked at: what it has is what lies in its folder."""

    @cached_property
    def has_forecast(self) -> bool:
        """Whether a seed's forecast lies here."""
        files = map(forecast_file, self.spec.seeds)
        return any((self.folder.path / file).exists() for file in files)
