"""Processes that train one network together: each plays episodes of its own, and gradients are averaged.

Every process holds the same weights and takes the same steps; what they share is a few numbers in shared memory and a
barrier, so there is no network to set up, and equal seeds give equal trainings.
"""

from __future__ import annotations

import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import OrrlError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import torch

__all__ = ["Team", "TeamError"]

PATIENCE = 600.0  # wall seconds that a process waits for the others before it gives up


class TeamError(OrrlError, RuntimeError):
    """One of the processes has died; its own message is above."""


class Team:
    """One member's view.

    Parameters
    ----------
    rank, size : int
        Number of this process, 0 is the caller's, and how many there are.
    table : shared array, optional
        (size, numbers) of what they tell each other.
    barrier : barrier, optional
        Of the team.
    """

    def __init__(self, rank: int = 0, size: int = 1, table: Any = None, barrier: Any = None) -> None:
        self.rank, self.size, self._table, self._barrier = rank, size, table, barrier

    @classmethod
    def start(cls, size: int, numbers: int, work: Callable[..., None], *args: Any) -> tuple[Team, list[Any]]:
        """The caller's view, and the other processes, which run ``work(team, *args)``.

        Parameters
        ----------
        numbers : int
            Most numbers that one member tells at a time.
        """
        if size == 1:
            return cls(), []
        context = multiprocessing.get_context("spawn")
        table, barrier = context.RawArray("d", size * numbers), context.Barrier(size)
        others = [
            context.Process(target=work, args=(cls(rank, size, table, barrier), *args), daemon=True)
            for rank in range(1, size)
        ]
        for other in others:
            other.start()
        return cls(0, size, table, barrier), others

    def share(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What every member tells now, (size, ...), in the order of their ranks."""
        if self.size == 1:
            return numbers[None]
        table = np.frombuffer(self._table, np.float64).reshape(self.size, -1)
        table[self.rank, : numbers.size] = numbers.ravel()
        self._wait()
        told = table[:, : numbers.size].reshape(self.size, *numbers.shape).copy()
        self._wait()  # no one writes again before all have read
        return told

    def average_gradients(self, net: torch.nn.Module) -> None:
        """Replace the gradients by their mean over the team."""
        if self.size == 1:
            return
        import torch

        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in net.parameters()]
        flat = torch.cat([g.reshape(-1) for g in grads]).double().cpu().numpy()
        mean = torch.as_tensor(self.share(flat).mean(axis=0), dtype=grads[0].dtype, device=grads[0].device)
        at = 0
        for p in net.parameters():
            p.grad = mean[at : at + p.numel()].reshape(p.shape).clone()
            at += p.numel()

    def leave(self) -> None:
        """Break the barrier, so that no one waits for this member."""
        if self._barrier is not None:
            self._barrier.abort()

    def _wait(self) -> None:
        try:
            self._barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            if self.rank:
                raise SystemExit(1) from None  # the first process says it, if it is still there
            raise TeamError("another process of the training has ended: see what it printed") from None
