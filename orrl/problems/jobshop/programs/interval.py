"""The textbook CP-SAT model: one interval per operation, no overlap on a machine.

In a blocking shop the interval lasts until the job's next operation starts; ends may touch, so swaps are allowed. For
blocking shops the literal model proves optimality far sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shop_cp import ShopCp

if TYPE_CHECKING:
    from ..schedule import Schedule

__all__ = ["IntervalCpSat"]


class IntervalCpSat(ShopCp):
    """Intervals and ``no_overlap``; options are those of `ShopCp`."""

    form = "interval"

    def machines(self) -> None:
        """One interval a visit."""
        for m in range(self.problem.n_machines):
            intervals = []
            for j, k in self.visits(m):
                start, end, work = self.start[j, k], self.leaves((j, k)), int(self.work[j, k])
                fixed = not self.windows[m] and not (self.problem.blocking and (j, k) != self.last(j))
                name = f"visit_{j}_{k}"
                if fixed:
                    intervals.append(self.model.new_fixed_size_interval_var(start, work, name))
                else:
                    size = self.model.new_int_var(work, self.horizon, f"size_{j}_{k}")
                    intervals.append(self.model.new_interval_var(start, size, end, name))
            self.model.add_no_overlap(intervals)

    def hint_more(self, schedule: Schedule) -> None:
        """Sizes follow from the starts."""
