"""The textbook CP-SAT model: one interval per operation, no overlap on a machine.

In a blocking shop the interval lasts until the job's next operation starts; ends may touch, so swaps are allowed. For
blocking shops the literal model proves optimality far sooner.
"""

from __future__ import annotations

from typing import Any

from .shop_cp import ShopCp

__all__ = ["IntervalCpSat"]


class IntervalCpSat(ShopCp):
    """Intervals and ``no_overlap``; options are those of `ShopCp`."""

    form = "interval"

    def machines(self) -> None:
        """One interval a visit."""
        for m in range(self.problem.n_machines):
            self.model.add_no_overlap([self._visit(j, k) for j, k in self.visits(m)])

    def _visit(self, j: int, k: int) -> Any:
        start, end, name = self.start[j, k], self.leaves((j, k)), f"visit_{j}_{k}"
        if end is self.finish[j, k] and (j, k) in self.length:
            return self.model.new_fixed_size_interval_var(start, self.length[j, k], name)
        least = int(self.work[j, k])
        size = self.new_int(least, self.horizon, f"size_{j}_{k}", lambda s: int(s.leave[j, k] - s.start[j, k]))
        return self.model.new_interval_var(start, size, end, name)
