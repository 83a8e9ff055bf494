"""What every result has that shows itself."""

from __future__ import annotations

from superpose.shown.parts import Part

__all__ = ["Shown"]


class Shown:
    """A result that says once what it shows; terminal, notebook and page draw it."""

    def shown(self) -> tuple[Part, ...]:
        """Give what it shows, one part below the other."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        from superpose.shown.notebook import notebook_html

        return notebook_html(self.shown())
