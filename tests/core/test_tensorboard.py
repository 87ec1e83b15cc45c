"""Event files: TensorBoard's own reader finds every number of every iteration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from orrl.core import Event
from orrl.core.errors import NotInstalledError
from orrl.core.tensorboard import TensorBoardLog

if TYPE_CHECKING:
    from pathlib import Path


def test_event_files_hold_what_was_said(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="tensorboard extra")
    log = TensorBoardLog(tmp_path)
    for iteration in (1, 2, 5):
        info = {"iteration": iteration, "return": -10.0 * iteration, "note": "text is no scalar"}
        assert log(Event("iteration", 0.5 * iteration, info=info)) is False
    assert log(Event("incumbent", 9.0, objective=3.0)) is False
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == ["return", "seconds"]
    assert [(e.step, e.value) for e in found.Scalars("return")] == [(1, -10.0), (2, -20.0), (5, -50.0)]


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(NotInstalledError, match=r'pip install "orrl\[tensorboard\]"'):
        TensorBoardLog(tmp_path)
