"""mobile-env's medium scenario (15 users, 7 stations) under a random policy: steps per CPU second on one thread.

The environments are used as they come (SNR only, features and rewards at every step): once with an agent per user, once
with a central agent. A step moves all users and changes at most one connection of each.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version

from _common import Advance, measure, one_thread, require


def main() -> None:
    """Measure both environments and print one JSON row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="CPU seconds to measure in all (default: 6)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random policy (default: 0)")
    args = parser.parse_args()
    one_thread()
    require("mobile_env", "mobile_env")
    import gymnasium
    import mobile_env  # noqa: F401  (registers the environments)
    import numpy as np

    rng = np.random.default_rng(args.seed)

    def simulate(name: str) -> tuple[Advance, int, int]:
        env = gymnasium.make(name, disable_env_checker=True)  # it would only cost time
        core = env.unwrapped
        choices, users = core.NUM_STATIONS + 1, core.NUM_USERS
        central = name.endswith("central-v0")
        env.reset(seed=args.seed)

        def step() -> tuple[int, list[float]]:
            drawn = rng.integers(choices, size=users)
            *_, terminated, truncated, _ = env.step(drawn if central else dict(enumerate(drawn.tolist())))
            if terminated or truncated:
                env.reset()
                return 1, [0.0]
            return 1, []

        return step, users, choices - 1

    advance, users, stations = simulate("mobile-medium-ma-v0")
    agents = measure(advance, args.seconds / 2)
    central = measure(simulate("mobile-medium-central-v0")[0], args.seconds / 2)
    row = {
        "peer": "mobile_env",
        "version": version("mobile-env"),
        "scenario": "medium",
        "users": users,
        "stations": stations,
        "steps": agents["decisions"] + central["decisions"],
        "cpu_seconds": round(agents["cpu_seconds"] + central["cpu_seconds"], 3),
        "episodes": agents["episodes"] + central["episodes"],
        "multi_agent_steps_per_s": agents["decisions_per_s"],
        "central_steps_per_s": central["decisions_per_s"],
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
