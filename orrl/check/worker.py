"""Point 9: the problem travels to a freshly spawned process and is worth the same there."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..core.capabilities import HasKernel, HasProgram, HasScenarios
from ..core.hashing import canonical_bytes
from .lab import Lab, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measure", "works_in_a_spawned_process"]

START = 120.0  # seconds allowed for starting Python and importing what the problem needs


def works_in_a_spawned_process(lab: Lab) -> str:
    """Pickle the problem, measure it here and in a spawned process, compare."""
    try:
        parcel = pickle.dumps(lab.problem)
    except Exception as error:  # pickle raises whatever the object's own methods raise
        lab.fail(f"the problem does not pickle: {type(error).__name__}: {error}")
        return ""
    seed = lab.seeds[0]
    here = measure(parcel, seed, lab.time_limit)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            with _script_left_out(lab.problem):
                waiting = pool.submit(measure, parcel, seed, lab.time_limit)
            there = waiting.result(START + 3 * lab.time_limit)
        except BrokenProcessPool:
            lab.fail(
                "the spawned process died; a script that defines its problem is imported again there: guard the rest "
                "with `if __name__ == '__main__':`"
            )
            return ""
        except TimeoutError:
            lab.fail(f"no answer from the spawned process within {START + 3 * lab.time_limit:.0f} s")
            for process in pool._processes.values():
                process.terminate()
            return ""
        except Exception as error:
            lab.fail(f"in the spawned process: {type(error).__name__}: {error}")
            return ""
    if "error" in here:
        raise NotApplicable(f"the problem cannot be measured here: {here['error']}")
    for what, value in here.items():
        other = there.get(what)
        equal = lab.close(value, other) if isinstance(value, float) else value == other
        if not equal:
            lab.fail(f"{what} is {_show(value)} here and {_show(other)} in the spawned process")
    return "equal there: " + ", ".join(here)


@contextmanager
def _script_left_out(problem: Any) -> Iterator[None]:
    """Keep the process from importing the running script again, unless the problem is defined there.

    A script without ``if __name__ == "__main__":`` would be run a second time, this check included.
    """
    script = sys.modules["__main__"]
    if type(problem).__module__ != "__main__":
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def measure(parcel: bytes, seed: int, time_limit: float) -> dict[str, Any]:
    """Content hash, first scenario, value of a random episode and of the first program, of a pickled problem."""
    problem = pickle.loads(parcel)
    lab = Lab(problem, [seed], time_limit, ())
    found: dict[str, Any] = {"content hash": problem.content_hash}
    world = lab.worlds[0]
    if problem.supports(HasScenarios):
        found["scenario"] = canonical_bytes(world.scenario.to_dict())
    if problem.supports(HasKernel):
        policy = lab.policies()[-1]
        found[f"value of {policy.name}"] = float(lab.play(policy, world).value)
    if problem.supports(HasProgram):
        backend, form, where = lab.forms[0]
        outcome = lab.solve(lab.build(backend, form, where))
        if outcome.status == "optimal" and outcome.objective is not None:
            found[f"objective of {backend}/{form}"] = float(outcome.objective)
    return found


def _show(value: Any) -> str:
    return f"{value!r}"[:60]
