"""A user's own POMDP: arrays and files in, every face of a problem out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import orrl
from orrl import registry
from orrl.check import check_problem
from orrl.core.errors import DataError, FormatError
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.problems.tabular import Course, TabularPOMDP
from orrl.problems.tabular.catalogue import read
from orrl.problems.tabular.pomdpx_format import read_pomdpx
from orrl.solvers.exact.policy_iteration import PolicyIteration
from orrl.solvers.exact.sarsop import Sarsop

DOOR = """# two rooms, one behind the door; listening costs one
discount: 0.9
values: {values}
states: near far
actions: wait go
observations: quiet loud
start: 0.75 0.25
T: wait
identity
T: go
uniform
O: wait
0.8 0.2
0.3 0.7
O: go
uniform
R: wait : * : * : * {wait}
R: go : near : * : * {near}
R: go : far : * : * {far}
"""

MINE = """<?xml version="1.0"?>
<pomdpx version="1.0"><Description>one rover, one rock</Description><Discount>0.95</Discount>
<Variable>
  <StateVar vnamePrev="rover_0" vnameCurr="rover_1" fullyObs="true"><NumValues>3</NumValues></StateVar>
  <StateVar vnamePrev="rock_0" vnameCurr="rock_1"><ValueEnum>good bad</ValueEnum></StateVar>
  <ObsVar vname="sensor"><ValueEnum>ogood obad</ValueEnum></ObsVar>
  <ActionVar vname="act"><ValueEnum>west east sample check</ValueEnum></ActionVar>
  <RewardVar vname="gain"/>
</Variable>
<InitialStateBelief>
  <CondProb><Var>rover_0</Var><Parent>null</Parent><Parameter type="TBL">
    <Entry><Instance>-</Instance><ProbTable>0.0 1.0 0.0</ProbTable></Entry></Parameter></CondProb>
  <CondProb><Var>rock_0</Var><Parent>null</Parent><Parameter type="TBL">
    <Entry><Instance>-</Instance><ProbTable>uniform</ProbTable></Entry></Parameter></CondProb>
</InitialStateBelief>
<StateTransitionFunction>
  <CondProb><Var>rover_1</Var><Parent>act rover_0</Parent><Parameter>{rover}</Parameter></CondProb>
  <CondProb><Var>rock_1</Var><Parent>act rover_0 rock_0</Parent><Parameter type="TBL">
    <Entry><Instance>* * - -</Instance><ProbTable>identity</ProbTable></Entry>
    <Entry><Instance>sample s0 * -</Instance><ProbTable>0.0 1.0</ProbTable></Entry>
  </Parameter></CondProb>
</StateTransitionFunction>
<ObsFunction>
  <CondProb><Var>sensor</Var><Parent>act rover_1 rock_1</Parent><Parameter type="TBL">
    <Entry><Instance>* * * -</Instance><ProbTable>1.0 0.0</ProbTable></Entry>
    <Entry><Instance>check s0 - -</Instance><ProbTable>1.0 0.0 0.0 1.0</ProbTable></Entry>
    <Entry><Instance>check s1 - -</Instance><ProbTable>0.8 0.2 0.2 0.8</ProbTable></Entry>
  </Parameter></CondProb>
</ObsFunction>
<RewardFunction>
  <Func><Var>gain</Var><Parent>act rover_0 rock_0</Parent><Parameter type="TBL">
    <Entry><Instance>sample s0 -</Instance><ValueTable>10 -10</ValueTable></Entry>
    <Entry><Instance>sample s1 *</Instance><ValueTable>-100</ValueTable></Entry>
  </Parameter></Func>
  <Func><Var>gain</Var><Parent>rover_0 rover_1</Parent><Parameter type="TBL">
    <Entry><Instance>s1 s2</Instance><ValueTable>10</ValueTable></Entry>
  </Parameter></Func>
</RewardFunction>
</pomdpx>
"""
TABLE = """
    <Entry><Instance>* - -</Instance><ProbTable>identity</ProbTable></Entry>
    <Entry><Instance>west s1 -</Instance><ProbTable>1.0 0.0 0.0</ProbTable></Entry>
    <Entry><Instance>east s0 -</Instance><ProbTable>0.0 1.0 0.0</ProbTable></Entry>
    <Entry><Instance>east s1 -</Instance><ProbTable>0.0 0.0 1.0</ProbTable></Entry>"""
TREE = """<DAG><Node var="act">
      <Edge val="west"><Node var="rover_0">
        <Edge val="s1"><SubDAG type="deterministic" var="rover_1" val="s0"/></Edge>
        <Edge val="s0"><SubDAG type="template" idref="stay"/></Edge>
        <Edge val="s2"><SubDAG type="template" idref="stay"/></Edge></Node></Edge>
      <Edge val="east"><Node var="rover_0">
        <Edge val="s0"><SubDAG type="deterministic" var="rover_1" val="s1"/></Edge>
        <Edge val="s1"><Node var="rover_1"><Edge val="s0"><Terminal>0.0</Terminal></Edge>
          <Edge val="s1"><Terminal>0.0</Terminal></Edge><Edge val="s2"><Terminal>1.0</Terminal></Edge></Node></Edge>
        <Edge val="s2"><SubDAG type="persistent" var="rover_1"/></Edge></Node></Edge>
      <Edge val="sample"><SubDAG type="persistent" var="rover_1"/></Edge>
      <Edge val="check"><SubDAG type="persistent" var="rover_1"/></Edge>
    </Node></DAG><SubDAGTemplate id="stay"><SubDAG type="persistent" var="rover_1"/></SubDAGTemplate>"""
TREED = MINE.format(rover=TREE).replace("rover_0</Parent><Parameter>", 'rover_0</Parent><Parameter type="DD">')


@pytest.fixture
def known_family(monkeypatch):
    """The family, whether or not it is in the registry yet."""
    monkeypatch.setitem(registry.OWN["problem"], "tabular", "orrl.problems.tabular:TabularPOMDP")
    registry._table.cache_clear()
    yield
    registry._table.cache_clear()


def door(path, values="reward", name="door.pomdp"):
    sign = -1 if values == "cost" else 1
    text = DOOR.format(values=values, wait=-1 * sign, near=-10 * sign, far=10 * sign)
    (path / name).write_text(text)
    return path / name


@pytest.mark.parametrize("ending", ["pomdp", "POMDP"])
def test_orrl_reads_a_file(tmp_path, known_family, ending):
    problem = orrl.read(door(tmp_path, name=f"door.{ending}"))
    assert isinstance(problem, TabularPOMDP)
    assert problem.name == "door"
    assert problem.states == ("near", "far")
    assert problem.objective.sense == "max"
    assert problem.name_action(1) == "go"
    (tmp_path / "mine.pomdpx").write_text(MINE.format(rover=TABLE))
    assert len(orrl.read(tmp_path / "mine.pomdpx").states) == 6


def test_costs_are_rewards_with_another_sign(tmp_path):
    gain, loss = read(door(tmp_path)), read(door(tmp_path, "cost", "cost.pomdp"))
    assert loss.objective.sense == "min"
    a, b = (Sarsop(precision=1e-6).solve(p) for p in (gain, loss))
    assert a.objective == pytest.approx(-b.objective, abs=1e-6)
    assert a.objective <= a.bound.value
    assert b.objective >= b.bound.value
    world = gain.scenario(4)
    plan = Course(tuple(np.arange(100) % 2))
    assert gain.evaluate(plan, world).objective == pytest.approx(-loss.evaluate(plan, world).objective)


@pytest.mark.parametrize("variant", ["stationary", "horizon", "cost", "seen", "masked"])
def test_check_problem_passes(tmp_path, variant):
    problem = read(door(tmp_path, "cost" if variant == "cost" else "reward"), steps=8)
    if variant == "horizon":
        problem = replace(problem, horizon=5)
    elif variant == "seen":
        problem = replace(TabularPOMDP.generate(seed=2, observations=0), horizon=4)
    elif variant == "masked":
        base = TabularPOMDP.generate(seed=4, states=4, observations=0)
        mask = np.ones((4, 3), bool)
        mask[1, 2] = mask[3, :] = False
        problem = replace(base, mask=mask, horizon=4)
    report = check_problem(problem, seeds=2)
    assert not [(r.point, r.failures) for r in report.rows if r.status == "fail"]
    passed = {r.point for r in report.rows if r.status == "pass"}
    assert passed >= {3, 4, 5, 6, 7, 8, 9, 11} | ({2} if variant in ("seen", "masked") else set())


def test_simulated_value_lies_between_the_bounds(tmp_path):
    problem = read(door(tmp_path), steps=150)
    result = Sarsop(precision=1e-4).solve(problem)
    values = [e.value for e in rollout(problem, result.policy, [problem.scenario(s) for s in range(4000)])]
    error = np.std(values) / np.sqrt(len(values))
    assert result.objective - 4.0 * error <= np.mean(values) <= result.bound.value + 4.0 * error


def test_problems_of_mixed_size_side_by_side(tmp_path):
    both = [read(door(tmp_path), steps=6), replace(TabularPOMDP.generate(seed=1), steps=9)]
    worlds = [p.scenario(7) for p in both]
    for episode, problem, world in zip(rollout(both, RandomPolicy(), worlds), both, worlds, strict=True):
        verdict = problem.evaluate(problem.solution(episode), world)
        assert verdict.feasible, verdict.violations
        assert verdict.objective == pytest.approx(episode.value, abs=1e-12)
    env = TabularPOMDP.vector_env(both)
    shown, _ = env.reset(seed=0)
    assert env.observation_space.contains(shown)


def test_belief_view_is_bayes_rule(tmp_path):
    problem = read(door(tmp_path), steps=5)
    env = problem.env(obs="belief")
    belief, _ = env.reset(seed=3)
    np.testing.assert_allclose(belief, [0.75, 0.25])
    belief, *_ = env.step(0)
    seen = env.state().seen[-1]
    joint = np.array([0.75, 0.25]) * np.array([[0.8, 0.2], [0.3, 0.7]])[:, seen]
    np.testing.assert_allclose(belief, joint / joint.sum(), rtol=1e-6)
    later = problem.at(env.state())
    np.testing.assert_allclose(later.tabular().initial, belief, rtol=1e-6)


def test_writing_and_reading_change_nothing(tmp_path):
    problem = TabularPOMDP.generate(seed=9, states=4)
    back = read(problem.write(tmp_path / "x.pomdp"))
    assert back.content_hash == problem.content_hash
    again = TabularPOMDP.from_dict(json.loads(json.dumps(problem.to_dict())))
    assert again.content_hash == problem.content_hash
    assert replace(problem, states=("a", "b", "c", "d")).content_hash == problem.content_hash
    assert replace(problem, discount=0.8).content_hash != problem.content_hash
    assert TabularPOMDP.generator(states=3).sample(2, seed=1)[1].name.startswith("tabular-")
    dense = replace(problem, transition=np.stack([m.toarray() for m in problem.transition]))
    assert dense.content_hash == problem.content_hash
    with pytest.raises(DataError, match="cannot say"):
        replace(problem, horizon=3).write(tmp_path / "y.pomdp")


def test_a_reward_of_the_next_state_becomes_its_expectation():
    chain = np.array([[[0.25, 0.75], [0.0, 1.0]]])
    reward = np.zeros((2, 1, 2))
    reward[0, 0] = 4.0, 8.0
    problem = TabularPOMDP(transition=chain, reward=reward, discount=0.5, initial=[1.0, 0.0])
    assert problem.reward[0, 0] == pytest.approx(7.0)
    # 7 + 0.5 (0.25 V) = V
    assert PolicyIteration().solve(problem).objective == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"transition": [np.array([[0.5, 0.4], [0.0, 1.0]])]}, "sums to 0.9"),
        ({"transition": [np.array([[1.5, -0.5], [0.0, 1.0]])]}, "give 0 or more"),
        ({"transition": []}, "one matrix"),
        ({"transition": np.eye(2)}, "axes"),
        ({"reward": [[1.0, 2.0]]}, "reward has shape"),
        ({"reward": [[np.nan], [1.0]]}, "finite"),
        ({"initial": [0.5, 0.6]}, "sums to 1.1"),
        ({"observation": [np.ones((2, 2))]}, "sums to 2"),
        ({"observation": [np.eye(2), np.eye(2)]}, "2 matrices for 1 actions"),
        ({"discount": 1.0}, "horizon"),
        ({"horizon": 0}, "at least 1"),
        ({"values": "gain"}, "'reward' or 'cost'"),
        ({"states": ("x", "x")}, "1 of them different"),
        ({"mask": [[True]]}, "mask has shape"),
    ],
)
def test_errors_teach(change, match):
    whole = {"transition": [np.eye(2)], "reward": [[1.0], [0.0]], "discount": 0.9}
    TabularPOMDP(**whole)
    with pytest.raises(DataError, match=match):
        TabularPOMDP(**{**whole, **change})


def test_bad_plans_are_refused(tmp_path):
    problem = read(door(tmp_path), steps=3)
    assert "end after 1 of 3" in problem.evaluate(Course((0,))).violations[0]
    assert "illegal" in problem.evaluate(Course((0, 5, 0))).violations[0]
    assert "has 3 steps" in problem.evaluate(Course((0,) * 4)).violations[0]


# ---- POMDPX ------------------------------------------------------------------------------------------------------
def test_tables_and_diagrams_say_the_same():
    by_table = read_pomdpx(MINE.format(rover=TABLE))
    by_tree = read_pomdpx(TREED)
    assert by_table.states == ("s0,good", "s0,bad", "s1,good", "s1,bad", "s2,good", "s2,bad")
    assert by_table.observations == tuple(f"s{i},{o}" for i in range(3) for o in ("ogood", "obad"))
    for a in range(4):
        assert abs(by_table.transition[a] - by_tree.transition[a]).max() == 0.0
    west, east, sample, check = (m.toarray() for m in by_table.transition)
    assert west[2, 0] == west[3, 1] == east[0, 2] == east[2, 4] == 1.0
    assert sample[0, 1] == sample[1, 1] == sample[2, 2] == 1.0
    assert (check == np.eye(6)).all()
    np.testing.assert_allclose(by_table.observation[3].toarray()[2], [0, 0, 0.8, 0.2, 0, 0])
    np.testing.assert_allclose(by_table.reward[:, 2], [10, -10, -100, -100, 0, 0])
    np.testing.assert_allclose(by_table.reward[:, 1], [0, 0, 10, 10, 0, 0])
    np.testing.assert_allclose(by_table.start, [0, 0, 0.5, 0.5, 0, 0])


def test_a_momdp_is_solved():
    tree = read_pomdpx(TREED)
    problem = TabularPOMDP.from_file(tree)
    # look for the rock (10, next year), go back (two steps) and leave with 10 at the right end
    value = Sarsop(precision=1e-2).solve(problem, time_limit=3).objective
    assert 10.0 < value < PolicyIteration().solve(problem).bound.value + 1e-9


def test_all_seen_is_an_mdp(tmp_path):
    text = MINE.format(rover=TABLE).replace('vnameCurr="rock_1"', 'vnameCurr="rock_1" fullyObs="true"')
    begin, end = text.index("<ObsFunction>"), text.index("</ObsFunction>") + len("</ObsFunction>")
    text = text[:begin] + text[end:]
    text = text.replace('<ObsVar vname="sensor"><ValueEnum>ogood obad</ValueEnum></ObsVar>', "")
    (tmp_path / "seen.pomdpx").write_text(text)
    problem = read(tmp_path / "seen.pomdpx")
    assert problem.observation is None
    best = PolicyIteration().solve(problem)
    assert best.status == "optimal"
    # bad rock: leave at once for 10; good: west, sample 10, east, and 10 for leaving in the fourth step
    assert best.objective == pytest.approx(0.5 * 10 + 0.5 * (0.95 * 10 + 0.95**3 * 10))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("0.8 0.2 0.2 0.8", "0.8 0.2 0.2", "3 numbers: 4 are needed"),
        ("0.8 0.2 0.2 0.8", "0.8 0.2 0.2 0.9", "sums to 1.1"),
        ("0.8 0.2 0.2 0.8", "0.8 0.2 0.2 x", "could not convert"),
        ("check s1 - -", "chek s1 - -", "'chek' is no value of act"),
        ("check s1 - -", "check s1 -", "has 3 words"),
        ("<Parent>act rover_1 rock_1</Parent>", "<Parent>act rover_1 rocks</Parent>", "parent 'rocks'"),
        ("<Var>rock_1</Var>", "<Var>rock_9</Var>", "law of 'rock_9'"),
        ("<Discount>0.95</Discount>", "<Discount>1.5</Discount>", "1.5: give a factor"),
        ("<Discount>0.95</Discount>", "", "no <Discount>"),
        ("</pomdpx>", "", "is no XML"),
        ("<NumValues>3</NumValues>", "", "needs <NumValues>"),
        ('vnamePrev="rock_0"', 'vname="rock_0"', "no vnamePrev="),
        ("* * - -</Instance><ProbTable>identity", "* * * -</Instance><ProbTable>identity", "two '-'"),
    ],
)
def test_bad_pomdpx_files(old, new, match):
    text = MINE.format(rover=TABLE)
    assert old in text
    with pytest.raises(FormatError, match=match):
        read_pomdpx(text.replace(old, new))


def test_bad_files_name_the_place(tmp_path):
    (tmp_path / "x.pomdp").write_text(DOOR.format(values="reward", wait=1, near=1, far=1).replace("0.8 0.2", "0.8 0.3"))
    with pytest.raises(FormatError, match=r"x\.pomdp.*near sums to 1\.1"):
        read(tmp_path / "x.pomdp")
    (tmp_path / "noise.txt").write_text("nothing of the kind\n")
    with pytest.raises(FormatError, match="neither"):
        read(tmp_path / "noise.txt")
    door(tmp_path, name="other.txt")
    assert read(tmp_path / "other.txt").states == ("near", "far")


# ---- published files ---------------------------------------------------------------------------------------------
def test_tiger_to_a_thousandth(data_root):
    problem = read(data_root("pomdp") / "appl_Tiger.pomdp")
    result = Sarsop(precision=2e-5).solve(problem, time_limit=20, threads=1)
    assert result.objective <= result.bound.value
    assert result.objective == pytest.approx(19.3714, abs=1e-3)
    assert result.bound.value == pytest.approx(19.3714, abs=1e-3)


def test_published_files_become_problems(data_root):
    for name in ("cassandra_1d.POMDP", "cassandra_cheese.95.POMDP", "appl_Hallway.pomdp"):
        problem = read(data_root("pomdp") / name, steps=20)
        assert all(isinstance(m, sparse.csr_matrix) for m in problem.transition)
        world = problem.scenario(1)
        episode = rollout(problem, RandomPolicy(), [world])[0]
        assert problem.evaluate(problem.solution(episode), world).objective == pytest.approx(episode.value, abs=1e-9)
