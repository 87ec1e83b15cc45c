"""scikit-decide's C++ SARSOP on a ``.pomdp`` file: bounds at the start belief and seconds.

The file is what orrl's ``write_pomdp`` makes, or any other whose rows orrl's `read_pomdp` can read: the folder of orrl
is put on the path, and only its reader (NumPy and SciPy) is used. The domain answers scikit-decide's calls from lists
made beforehand, so that their cost is small; what the solver asks of it counts as its time, as it would for a user.
scikit-decide observes the state after the action, as orrl does; its defaults are kept, but for the discount, the
precision and the time.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from _common import one_thread, require, row


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="files in Cassandra's .pomdp format")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds per file (default: 60)")
    parser.add_argument("--gap", type=float, default=1e-3, help="relative gap to stop at (default: 0.001)")
    return parser.parse_args()


def domain(file: Any) -> Any:
    """The file as a domain of scikit-decide with numbers for states, actions and observations."""
    import numpy as np
    from skdecide import DiscreteDistribution, Domain, Value
    from skdecide.builders.domain import (
        Actions,
        EnumerableTransitions,
        Markovian,
        PartiallyObservable,
        Rewards,
        Sequential,
        SingleAgent,
        UncertainInitialized,
    )
    from skdecide.hub.space.gym import ListSpace

    table = file.tabular()

    def law(weights: Any) -> Any:
        dense = np.asarray(weights.toarray() if hasattr(weights, "toarray") else weights).ravel()
        return DiscreteDistribution([(int(i), float(dense[i])) for i in np.flatnonzero(dense)])

    states, actions = table.reward.shape
    known: dict[bytes, Any] = {}

    def shared(weights: Any) -> Any:
        dense = np.asarray(weights.toarray() if hasattr(weights, "toarray") else weights).ravel()
        if dense.tobytes() not in known:
            known[dense.tobytes()] = law(dense)
        return known[dense.tobytes()]

    move = [[shared(t[s]) for s in range(states)] for t in table.transition]
    look = [[shared(o[s]) for s in range(states)] for o in table.observation]
    prize = [[Value(reward=float(table.reward[s, a])) for a in range(actions)] for s in range(states)]
    start, all_actions = law(table.initial), ListSpace(list(range(actions)))
    seen = ListSpace(list(range(table.observation[0].shape[1])))
    nothing = DiscreteDistribution([(0, 1.0)])

    class Tabular(
        Domain, SingleAgent, Sequential, EnumerableTransitions, Actions, Markovian, PartiallyObservable, Rewards,
        UncertainInitialized,
    ):  # fmt: skip
        T_state = T_observation = T_event = int
        T_value = float
        T_predicate = bool
        T_info = None

        def _get_next_state_distribution(self, memory: int, action: int) -> Any:
            return move[action][memory]

        def _get_transition_value(self, memory: int, action: int, next_state: int | None = None) -> Any:
            return prize[memory][action]

        def _is_transition_value_dependent_on_next_state_(self) -> bool:
            return False

        def _is_terminal(self, state: int) -> bool:
            return False

        def _get_action_space_(self) -> Any:
            return all_actions

        def _get_applicable_actions_from(self, memory: int) -> Any:
            return all_actions

        def _get_initial_state_distribution_(self) -> Any:
            return start

        def _get_observation_space_(self) -> Any:
            return seen

        def _get_observation_distribution(self, state: int, action: int | None = None) -> Any:
            return nothing if action is None else look[action][state]

    return Tabular()


def main() -> None:
    """Solve each file and print a row."""
    args = arguments()
    one_thread()
    require("skdecide", "scikit_decide")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from skdecide.hub.solver.sarsop import SARSOP

    from orrl.problems.tabular.pomdp_format import read_pomdp

    for path in args.files:
        file = read_pomdp(path)
        made = domain(file)
        begin, cpu = time.perf_counter(), time.process_time()

        def close(solver: Any) -> bool:
            high = max(abs(solver.get_lower_bound()), abs(solver.get_upper_bound()))
            return bool(solver.get_gap() <= args.gap * high)

        limit = int(1000 * args.time_limit)
        options = {"epsilon": 1e-9, "discount": file.discount, "time_budget": limit, "callback": close}
        with SARSOP(lambda made=made: made, **options) as solver:
            solver.solve()
            row(
                "scikit_decide", "scikit-decide", path, solver="sarsop",
                lower=solver.get_lower_bound(), upper=solver.get_upper_bound(), alphas=solver.get_nb_alpha_vectors(),
                beliefs=solver.get_nb_explored_beliefs(), seconds=time.perf_counter() - begin,
                cpu_seconds=time.process_time() - cpu,
            )  # fmt: skip


if __name__ == "__main__":
    main()
