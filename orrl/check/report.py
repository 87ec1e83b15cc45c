"""`CheckReport`: what was looked at, what was found, and what could not be looked at and why."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from ..core.errors import OrrlError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CheckFailedError", "CheckReport", "CheckRow"]

CheckStatus = Literal["pass", "fail", "not applicable"]
SHOWN = 3  # failures printed per point; `CheckRow.failures` keeps all


class CheckFailedError(OrrlError, AssertionError):
    """A problem breaks a point of `check_problem`; the message is the report."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One point.

    Parameters
    ----------
    point : int
        Number, 1 to 11.
    title : str
        What is claimed.
    status : {"pass", "fail", "not applicable"}
        What was found.
    detail : str
        How much was looked at, what failed, or why the point does not apply.
    failures : tuple of str
        One sentence per fault, naming the place.
    """

    point: int
    title: str
    status: CheckStatus
    detail: str
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Verdict of `check_problem`.

    Parameters
    ----------
    problem, content_hash : str
        What was checked.
    rows : tuple of CheckRow
        One a point, in order.
    """

    problem: str
    content_hash: str
    rows: tuple[CheckRow, ...]

    @property
    def ok(self) -> bool:
        """Whether no point failed."""
        return all(row.status != "fail" for row in self.rows)

    def __getitem__(self, point: int) -> CheckRow:
        """The row of a point by its number."""
        for row in self.rows:
            if row.point == point:
                return row
        raise KeyError(f"point {point} was not checked; checked: {[row.point for row in self.rows]}")

    def raise_for_failures(self) -> Self:
        """Return self, or raise with the table where a point failed.

        Raises
        ------
        CheckFailedError
            The message is the report.
        """
        if not self.ok:
            raise CheckFailedError(f"{self.problem} fails check_problem\n{self}")
        return self

    def to_frame(self) -> pd.DataFrame:
        """Columns ``point``, ``title``, ``status``, ``detail``."""
        import pandas as pd

        rows = [(r.point, r.title, r.status, r.detail) for r in self.rows]
        return pd.DataFrame(rows, columns=["point", "title", "status", "detail"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        rows = [{**asdict(row), "failures": list(row.failures)} for row in self.rows]
        return {"problem": self.problem, "content_hash": self.content_hash, "ok": self.ok, "rows": rows}

    def __str__(self) -> str:
        counts = {word: sum(row.status == word for row in self.rows) for word in ("pass", "fail", "not applicable")}
        head = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        lines = [f"check_problem {self.problem} ({self.content_hash[:8]}): {head}"]
        for row in self.rows:
            lines.append(f"{row.point:>3}  {row.status:<14}  {row.title}")
            lines += textwrap.wrap(row.detail, 112, initial_indent=" " * 21, subsequent_indent=" " * 21)
            more = row.failures[:SHOWN] + (
                (f"and {len(row.failures) - SHOWN} more",) if len(row.failures) > SHOWN else ()
            )
            for text in more:
                lines += textwrap.wrap(text, 112, initial_indent=" " * 21 + "- ", subsequent_indent=" " * 23)
        return "\n".join(lines)
