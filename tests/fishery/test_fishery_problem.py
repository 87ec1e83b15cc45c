"""One problem: kernel, referee, tables, environment and continuation say the same."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import replace

import numpy as np
import pytest

from orrl.check import check_problem
from orrl.core.capabilities import HasIndexedKernel, HasPostDecision, HasTabular
from orrl.core.errors import DataError, IllegalActionError, UnknownNameError
from orrl.core.policy import CallablePolicy, RandomPolicy
from orrl.core.rollout import rollout
from orrl.core.seeds import spawn_seeds
from orrl.problems.fishery import BevertonHolt, Fishery, GordonSchaefer, May, Myers, Ricker
from orrl.problems.fishery.catalogue import instance, listing, names
from orrl.problems.fishery.rules import ConstantEscapement, Msy, OnBelief, Tac

LOGISTIC = GordonSchaefer(r=0.75, K=1.0)
VARIANTS = {
    "survey error": {"sigma_m": 0.1},
    "seen": {"sigma_m": 0.0},
    "paper": {"sigma_m": 0.1, "start": "paper"},
    "efforts": {"efforts": ((0.4, 0.0), (0.05, 0.02))},
    "continuous": {"sigma_m": 0.1, "process": "continuous"},
    "recruits first": {"order": "recruit-harvest", "sigma_m": 0.2, "rule": "cell", "noise": "lognormal", "start": 0.5},
    "own law": {"start": tuple([0.0] * 4 + [0.5, 0.5] + [0.0] * 6), "sigma_m": 0.2, "survey_noise": "lognormal"},
    "costs": {
        "growth": Ricker(r=0.5, K=1.0),
        "cost": 0.05,
        "power": 0.6,
        "sigma_m": 0.1,
        "noise": "uniform",
        "sigma_g": 0.5,
    },
}


def small(**options) -> Fishery:
    return Fishery(**{"growth": LOGISTIC, "sigma_g": 0.15, "n": 12, "horizon": 6, **options})


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernel_and_referee_agree(variant):
    problem = small(**VARIANTS[variant], steps=9)
    worlds = [problem.scenario(s) for s in range(40)]
    for compiled in (False, True):
        episodes = rollout(problem, RandomPolicy(), worlds, seed=3, kernel_options={"compiled": compiled})
        for episode, world in zip(episodes, worlds, strict=True):
            verdict = problem.evaluate(problem.solution(episode), world)
            assert verdict.feasible, verdict.violations
            assert verdict.objective == pytest.approx(episode.value, abs=1e-12)


@pytest.mark.parametrize(
    "growth", [BevertonHolt(r=0.8, K=0.9), May(r=0.8, K=1.5, a=0.2, b=0.3), Myers(r=1.5, K=1.0, theta=1.3)]
)
@pytest.mark.parametrize("process", ["grid", "continuous"])
@pytest.mark.parametrize("noise", ["lognormal", "rescaled-lognormal", "normal"])
def test_other_growth_laws_too(growth, process, noise):
    problem = small(growth=growth, process=process, sigma_m=0.1, n=40, top=3.0, noise=noise)
    worlds = [problem.scenario(s) for s in range(15)]
    for episode, world in zip(rollout(problem, RandomPolicy(), worlds), worlds, strict=True):
        assert problem.evaluate(problem.solution(episode), world).objective == pytest.approx(episode.value, abs=1e-10)


@pytest.mark.parametrize("variant", ["efforts", "paper"])
def test_check_problem_passes(variant):
    report = check_problem(small(**VARIANTS[variant], n_quotas=5), seeds=2, points=[3, 5, 7, 8, 9, 11])
    assert not [(r.point, r.failures) for r in report.rows if r.status != "pass"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_check_the_environment(variant):
    row = check_problem(small(**VARIANTS[variant], horizon=4), seeds=2, points=[6]).rows[0]
    assert row.status == "pass", row.failures


@pytest.mark.parametrize("obs", ["raw", "stack", "belief", "particles", "state"])
@pytest.mark.parametrize("action", ["quota", "share", "mortality", "escapement"])
def test_every_view_of_the_environment(obs, action):
    problem = small(efforts=((0.4, 0.0), (0.05, 0.02)))
    env = problem.env(obs=obs, action=action)
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    done, total = False, 0.0
    env.action_space.seed(0)
    while not done:
        seen, reward, done, _, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(seen)
        total += 0.95 ** (info["year"] - 1) * reward
    state = env.state()
    assert problem.evaluate(problem.solution(type("T", (), {"final": state})), env.scenario).objective == pytest.approx(
        total
    )
    again = problem.env(obs=obs, action=action)
    shown, _ = again.reset(options={"state": state, "scenario": env.scenario})
    np.testing.assert_allclose(shown, seen, atol=1e-6)  # beliefs and particles are found again from the past


def test_vector_env_runs_unlike_fisheries_side_by_side():
    both = [small(sigma_m=0.1), small(sigma_m=0.3, growth=Ricker(r=0.5, K=0.8))]
    env = Fishery.vector_env(both, [1, 1])
    env.reset(seed=0)
    rewards = [env.step(np.array([2, 2]))[1] for _ in range(6)]
    for b, problem in enumerate(both):
        policy = CallablePolicy(lambda obs, info: np.full(len(obs), 2))
        alone = rollout(problem, policy, [problem.scenario(1)])[0]
        np.testing.assert_allclose(np.array(rewards)[:, b], alone.rewards)
    with pytest.raises(DataError, match="unlike grids"):
        Fishery.kernel([small(), small(n=13)])


def test_tables_and_kernel_have_one_law():
    """Frequencies of next stock and survey under one action against the tables, all stocks at once."""
    problem = small(n=8, sigma_m=0.3, efforts=((0.3, 0.0), (0.05, 0.01)), horizon=1)
    table = problem.tabular()
    count = 40_000
    kernel = Fishery.kernel([problem])
    state = kernel.reset([problem.scenario(s) for s in spawn_seeds(1, count, "law")])
    before = state.here[:, 0].copy()
    action = 1 + 8  # the second quota, the second effort
    kernel.step(state, np.full(count, action))
    expected = table.initial @ (table.transition[action] @ table.observation[action])
    joint = np.bincount(state.last[:, 0], minlength=8) / count
    np.testing.assert_allclose(joint, expected, atol=5 * np.sqrt(0.25 / count))
    for x in range(8):
        rows = before == x
        found = np.bincount(state.here[rows, 0], minlength=8) / rows.sum()
        np.testing.assert_allclose(found, table.transition[action][x], atol=5 * np.sqrt(0.25 / rows.sum()))


def test_post_decision_shares_rows():
    problem = instance("paper-a")
    post, table = problem.post_decision(), problem.tabular()
    assert post.rows.shape == (100, 100)  # of 10 000 rows of the tables
    for a in (0, 7, 99):
        np.testing.assert_array_equal(table.transition[a], post.rows[post.index[:, a]])
    assert problem.supports(HasPostDecision)
    assert problem.supports(HasTabular)
    coarse = small(n_quotas=7, top=2.0).post_decision()
    i, a = 9, 3
    assert coarse.grid[coarse.index[i, a]] == pytest.approx(9 * 2 / 11 - 3 * 2 / 6)


def test_at_goes_on_and_keeps_the_belief():
    problem = instance("paper-a", n=40, steps=20, start="paper")
    world = problem.scenario(4)
    kernel = Fishery.kernel([problem], obs="belief")
    state = kernel.reset([world])
    rewards = [kernel.step(state, np.array([3]))[0][0] for _ in range(20)]
    state = kernel.reset([world])
    for _ in range(8):
        kernel.step(state, np.array([3]))
    later = problem.at(kernel.snapshot(state, 0))
    np.testing.assert_allclose(later.belief, state.belief[0], atol=1e-12)
    np.testing.assert_allclose(later.tabular().initial, state.belief[0], atol=1e-12)
    assert later.accrued == pytest.approx(sum(0.95**t * r for t, r in enumerate(rewards[:8])))
    tail = rollout(later, CallablePolicy(lambda obs, info: np.full(len(obs), 3)), [world])[0]
    np.testing.assert_allclose(tail.rewards, rewards[8:])
    assert tail.value == pytest.approx(sum(0.95**t * r for t, r in enumerate(rewards)))
    assert later.content_hash != problem.content_hash
    assert Fishery.from_dict(json.loads(json.dumps(later.to_dict()))).content_hash == later.content_hash


def test_the_paper_starts_at_a_sixth_and_with_its_first_belief():
    problem = instance("paper-a", start="paper")
    kernel = Fishery.kernel([problem])
    state = kernel.reset([problem.scenario(s) for s in range(5)])
    assert set(state.stock[:, 0]) == {16 * 2 / 99 / 2}
    np.testing.assert_allclose(problem.belief, np.full(100, 0.01) @ problem.grids.rows, atol=1e-15)
    assert len(set(state.survey[:, 0])) > 1
    default = instance("paper-a")
    stocks = Fishery.kernel([default]).reset([default.scenario(s) for s in range(2000)]).stock[:, 0]
    assert stocks.mean() == pytest.approx(1.0, abs=0.06)
    assert not default.survey_first


def test_deterministic_paths_of_the_authors(data_root):
    """``det_sims.csv``: no noise, no grid; MSY, TAC, CE from K / 6, to 1e-9."""
    paths: dict[str, list[tuple[float, float]]] = {}
    with (data_root("fishery") / "det_sims.csv").open() as file:
        for row in csv.DictReader(file):
            action = np.nan if row["action"] == "NA" else float(row["action"])
            paths.setdefault(row["method"], []).append((float(row["state"]), action))
    problem = Fishery(growth=LOGISTIC, sigma_g=0.0, process="continuous", start=1 / 6, steps=99)
    assert not problem.stochastic
    for name, rule in {"MSY": Msy(), "TAC": Tac(), "CE": ConstantEscapement()}.items():
        final = rollout(problem, rule, [problem.scenario(0)], kernel_options={"action": "share"})[0].final
        state, action = np.array(paths[name]).T
        np.testing.assert_allclose(final.stock, state, atol=1e-9)
        np.testing.assert_allclose(final.quota, action[:-1], atol=1e-9)


def test_the_same_noise_on_the_grid_and_on_the_line():
    """A fine cell grid and the continuous process, one scenario: the paths stay together for a while."""
    fine = Fishery(growth=LOGISTIC, sigma_g=0.1, n=2001, top=2.0, rule="cell", start=0.8, horizon=4, n_quotas=11)
    policy = CallablePolicy(lambda obs, info: np.full(len(obs), 1))
    worlds = [fine.scenario(s) for s in range(10)]
    line = replace(fine, process="continuous")
    for a, b in zip(rollout(fine, policy, worlds), rollout(line, policy, worlds), strict=True):
        np.testing.assert_allclose(a.final.stock, b.final.stock, atol=6e-3)


def test_mortality_and_escapement_are_quotas():
    problem = small(process="continuous", sigma_m=0.0, start=0.8, horizon=2, sigma_g=0.05)
    world = problem.scenario(0)
    for action, share, quota in (("share", 0.1, 0.2), ("mortality", 0.25, 0.2), ("escapement", 0.3, 0.2)):
        kernel = Fishery.kernel([problem], action=action)
        state = kernel.reset([world])
        reward, _ = kernel.step(state, np.array([[share]]))
        assert reward[0] == pytest.approx(quota)
        back = kernel.actions_of(kernel.reset([world]), np.array([quota]))
        assert back[0, 0] == pytest.approx(share)


def test_illegal_actions_and_waiting_rows():
    problem = small()
    kernel = Fishery.kernel([problem])
    state = kernel.reset([problem.scenario(0)] * 2)
    with pytest.raises(IllegalActionError, match="action 12 is not accepted"):
        kernel.step(state, np.array([0, 12]))
    kernel.step(state, np.array([-1, 3]))
    assert state.stage.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"growth": "logistic"}, "growth is 'logistic': give a growth law"),
        ({"noise": "gamma"}, "noise is 'gamma': give one of 'normal'"),
        ({"order": "harvest"}, "order is 'harvest'"),
        ({"sigma_g": -0.1}, "sigma_g is -0.1"),
        ({"discount": 1.0, "horizon": None}, "discount is 1.0"),
        ({"n": 2}, "n is 2: give a whole number of at least 3"),
        ({"start": 2.5}, r"start is 2.5: give a stock in \[0, top\]"),
        ({"start": (0.5, 0.4)}, "start has 2 entries that sum to 0.9"),
        ({"start": "K/6"}, "start is 'K/6'"),
        ({"efforts": ((0.1, -1.0),)}, r"efforts\[0\] is \(0.1, -1.0\)"),
        ({"noise": "uniform", "sigma_g": 1.5, "top": 9.0}, "sigma_g is 1.5 with uniform noise"),
    ],
)
def test_errors_teach(options, text):
    with pytest.raises(DataError, match=text):
        small(**options)


def test_the_referee_refuses_what_is_no_plan():
    problem = small()
    solution = problem.solution(rollout(problem, RandomPolicy(), [problem.scenario(0)])[0])
    short = replace(solution, quota=solution.quota[:-1])
    assert "5 quotas and 6 efforts for 6 years" in problem.evaluate(short, problem.scenario(0)).violations[0]
    bad = replace(solution, quota=(-1.0, *solution.quota[1:]))
    assert "year 0: quota -1.0" in problem.evaluate(bad, problem.scenario(0)).violations[0]


def test_metrics_of_a_path_by_hand():
    problem = Fishery(growth=LOGISTIC, sigma_g=0.0, process="continuous", start=0.5, horizon=3, n=21)
    from orrl.problems.fishery import Harvest

    first = 0.5 + 0.75 * 0.5 * 0.5
    verdict = problem.evaluate(Harvest((0.0, 0.2, 5.0), (0, 0, 0)))
    left = first - 0.2
    last = left + 0.75 * left * (1 - left)
    m = verdict.metrics
    assert verdict.objective == pytest.approx(0.95 * 0.2 + 0.95**2 * last)
    assert m["yield"] == pytest.approx(0.2 + last)
    assert m["mean_biomass"] == pytest.approx((0.5 + first + last) / 3)
    assert m["extinct"] == 1.0
    assert m["aav"] == pytest.approx((0.2 + (last - 0.2)) / (0.2 + last))
    assert m["npv_paper"] == pytest.approx(0.95 * verdict.objective)
    assert m["below_0.2K"] == 0.0


def test_catalogue():
    for name in names():
        problem = instance(name)
        assert type(problem).from_dict(json.loads(json.dumps(problem.to_dict()))).content_hash == problem.content_hash
    assert {row["name"] for row in listing()} == {f"fishery/{name}" for name in names()}
    assert instance("paper-a", sigma_g=0.02, sigma_m=0.15).surveys == ((0.15, 0.0),)
    with pytest.raises(UnknownNameError, match="did you mean 'plaice'"):
        instance("place")


def test_indexed_kernel_is_the_kernel():
    """Rows, rewards and the end under the same uniform numbers, for the three kinds of rows."""
    problem = small(n=10, efforts=((0.4, 0.0), (0.05, 0.02)), horizon=8)
    assert problem.supports(HasIndexedKernel)
    assert not small(process="continuous").supports(HasIndexedKernel)
    for kind in ("state", "raw", "belief"):
        game = problem.indexed_kernel(state=kind)
        for seed in range(6):
            world = problem.scenario(seed)
            kernel = Fishery.kernel([problem], obs="belief")
            state = kernel.reset([world])
            memory, index, rewards = np.zeros(game.memory), np.zeros(1, np.int64), np.zeros(2)
            game.reset(game.data, game.sizes, np.array([world.start, world.survey[0]]), memory, index)
            rng = np.random.default_rng(seed)
            for t in range(8):
                assert index[0] == game.rows(kernel.snapshot(state, 0))[0]
                action = rng.integers(game.actions, size=1)
                gain, over = kernel.step(state, action)
                noise = np.array([world.process[t], world.survey[t + 1]])
                assert game.step(game.data, game.sizes, noise, memory, action, index, rewards) == over[0]
                assert rewards.tolist() == [gain[0]] * 2


def test_indexed_kernel_starts_from_a_running_state():
    problem = small(n=10, sigma_m=0.2, horizon=8)
    final = rollout(replace(problem, horizon=3), RandomPolicy(), [replace(problem, horizon=3).scenario(1)])[0].final
    later = problem.at(final)
    for kind in ("state", "raw", "belief"):
        game = later.indexed_kernel(state=kind)
        memory, index = np.zeros(game.memory), np.zeros(1, np.int64)
        game.reset(game.data, game.sizes, np.array([0.3, 0.3]), memory, index)
        assert index[0] == game.rows(final)[0]
        assert game.horizon == 5


def _speed(kernel, problem, action, years) -> float:
    worlds = [problem.scenario(s) for s in range(2000)]
    best = 0.0
    for _ in range(4):
        state = kernel.reset(worlds)
        begin = time.process_time()
        for _ in range(years):
            kernel.step(state, action)
        best = max(best, len(worlds) * years / (time.process_time() - begin))
    return best


def test_speed():
    """A third of the bars (3 million steps/s, 150 000 belief steps/s at 100 states): other work may share the core."""
    problem = instance("paper-a")
    action = np.full(2000, 9)
    assert _speed(Fishery.kernel([problem], compiled=True), problem, action, 40) > 1e6
    assert _speed(Fishery.kernel([problem], compiled=True, grid=False), problem, action, 40) > 1e6
    assert _speed(Fishery.kernel([problem], compiled=True, obs="belief"), problem, action, 10) > 5e4


def test_particles_follow_the_belief():
    problem = instance("paper-a", n=40, start="paper", steps=15)
    worlds = [problem.scenario(s) for s in range(20)]
    options = {"belief": {}, "particles": {"particles": 4000}}
    means = {}
    for obs, more in options.items():
        kernel = Fishery.kernel([problem], obs=obs, **more)
        state = kernel.reset(worlds)
        for _ in range(15):
            kernel.step(state, np.full(20, 2))
        shown = kernel.observe(state)
        means[obs] = shown @ problem.grids.stocks if obs == "belief" else shown.mean(axis=1)
    np.testing.assert_allclose(means["particles"], means["belief"], atol=0.02)


def test_on_belief_plays_an_exact_policy():
    """QMDP on the posterior: with a perfect survey it is the optimal policy, worth what the tables say."""
    problem = instance("paper-a", sigma_m=0.0, n=40, start=0.6667, steps=300)
    post = problem.post_decision()
    value = np.zeros(problem.n)
    for _ in range(800):
        choice = post.reward + 0.95 * (post.rows @ value)[post.index]
        value = choice.max(axis=1)
    policy = OnBelief(lambda beliefs: (beliefs @ choice).argmax(axis=1))
    worlds = [problem.scenario(s) for s in spawn_seeds(2, 1500, "qmdp")]
    found = np.array([e.value for e in rollout(problem, policy, worlds)])
    assert found.mean() == pytest.approx(value[problem.grids.nearest_stock(0.6667)], abs=4 * found.std() / 1500**0.5)
