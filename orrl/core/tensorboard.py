"""A callback that writes what a learner says as event files for TensorBoard (extra ``orrl[tensorboard]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import NotInstalledError

if TYPE_CHECKING:
    from pathlib import Path

    from .callbacks import Event

__all__ = ["TensorBoardLog"]


class TensorBoardLog:
    """One scalar for each number of an iteration, such as the return, the loss and its parts.

    Parameters
    ----------
    folder : path
        Give each training one of its own below a common folder, and ``tensorboard --logdir`` that one.

    Raises
    ------
    NotInstalledError
        Without the extra.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise NotInstalledError('event files need TensorBoard: pip install "orrl[tensorboard]"') from None
        self._writer: Any = SummaryWriter(str(folder))
        self._count = 0

    def __call__(self, event: Event) -> bool:
        """Write an iteration; other events are let pass. Never stops the training."""
        if event.kind == "iteration":
            self._count += 1
            step = int(event.info.get("iteration", self._count))
            numbers = {"seconds": event.seconds, "objective": event.objective, **event.info}
            for name, value in numbers.items():
                if name != "iteration" and isinstance(value, int | float):
                    self._writer.add_scalar(name, value, step)
            self._writer.flush()
        return False
