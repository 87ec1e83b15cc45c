"""job_shop_lib with random decisions: decisions per CPU second on one thread, its RL environment and its rule solver.

Three rows, each with a third of the seconds. ``env``: `SingleJobShopGraphEnv` in the fastest setting found for 10x10
and 15x15 (one feature observer, the graph with the fewest edges, no padding), otherwise as it comes. ``rules``: the
rule solver's "random" with its default filters, which admit only operations that can start at once.
``rules_unfiltered``: the same without filters, faster, but a job's next operation may be placed long before it can
start, so that the schedules are worse.
"""

from __future__ import annotations

import random

from _common import Advance, measure, one_thread, require, row, simulation_arguments


def main() -> None:
    """Measure the three settings and print one JSON row for each."""
    args = simulation_arguments(__doc__)
    one_thread()
    require("job_shop_lib", "job_shop_lib")
    from job_shop_lib import JobShopInstance
    from job_shop_lib.dispatching.feature_observers import FeatureObserverType
    from job_shop_lib.dispatching.rules import DispatchingRuleSolver
    from job_shop_lib.graphs import build_complete_resource_task_graph
    from job_shop_lib.reinforcement_learning import SingleJobShopGraphEnv

    random.seed(args.seed)  # both the environment's policy below and the library's random rule use this generator
    instance = JobShopInstance.from_taillard_file(args.instance)
    env = SingleJobShopGraphEnv(
        build_complete_resource_task_graph(instance), [FeatureObserverType.REMAINING_OPERATIONS], use_padding=False
    )

    def episode() -> tuple[int, list[float]]:
        _, info = env.reset()
        decisions, done = 0, False
        while not done:
            _, machine, job = random.choice(info["available_operations_with_ids"])
            _, _, done, _, info = env.step((job, machine))
            decisions += 1
        return decisions, [float(env.current_makespan())]

    def rollout_of(solver: DispatchingRuleSolver) -> Advance:
        return lambda: (instance.num_operations, [float(solver.solve(instance).makespan())])

    settings: dict[str, Advance] = {
        "env": episode,
        "rules": rollout_of(DispatchingRuleSolver("random")),
        "rules_unfiltered": rollout_of(DispatchingRuleSolver("random", ready_operations_filter=None)),
    }
    for setting, advance in settings.items():
        counts = measure(advance, args.seconds / len(settings))
        row("job_shop_lib", "job-shop-lib", args.instance, setting=setting, **counts)


if __name__ == "__main__":
    main()
