"""`Comparison`: all runs of a grid, and everything that is said about them.

Imports pandas; `orrl.comparison` loads it when a comparison is made or loaded.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..core.errors import FormatError, UnknownNameError
from .cautions import cautions
from .cell import Row
from .measures import frame
from .store import Store, is_store
from .summary import anytime, default_reference, headroom, pairwise, profile, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from rich.console import RenderableType

    from ..core.result import Result

__all__ = ["Comparison"]

_FORMAT = "orrl-comparison/1"


class Comparison:
    """Every run of problems x methods x seeds (x scenarios), failures included; made by `compare`.

    Parameters
    ----------
    rows : sequence of Row
        One per cell of the grid.
    setting : mapping
        What was asked: methods, problems, seeds, scenarios, time_limit, threads, n_jobs, reference, versions.
    """

    def __init__(self, rows: Sequence[Row], setting: Mapping[str, Any]) -> None:
        self.rows = tuple(rows)
        self.setting = dict(setting)
        self.methods: list[str] = list(dict.fromkeys(row.cell.method for row in self.rows))
        self.reference: str = self.setting.get("reference") or default_reference(self.rows, self.methods)

    # ---- numbers -----------------------------------------------------------------------------------------------
    @cached_property
    def _frame(self) -> pd.DataFrame:
        return frame(self.rows, self.reference)

    def to_frame(self) -> pd.DataFrame:
        """One row per run.

        What was asked: ``problem, problem_hash, family, size_..., method, kind, role, seed, scenario, clairvoyant,
        time_limit, threads, sense, unit``. What came: ``status, stop, answered, feasible, objective, bound, bound_kind,
        bound_of, gap`` (the run's own), ``message, machine``. Against the three references: ``gap_bound`` with
        ``best_bound`` (the best one proven in this comparison; on a scenario it is the bound of perfect information),
        ``excess_best`` with ``best_known, best_source``, ``excess_reference`` with ``reference``. With scenarios,
        ``gap_bound`` and ``excess_reference`` are in units of the mean over the instance's scenarios. Seconds are in
        ``compile_seconds, build_seconds, train_seconds, solve_seconds, total_seconds, cpu_seconds`` and ``seconds``
        (total without compiling and training). ``primal_integral`` with its ``target``, ``trainings``, ``seen``,
        ``key``.
        """
        return self._frame.copy()

    @cached_property
    def _summary(self) -> pd.DataFrame:
        return summarise(self.rows, self._frame, self.methods, self.reference)

    def summary(self) -> pd.DataFrame:
        """One row per method.

        ``runs`` counts all that took place, ``failed`` those without an answer; ``unsupported`` and ``missing`` are
        held against nobody. Means: ``gap_bound`` (a failed run is 1), ``excess_best`` and ``excess_reference`` (over
        the runs with an answer: see ``..._n``), each with a crossed bootstrap interval where there is one;
        ``feasible_rate`` with Wilson's interval; ``seconds_sgm``, ``par10``, ``primal_integral``, ``train_seconds``,
        ``break_even`` (to equal quality) and ``break_even_whole`` (against whole runs of the reference).
        """
        return self._summary.copy()

    def pairwise(self, reference: str | None = None, *, tol: float = 1e-6) -> pd.DataFrame:
        """Each method against a reference on shared (instance, scenario, seed) keys.

        ``difference`` is the mean excess over the reference's run of the same key, with its interval; ``wins, ties,
        losses`` count keys (a failure loses); ``p`` is Wilcoxon's over the instances, seeds averaged (with fewer than
        six: over instances and scenarios, which says nothing of other instances), ``p_holm`` corrected for the number
        of methods; ``probability_of_improvement`` as in rliable.
        """
        return pairwise(self._frame, self.methods, self._known(reference or self.reference), tol)

    def headroom(self) -> dict[str, tuple[str, float]]:
        """Mean gap to the best bound of what takes no thought: ``{"random": (method, gap), "best rule": ...}``.

        Where nothing was proven it is the excess over the best known value.
        """
        return headroom(self._summary)[1]

    def anytime(self) -> pd.DataFrame:
        """Mean primal gap over time: ``method, seconds, gap, best, worst, runs``.

        The gap of each run is to the best value that is known or was found; 1 before the first solution.
        """
        targets = dict(zip(self._frame["key"], self._frame["target"], strict=True))
        return anytime(self.rows, targets)

    def profile(self, metric: str = "gap", *, within: float = 0.01) -> pd.DataFrame:
        """Share of runs per method over a threshold.

        Parameters
        ----------
        metric : {"gap", "seconds"}
            "gap": share of runs with a gap to the best bound of at most the index (rliable's score distribution).
            "seconds": Dolan and Moré's profile of the seconds until a solution was `within` the best value known; the
            index is the ratio to the fastest method.
        within : float
            Excess at which a run counts as done.
        """
        return profile(self.rows, self._frame, self.methods, metric, within)

    @cached_property
    def warnings(self) -> list[str]:
        """What a reader must know before believing the table."""
        return cautions(self._frame, self._summary, self.setting)

    def result(self, problem: str, method: str, *, seed: int = 0, scenario: int | None = None) -> Result | None:
        """One run's result with its solution; None where the method gave none."""
        for row in self.rows:
            cell = row.cell
            if (cell.problem, cell.method, cell.seed, cell.scenario) == (problem, method, seed, scenario):
                return row.full_result()
        known = [
            f"{r.cell.problem} / {r.cell.method} / seed {r.cell.seed} / scenario {r.cell.scenario}" for r in self.rows
        ]
        raise UnknownNameError("run", f"{problem} / {method} / seed {seed} / scenario {scenario}", known)

    def _known(self, method: str) -> str:
        if method not in self.methods:
            raise UnknownNameError("method", method, self.methods)
        return method

    # ---- showing -----------------------------------------------------------------------------------------------
    def __str__(self) -> str:
        from .printing import to_text

        return to_text(self)

    def __repr__(self) -> str:
        problems = len({row.cell.problem_hash for row in self.rows})
        return f"<Comparison of {len(self.methods)} methods on {problems} problems, {len(self.rows)} runs>"

    def __rich__(self) -> RenderableType:
        from .printing import renderable

        return renderable(self)

    def report(
        self, path: str | Path, *, title: str | None = None, figures: Sequence[tuple[str, Any]] | None = None
    ) -> Path:
        """Write one HTML file that needs nothing else.

        Parameters
        ----------
        path : path
            Where to.
        title : str, optional
            Heading.
        figures : sequence of (caption, Figure or Axes), optional
            Shown under the tables, such as Gantt charts.
        """
        from .report import write_report

        return write_report(self, path, title=title, figures=figures or ())

    # ---- keeping -----------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"format": _FORMAT, "setting": self.setting, "rows": [row.to_dict() for row in self.rows]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls([Row.from_dict(row) for row in data["rows"]], data["setting"])

    def save(self, path: str | Path) -> Path:
        """Write everything to a JSON file."""
        path = Path(path)
        text = json.dumps(self.to_dict(), indent=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file of `save`, or the latest sweep of a store, finished or not.

        Raises
        ------
        FormatError
            Where the file is neither.
        """
        if not Path(path).is_file():
            raise FormatError(path, "there is no such file")
        if is_store(path):
            with Store(path) as store:
                setting, rows = store.latest()
            return cls(rows, setting)
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(path, f"neither a store nor JSON ({error})") from None
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise FormatError(path, f"not a comparison: expected format {_FORMAT!r}")
        return cls.from_dict(data)
