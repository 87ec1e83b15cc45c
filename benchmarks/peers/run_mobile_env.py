"""mobile-env's medium scenario (15 users, 7 stations) under a random policy: steps per CPU second on one thread.

The environments are used as they come (SNR only, features and rewards at every step): once with an agent per user, once
with a central agent. A step moves all users and changes at most one connection of each.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from typing import Any

from _common import measure, one_thread, require


def main() -> None:
    """Measure both environments and print one JSON row for each."""
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

    for setting, name in (("multi-agent", "mobile-medium-ma-v0"), ("central", "mobile-medium-central-v0")):
        env = gymnasium.make(name, disable_env_checker=True)  # the checker would only cost time
        core = env.unwrapped
        env.reset(seed=args.seed)

        def step(env: Any = env, core: Any = core, central: bool = setting == "central") -> tuple[int, list[float]]:
            drawn = rng.integers(core.NUM_STATIONS + 1, size=core.NUM_USERS)
            *_, terminated, truncated, _ = env.step(drawn if central else dict(enumerate(drawn.tolist())))
            if terminated or truncated:
                env.reset()
            return 1, []

        counts = measure(step, args.seconds / 2)
        row = {
            "peer": "mobile_env",
            "version": version("mobile-env"),
            "setting": setting,
            "users": core.NUM_USERS,
            "stations": core.NUM_STATIONS,
            "steps": counts["decisions"],
            "cpu_seconds": counts["cpu_seconds"],
            "steps_per_s": counts["decisions_per_s"],
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
