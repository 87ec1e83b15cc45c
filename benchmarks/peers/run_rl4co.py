"""rl4co's JSSPEnv under a random policy: decisions per CPU second on one thread, for the best of some batch sizes.

A batch holds copies of the given instance, read by rl4co's own file reader. Every batch size gets the same share of
the seconds. The clock is read after each batched step, so a large batch may be cut inside its first episode (then
``episodes`` is 0). Batch sizes whose tensors would not fit are skipped.
"""

from __future__ import annotations

import os
from typing import Any

from _common import Advance, measure, one_thread, read_jobs, require, row, simulation_arguments

BATCH_SIZES = (1, 64, 256)
ADJACENCY_LIMIT = 200e6
"""Bytes of one batched operation-operation matrix above which a batch size is skipped; rl4co holds several of them."""


def main() -> None:
    """Measure the batch sizes and print one JSON row for the best."""
    args = simulation_arguments(__doc__)
    one_thread()
    os.environ["WANDB_MODE"] = "disabled"
    require("rl4co", "rl4co")
    import torch
    from rl4co.envs.scheduling.jssp.env import JSSPEnv

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    operations = sum(map(len, read_jobs(args.instance)))
    env = JSSPEnv(generator_params={"file_path": str(args.instance)}, seed=args.seed)
    single = env.generator(batch_size=[1])

    def simulate(batch: int) -> Advance:
        def reset() -> Any:
            return env.reset(single.expand(batch).clone())

        state = reset()

        def step() -> tuple[int, list[float]]:
            nonlocal state
            state["action"] = torch.multinomial(state["action_mask"].float(), 1).squeeze(1)
            state = env.step(state)["next"]
            if not state["done"].all():  # all copies end together, after as many steps as there are operations
                return batch, []
            makespans = (-env.get_reward(state, None)).tolist()
            state = reset()
            return batch, makespans

        return step

    sizes = [batch for batch in BATCH_SIZES if 4.0 * batch * operations**2 <= ADJACENCY_LIMIT]
    with torch.no_grad():
        counts = {batch: measure(simulate(batch), args.seconds / len(sizes)) for batch in sizes}
    best = max(counts, key=lambda batch: counts[batch]["decisions_per_s"])
    rates = {str(batch): counts[batch]["decisions_per_s"] if batch in counts else None for batch in BATCH_SIZES}
    row("rl4co", "rl4co", args.instance, setting=f"env, batch {best}", **counts[best], decisions_per_s_by_batch=rates)


if __name__ == "__main__":
    main()
