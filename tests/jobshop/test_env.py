"""The Gymnasium views: conformance, options, and three learners of other people."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from shop_strategies import SEEDS, shops_in_worlds

import orrl
from orrl.core.errors import DataError, IllegalActionError, NotSupportedError
from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.graph_features import NODE_FEATURES
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

LAW = Interruptions(p=0.3, outage=(1, 20))


def shop(seed: int = 0, jobs: int = 4, machines: int = 3, **options) -> JobShop:
    return JobShop.generate(seed=seed, jobs=jobs, machines=machines, **options)


def masked(env, info, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(info["action_mask"])))


def play(env: gymnasium.Env, seed: int, options: dict | None = None) -> tuple[float, list]:
    """One random episode: return, observations."""
    rng = np.random.default_rng(seed)
    obs, info = env.reset(seed=seed, options=options)
    total, seen, over = 0.0, [obs], False
    while not over:
        obs, reward, over, truncated, info = env.step(masked(env, info, rng))
        assert not truncated
        total += reward
        seen.append(obs)
    return total, seen


# ---- one environment -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("obs", ["features", "graph"])
@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("storage", ["unlimited", "blocking"])
def test_gymnasium_finds_nothing_to_complain_about(storage, wait, obs):
    env = shop(storage=storage, interruptions=LAW).env(wait=wait, obs=obs, illegal="noop")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)


@given(shops_in_worlds(), SEEDS)
@settings(max_examples=60, deadline=None)
def test_observations_stay_inside_the_space(case, seed):
    problem, world = case
    for obs in ("features", "graph"):
        env = problem.env(obs=obs)
        for seen in play(env, seed, {"scenario": world})[1]:
            assert env.observation_space.contains(seen)


def test_far_times_are_cut_at_the_bounds():
    late = JobShop(machines=[[0], [0, 1]], durations=[[1], [1, 1]], release=[10**9, 0], due=[10**12, 10**12])
    env = late.replace(maintenance=[(0, 0, 10**8)]).env()
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert obs[0, 3] == obs[1, 7] == obs[0, 8] == 100.0


def test_the_return_is_the_objective_of_the_referee():
    problem = shop(storage="blocking", interruptions=LAW)
    env = problem.env()
    for seed in range(5):
        total, _ = play(env, seed, {"scenario": seed})
        world = problem.scenario(seed)
        verdict = problem.evaluate(Schedule.realised(problem, env.state().start, world), world)
        assert verdict.feasible
        assert total == -verdict.objective


def test_a_seed_fixes_the_episode():
    problem = shop(interruptions=LAW)
    first, again, other = (play(problem.env(), seed) for seed in (3, 3, 4))
    assert first[0] == again[0]
    assert all(np.array_equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    assert first[0] != other[0]
    env = problem.env()
    assert [play(env, seed)[0] for seed in (3, 4, 3)] == [first[0], other[0], first[0]], (
        "nothing is left of the last episode"
    )


def test_episodes_after_one_seed_differ():
    env = shop(interruptions=Interruptions(p=1.0)).env()
    env.reset(seed=0)
    worlds = []
    for _ in range(4):
        worlds.append(env.scenario.to_dict())
        env.reset()
    assert all(a != b for a, b in pairwise(worlds))


def test_illegal_actions():
    problem = JobShop(machines=[[0, 1], [0, 1]], durations=[[3, 2], [3, 4]])
    strict = problem.env()
    _, info = strict.reset(seed=0)
    assert info["action_mask"].tolist() == [True, True, False]
    for action in (2, 5, -1):
        with pytest.raises(IllegalActionError, match=rf"action {action} is not accepted now; accepted: \[0, 1\]"):
            strict.step(action)
    lenient = problem.env(illegal="noop")
    before, _ = lenient.reset(seed=0)
    after, reward, over, _, info = lenient.step(2)
    assert np.array_equal(before, after)
    assert (reward, over, info["illegal_action"]) == (0.0, False, True)
    _, _, over, _, info = lenient.step(0)
    assert "illegal_action" not in info
    while not over:
        _, _, over, _, info = lenient.step(int(np.flatnonzero(info["action_mask"])[0]))
    _, reward, over, _, info = lenient.step(0)  # after the end
    assert (reward, over, info["illegal_action"]) == (0.0, True, True)


def test_reset_options():
    problem, other = shop(interruptions=LAW), shop(1, interruptions=LAW)
    env = problem.env()
    world = problem.scenario(9)
    env.reset(options={"scenario": world})
    assert env.scenario is world
    env.reset(options={"scenario": 9})
    assert env.scenario.to_dict() == world.to_dict()
    env.reset(options={"instance": other})
    assert env.problem is other
    env.reset(seed=1)
    assert env.problem is problem
    with pytest.raises(
        DataError, match=r"reset options \['sceanrio'\] are not known: give instance, scenario or state"
    ):
        env.reset(options={"sceanrio": 3})
    with pytest.raises(DataError, match="scenario of row 0 is of another shop"):
        env.reset(options={"scenario": Outages(np.zeros((1, 1), np.int64))})


@pytest.mark.parametrize("law", [LAW, Interruptions(law="mtbf", mtbf=30.0, outage=(5, 20)), None])
def test_an_episode_goes_on_from_its_state(law):
    problem = shop(jobs=5, storage="blocking", interruptions=law)
    env = problem.env()
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=5)
    for _ in range(3):
        obs, _, over, _, info = env.step(masked(env, info, rng))
    assert not over
    other = problem.env()
    again, copied = other.reset(options={"state": env.state(), "scenario": env.scenario})
    assert np.array_equal(obs, again)
    while not over:
        assert np.array_equal(info["action_mask"], copied["action_mask"])
        action = masked(env, info, rng)
        obs, reward, over, _, info = env.step(action)
        again, same, ended, _, copied = other.step(action)
        assert (reward, over) == (same, ended)
        assert np.array_equal(obs, again)


def test_wrong_options():
    with pytest.raises(DataError, match="obs is 'pixels': give 'features' or 'graph'"):
        shop().env(obs="pixels")
    with pytest.raises(DataError, match="obs is 'pixels'"):
        JobShop.vector_env([shop()], obs="pixels")
    with pytest.raises(DataError, match="at least one problem"):
        JobShop.vector_env([])
    with pytest.raises(DataError, match="1 scenarios for 2 problems"):
        JobShop.vector_env([shop(), shop()], [0])


# ---- instances -----------------------------------------------------------------------------------------------------
def test_instances_from_a_sequence_of_mixed_sizes():
    table = [shop(0, 3, 2), shop(1, 5, 4), shop(2, 4, 3)]
    env = table[0].env(instances=table)
    assert env.observation_space.shape == (5, 9)
    assert env.action_space.n == 6
    names = set()
    for seed in range(12):
        obs, _ = env.reset(seed=seed)
        assert env.observation_space.contains(obs)
        names.add(env.problem.name)
        play(env, seed)
    assert names == {p.name for p in table}


def test_instances_from_a_generator_are_a_seeded_stream():
    source = JobShop.generator(jobs=(3, 5), machines=3)
    env = source.sample(1)[0].env(instances=source, pad_to=(5, 3, 3))

    def stream(seed: int) -> list[str]:
        env.reset(seed=seed)
        found = [env.problem.content_hash]
        for _ in range(4):
            env.reset()
            found.append(env.problem.content_hash)
        return found

    one, two, three = stream(0), stream(0), stream(1)
    assert one == two
    assert not set(one) & set(three)
    assert len(set(one)) == 5
    assert set(one).isdisjoint(
        {p.content_hash for p in source.sample(20, seed=0, split="test")}
    )  # the default split is "train"


def test_an_instance_that_does_not_fit_is_refused():
    env = shop(0, 3, 2).env()
    with pytest.raises(DataError, match=r"pad_to is \(3, 2, 2\) but a shop has"):
        env.reset(options={"instance": shop(0, 4, 2)})
    twice = JobShop(machines=[[0, 1], [1, 0], [0, 0]], durations=[[1, 1]] * 3, name="twice")
    graph = shop(0, 3, 2).env(obs="graph")
    with pytest.raises(DataError, match="twice does not fit the spaces of this environment"):
        graph.reset(options={"instance": twice})


def test_registered_id():
    env = gymnasium.make("orrl.gym:orrl/JobShop-v0", problem="jobshop/ft06")
    obs, info = env.reset(seed=0)
    assert obs.shape == (6, 9)
    assert info["action_mask"].shape == (7,)
    _, _, _, _, info = env.step(6)
    assert info["illegal_action"], "the registered ids take illegal actions for none"
    blocking = gymnasium.make(
        "orrl.gym:orrl/JobShop-v0", problem="jobshop/ft06", load_options={"storage": "blocking"}, wait=False
    )
    assert blocking.unwrapped.problem.variant == "BWS"
    mine = gymnasium.make("orrl.gym:orrl/JobShop-v0", problem=shop(), obs="graph", illegal="raise")
    assert set(mine.observation_space) == {
        "nodes", "node_mask", "edges", "relation", "edge_mask", "action_node", "action_mask",
    }  # fmt: skip


# ---- the graph -----------------------------------------------------------------------------------------------------
def edges_of(obs: dict, relation: int) -> set[tuple[int, int]]:
    """(source, target) of the padded observation."""
    used = (obs["edge_mask"] == 1) & (obs["relation"] == relation)
    return {(a, b) for a, b in obs["edges"][used].tolist()}


def test_the_graph_by_hand():
    """One of two jobs has begun: every operation is open still."""
    problem = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], storage="blocking")
    env = problem.env(obs="graph")
    env.reset(seed=0)
    obs, _, _, _, _ = env.step(0)
    found = [edges_of(obs, r) for r in range(5)]
    same = {(0, 3), (3, 0), (1, 2), (2, 1)}
    assert found == [{(1, 0), (3, 2)}, {(0, 1), (2, 3)}, same, set(), set()]
    column = {name: obs["nodes"][:, i].tolist() for i, name in enumerate(NODE_FEATURES)}
    assert column["running"] == [1, 0, 0, 0]
    assert column["next"] == [0, 1, 1, 0]
    assert column["later"] == [0, 0, 0, 1]
    assert column["duration"] == pytest.approx([3 / 2.75, 2 / 2.75, 2 / 2.75, 4 / 2.75])
    assert column["job_work_share"] == pytest.approx([5 / 6, 2 / 6, 6 / 6, 4 / 6])
    assert obs["node_mask"].tolist() == [1] * 4
    assert obs["action_node"].tolist() == [1, 2, -1]
    assert obs["action_mask"].tolist() == [0, 1, 1]
    spec = problem.graph_spec()
    assert (spec.nodes, spec.node_features, spec.actions) == (4, len(NODE_FEATURES), 3)
    assert obs["nodes"].shape == (4, spec.node_features)
    assert obs["edges"].shape == (spec.edges, 2)


def test_the_graph_shows_who_waits_for_whom():
    """Two pairs of jobs that block each other: the relation closes a cycle where a swap is possible, or will be."""
    three = JobShop(
        machines=[[0, 1], [1, 0], [2, 3], [3, 2]], durations=[[3, 2], [3, 4], [9, 1], [3, 1]], storage="blocking"
    )
    env = three.env(obs="graph")
    env.reset(seed=0)
    for action in (0, 1, 2, 3):
        obs, _, _, _, _ = env.step(action)
    assert env.state().time == 3
    assert obs["action_mask"].tolist() == [1, 1, 0, 0, 1]
    waits = {(2, 1), (0, 3), (6, 5), (4, 7)}  # the next operation of job 0, node 1, hears what job 1 is on, node 2
    assert edges_of(obs, 3) == waits
    assert edges_of(obs, 4) == {(b, a) for a, b in waits}
    obs, _, over, _, _ = env.step(0)  # jobs 0 and 1 swap; the simulator makes the other swap, which is the only choice
    assert over
    assert obs["node_mask"].sum() == obs["edge_mask"].sum() == 0
    assert (obs["action_node"] == -1).all()


def test_nodes_close_up_as_operations_end():
    problem = JobShop(machines=[[0, 1], [0, 1], [0, 1]], durations=[[2, 5]] * 3, storage="blocking")
    env = problem.env(obs="graph")
    obs, _ = env.reset(seed=0)
    assert obs["action_node"].tolist() == [0, 2, 4, -1]
    obs, _, _, _, info = env.step(0)
    assert env.state().time == 2  # job 0 has gone on to machine 1: jobs 1 and 2 can come
    assert info["action_mask"].tolist() == [False, True, True, True]
    assert obs["action_node"].tolist() == [-1, 1, 3, -1]
    assert obs["node_mask"].tolist() == [1] * 5 + [0]
    assert not obs["nodes"][5].any()
    assert edges_of(obs, 0) == {(2, 1), (4, 3)}


# ---- vectors -------------------------------------------------------------------------------------------------------
def test_a_vector_of_mixed_sizes_conforms_to_gymnasium():
    table = [shop(0, 3, 2, interruptions=LAW), shop(1, 5, 4, storage="blocking"), shop(2, 4, 3)]
    env = JobShop.vector_env(table)
    assert isinstance(env, gymnasium.vector.VectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.single_observation_space.shape == (5, 9)
    assert env.observation_space.shape == (3, 5, 9)
    assert env.action_space.shape == (3,)
    obs, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert env.observation_space.contains(obs)
        assert info["action_mask"].shape == (3, 6)
        actions = np.array([rng.choice(np.flatnonzero(m)) if m.any() else 0 for m in info["action_mask"]])
        obs, rewards, over, truncated, info = env.step(actions)
        assert rewards.shape == over.shape == truncated.shape == (3,)
        assert (over.dtype, truncated.dtype) == (np.bool_, np.bool_)
        assert not truncated.any()
        assert np.array_equal(info["action_mask"].any(axis=1), ~over)
    env.close()


def test_a_row_begins_anew_at_its_next_step():
    """NEXT_STEP autoreset: the step after the end ignores its action and brings the first observation."""
    table = [JobShop(machines=[[0]], durations=[[2]]), JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 3]] * 2)]
    env = JobShop.vector_env(table)
    first, _ = env.reset(seed=0)
    _, rewards, over, _, _ = env.step([0, 0])
    assert rewards.tolist()[0] == -2
    assert over.tolist() == [True, False]
    obs, rewards, over, _, info = env.step([99, 1])
    assert rewards[0] == 0
    assert not over[0]
    assert np.array_equal(obs[0], first[0])
    assert info["action_mask"][0].tolist() == [True, False, False]


@pytest.mark.parametrize("obs", ["features", "graph"])
def test_a_vector_is_its_single_environments(obs):
    table = [shop(0, 3, 2, interruptions=LAW), shop(1, 5, 4, storage="blocking"), shop(2, 4, 3)]
    noise = [p.scenario(7) for p in table]
    vector = JobShop.vector_env(table, noise, obs=obs)
    single = [p.env(obs=obs, pad_to=(5, 4, 4)) for p in table]
    rng = np.random.default_rng(0)
    seen, info = vector.reset(seed=0)
    own = [env.reset(options={"scenario": w}) for env, w in zip(single, noise, strict=True)]

    def same(a, b, row: int) -> bool:
        return all(np.array_equal(a[k][row], b[k]) for k in a) if obs == "graph" else np.array_equal(a[row], b)

    for _ in range(40):
        assert all(same(seen, o, b) for b, (o, _) in enumerate(own))
        actions = [rng.choice(np.flatnonzero(m)) if m.any() else 0 for m in info["action_mask"]]
        over_before = [not m.any() for m in info["action_mask"]]
        seen, rewards, over, _, info = vector.step(actions)
        for b, env in enumerate(single):
            if over_before[b]:
                own[b] = env.reset(options={"scenario": noise[b]})
                assert (rewards[b], over[b]) == (0.0, False)
                continue
            o, reward, ended, _, i = env.step(actions[b])
            own[b] = (o, i)
            assert (reward, ended) == (rewards[b], over[b])


def test_vector_seeds_and_fixed_scenarios():
    table = [shop(s, interruptions=LAW) for s in range(3)]

    def returns(seed: int, scenarios=None) -> list[float]:
        env = JobShop.vector_env(table, scenarios)
        rng = np.random.default_rng(0)
        _, info = env.reset(seed=seed)
        totals = np.zeros(3)
        for _ in range(60):
            actions = [rng.choice(np.flatnonzero(m)) if m.any() else 0 for m in info["action_mask"]]
            _, rewards, _, _, info = env.step(actions)
            totals += rewards
        return totals.tolist()

    assert returns(0) == returns(0)
    assert returns(0) != returns(1)
    assert returns(0, [5, 6, 7]) == returns(1, [p.scenario(s) for p, s in zip(table, (5, 6, 7), strict=True)])


def test_illegal_actions_in_a_vector():
    table = [JobShop(machines=[[0, 1], [0, 1]], durations=[[3, 2], [3, 4]])] * 2
    env = JobShop.vector_env(table)
    env.reset(seed=0)
    with pytest.raises(IllegalActionError, match=r"action 2 in row 1 is not accepted now; accepted: \[0, 1\]"):
        env.step([0, 2])
    lenient = JobShop.vector_env(table, illegal="noop")
    before, _ = lenient.reset(seed=0)
    obs, rewards, _, _, info = lenient.step([0, 2])
    assert info["illegal_action"].tolist() == [False, True]
    assert np.array_equal(obs[1], before[1])
    assert rewards[1] == 0
    assert not np.array_equal(obs[0], before[0])


def test_gymnasium_wrappers_take_the_vector():
    from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

    env = DictInfoToList(RecordEpisodeStatistics(JobShop.vector_env([shop(0), shop(1)])))
    _, info = env.reset(seed=0)
    lengths, rng = [], np.random.default_rng(0)
    for _ in range(80):
        actions = [rng.choice(np.flatnonzero(i["action_mask"])) if i["action_mask"].any() else 0 for i in info]
        _, _, _, _, info = env.step(np.array(actions))
        lengths += [i["episode"]["r"] for i in info if "episode" in i]
    assert len(lengths) >= 4
    assert all(r < 0 for r in lengths)


# ---- learners of other people --------------------------------------------------------------------------------------
class Stream:
    """Any object with ``sample`` and ``stream`` is a generator."""

    def sample(self, n: int, seed: int = 0, split: str = "train") -> list[JobShop]:
        source = self.stream(seed, split)
        return [next(source) for _ in range(n)]

    def stream(self, seed: int = 0, split: str = "train") -> Iterator[JobShop]:
        number = 0
        while True:
            yield shop(10_000 * seed + number, 4, 3, storage="blocking")
            number += 1


def test_stable_baselines3_trains_and_its_model_is_a_policy():
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    problem = shop(storage="blocking", interruptions=LAW)
    env = problem.env(illegal="noop")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", "Your observation .* has an unconventional shape"
        )  # its own policies flatten it
        check_for_sb3(env)
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=2, seed=0, device="cpu").learn(300)
    policy = orrl.as_policy(model, name="ppo")
    result = orrl.solve(problem, policy, scenario=problem.scenario(0))
    assert result.status == "feasible"
    assert result.evaluation is not None
    assert result.evaluation.feasible
    assert result.method == "ppo"
    assert orrl.solve(problem, policy).status == "estimated"
    with pytest.raises(
        NotSupportedError, match=r"trained on observations of shape \(4, 9\), the problem gives \(5, 9\)"
    ):
        orrl.solve(shop(jobs=5), policy)


def test_maskable_ppo_trains_on_a_stream_of_instances():
    from sb3_contrib import MaskablePPO

    source = Stream()
    env = source.sample(1)[0].env(instances=source)  # illegal="raise": the masks must be right
    model = MaskablePPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=2, seed=0, device="cpu").learn(300)
    policy = orrl.as_policy(model)
    for problem in source.sample(3, seed=99, split="test"):
        result = orrl.solve(problem, policy)
        assert result.status == "feasible"
        assert policy.overruled == 0, "a masked model never chooses an action that is not accepted"


def test_a_model_for_dictionaries_is_refused_clearly():
    from stable_baselines3 import PPO

    problem = shop(jobs=3, machines=2)
    model = PPO("MultiInputPolicy", problem.env(obs="graph", illegal="noop"), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(NotSupportedError, match="was trained on observations of shape None"):
        orrl.solve(problem, orrl.as_policy(model))


def test_a_plain_ppo_loop_learns_on_the_vector_environment():
    """In the manner of CleanRL: one file, one loop. It must beat the random policy on the shop it learns."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    problem = JobShop.generate(seed=4, jobs=6, machines=4, storage="blocking")
    rows, steps, updates = 16, 64, 14
    env = JobShop.vector_env([problem] * rows, reward_scale=float(problem.durations.sum() / problem.n_machines))
    width, actions = int(np.prod(env.single_observation_space.shape)), int(env.single_action_space.n)
    net = nn.Sequential(nn.Flatten(), nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, actions + 1))
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)

    def heads(obs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.distributions.Categorical, torch.Tensor]:
        out = net(obs)
        return torch.distributions.Categorical(logits=out[:, :-1].masked_fill(~mask, -1e9)), out[:, -1]

    obs, info = env.reset(seed=0)
    fresh, returns, running = np.zeros(rows, bool), [], np.zeros(rows)
    for _ in range(updates):
        memory = []
        for _ in range(steps):
            seen, mask = torch.as_tensor(obs), torch.as_tensor(info["action_mask"])
            with torch.no_grad():
                law, value = heads(seen, mask)
                action = law.sample()
            obs, reward, over, _, info = env.step(action.numpy())
            # the step after an end is no decision: NEXT_STEP autoreset
            memory.append(
                (seen, mask, action, law.log_prob(action), value, torch.as_tensor(reward), over.copy(), fresh)
            )
            running += reward
            returns += running[over].tolist()
            running[over], fresh = 0.0, over.copy()
        with torch.no_grad():
            last = heads(torch.as_tensor(obs), torch.as_tensor(info["action_mask"]))[1]
        advantage, gain = [], torch.zeros(rows)
        for step in reversed(range(steps)):
            alive = 1.0 - torch.as_tensor(memory[step][6], dtype=torch.float32)
            ahead = last if step + 1 == steps else memory[step + 1][4]
            delta = memory[step][5].float() + alive * ahead - memory[step][4]
            gain = delta + 0.95 * alive * gain
            advantage.insert(0, gain)
        keep = torch.as_tensor(~np.concatenate([m[7] for m in memory]))
        flat = [torch.cat([torch.as_tensor(m[i]) for m in memory])[keep] for i in range(5)]
        good = torch.cat(advantage)[keep]
        goal, good = good + flat[4], (good - good.mean()) / (good.std() + 1e-8)
        for _ in range(4):
            for part in torch.randperm(len(good)).split(256):
                law, value = heads(flat[0][part], flat[1][part])
                ratio = (law.log_prob(flat[2][part]) - flat[3][part]).exp()
                surrogate = torch.min(ratio * good[part], ratio.clamp(0.8, 1.2) * good[part]).mean()
                loss = 0.5 * (value - goal[part]).pow(2).mean() - surrogate - 0.01 * law.entropy().mean()
                adam.zero_grad()
                loss.backward()
                adam.step()
    assert np.mean(returns[-40:]) > np.mean(returns[:40]) + 2 * np.std(returns[:40]) / np.sqrt(40)

    def choose(obs: np.ndarray, info: dict) -> np.ndarray:
        law, _ = heads(torch.as_tensor(obs), torch.as_tensor(info["action_mask"]))
        return law.logits.argmax(1).numpy()

    policy = orrl.as_policy(choose, name="mine")
    result = orrl.solve(problem, policy)
    floor = np.mean([orrl.solve(problem, "random", seed=s).objective for s in range(20)])
    assert result.evaluation is not None
    assert result.evaluation.feasible
    assert result.objective < floor
