"""JSSEnv under a random policy: decisions per CPU second on one thread.

The environment is used as it comes: 7 features per job and the mask at every step. Its mask may offer "wait" beside the
jobs; a step that waits counts as a decision too.
"""

from __future__ import annotations

import random

from _common import measure, one_thread, require, row, simulation_arguments


def main() -> None:
    """Measure and print one JSON row."""
    args = simulation_arguments(__doc__)
    one_thread()
    require("JSSEnv", "jssenv")
    from JSSEnv.envs.jss_env import JssEnv

    random.seed(args.seed)
    env = JssEnv({"instance_path": args.instance})

    def episode() -> tuple[int, list[float]]:
        observation = env.reset()
        decisions, done = 0, False
        while not done:
            action = int(random.choice(observation["action_mask"].nonzero()[0]))
            observation, _, done, _, _ = env.step(action)
            decisions += 1
        return decisions, [float(env.last_time_step)]

    row("jssenv", "JSSEnv", args.instance, setting="env", **measure(episode, args.seconds))


if __name__ == "__main__":
    main()
