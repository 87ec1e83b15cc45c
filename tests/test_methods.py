"""Methods by name, their options, and the tables that list them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import orrl
from orrl.core import (
    Budget,
    CallablePolicy,
    FormatError,
    Learner,
    NotSupportedError,
    OrrlError,
    Support,
    UnknownNameError,
)
from orrl.methods import resolve, shipped_policies
from orrl.problems.jobshop.rules import RulePolicy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop() -> orrl.JobShop:
    return orrl.JobShop(machines=[[0, 1], [1, 0], [0, 1]], durations=[[3, 2], [2, 4], [1, 1]], storage="blocking")


def test_names_are_solvers_then_rules(shop: orrl.JobShop) -> None:
    assert resolve("cp-sat", shop).name == "cp-sat"
    assert resolve("mwkr", shop).name == "mwkr"
    assert resolve(("mwkr", {"wip_cap": 2}), shop).name == "mwkr@2"


def test_a_wrong_name_suggests_the_nearest(shop: orrl.JobShop) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mwkr'"):
        orrl.solve(shop, "mwrk")
    with pytest.raises(UnknownNameError, match=r"option of cp-sat.*did you mean 'form'"):
        orrl.solve(shop, "cp-sat", forms="literal")
    with pytest.raises(UnknownNameError, match="option of mwkr"):
        orrl.solve(shop, "mwkr", cap=2)


def test_a_clash_of_names_is_an_error(shop: orrl.JobShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orrl.JobShop, "rules", lambda self: {"cp-sat": RulePolicy("spt")})
    with pytest.raises(OrrlError, match="both a solver and a rule"):
        resolve("cp-sat", shop)


class Copycat(Learner):
    """Learns nothing; counts what it is given."""

    name = "copycat"
    scope = "distribution"

    def supports(self, problem: Any) -> Support:
        return Support(True)

    def fit(self, source: Any, *, budget: Budget, seed: int = 0, **rest: Any) -> CallablePolicy:
        policy = CallablePolicy(lambda obs, info: info["action_mask"].argmax(axis=1), f"copycat-{seed}")
        policy.seen = frozenset(p.content_hash for p in source)
        return policy


def test_train_takes_a_learner_and_solve_points_to_it(shop: orrl.JobShop, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = orrl.train([shop], Copycat(), budget=Budget(steps=1), seed=3)
    assert policy.name == "copycat-3" and policy.seen == {shop.content_hash}
    assert orrl.solve(shop, policy).status == "feasible"
    from orrl import registry

    monkeypatch.setattr(registry, "names", lambda kind: ["copycat"] if kind == "learner" else [])
    with pytest.raises(UnknownNameError, match=r"orrl\.train.*load_policy"):
        orrl.solve(shop, "copycat")


def test_every_method_says_yes_or_why_not(shop: orrl.JobShop) -> None:
    table = orrl.list_solvers(shop)
    frame = table.to_frame().set_index("method")
    able = {"cp-sat", "milp", "iterated-greedy", "rollout", "best-of-n", "rolling-cp-sat", "mwkr", "ppo"}
    assert frame.loc[sorted(able), "supported"].all()
    assert not frame.loc[["joint-dp", "sarsa"], "supported"].any()
    assert "HasAgentSubproblems" in frame.loc["joint-dp", "reason"]
    calendar = shop.replace(interruptions=orrl.Interruptions(law="mtbf", mtbf=50.0, mode="repeat"))
    frame = orrl.list_solvers(calendar).to_frame().set_index("method")
    assert not frame.supported["cp-sat"] and "mode='resume'" in frame.reason["cp-sat"]
    assert "no: " in repr(orrl.list_solvers(calendar))


def test_a_clairvoyant_method_wants_the_scenario(shop: orrl.JobShop) -> None:
    cut = shop.replace(interruptions=orrl.Interruptions(p=0.5))
    with pytest.raises(NotSupportedError, match=r"scenario=problem\.scenario"):
        orrl.solve(cut, "cp-sat")
    known = orrl.solve(cut, "cp-sat", scenario=cut.scenario(1), threads=1)
    played = orrl.solve(cut, "mwkr", scenario=cut.scenario(1))
    assert known.status == "optimal" and known.objective <= played.objective


def test_a_policy_on_a_stochastic_problem_is_an_estimate(shop: orrl.JobShop) -> None:
    cut = shop.replace(interruptions=orrl.Interruptions(p=0.5))
    result = orrl.solve(cut, "mwkr", scenarios=40)
    assert result.status == "estimated" and result.gap is None
    assert result.evaluation is not None and result.evaluation.n == 40
    low, high = result.evaluation.interval
    assert low < result.objective < high
    again = orrl.solve(cut, result, scenarios=40)
    assert again.objective == result.objective


def test_a_result_with_a_plan_is_no_policy(shop: orrl.JobShop) -> None:
    with pytest.raises(NotSupportedError, match="holds a plan"):
        orrl.solve(shop, orrl.solve(shop, "cp-sat", threads=1))


def test_bring_your_own(shop: orrl.JobShop) -> None:
    mine = orrl.as_policy(lambda obs, info: info["action_mask"].argmax(axis=1), name="first")
    assert orrl.solve(shop, mine).method == "first"
    with pytest.raises(NotSupportedError, match="is no policy"):
        orrl.as_policy(3)
    import torch

    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 9, 4))
    assert orrl.solve(shop, orrl.as_policy(module)).status == "feasible"
    with pytest.raises(NotSupportedError, match="logits of shape"):
        orrl.solve(shop, orrl.as_policy(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 9, 2))))


def test_load_policy_refuses_what_it_cannot_trust(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no saved policy"):
        orrl.load_policy(tmp_path / "none.zip")
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy.json", json.dumps({"type": "os:system"}))
    with pytest.raises(FormatError, match="neither of orrl"):
        orrl.load_policy(path)


def test_decide_speaks_the_problems_language(shop: orrl.JobShop) -> None:
    assert RulePolicy("lpt").decide(shop) == "move job 0"
    assert RulePolicy("spt").decide(shop) == "move job 2"


def test_a_first_solve_needs_neither_numba_nor_a_compiler() -> None:
    code = (
        "import sys, orrl; s = orrl.load('jobshop/ft06'); r = orrl.solve(s, 'mwkr'); assert r.evaluation.feasible; "
        "heavy = {'numba', 'torch', 'pyomo', 'ortools', 'gymnasium', 'pandas', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_is_light() -> None:
    code = "import sys, orrl; assert not {'numpy', 'torch', 'pyomo', 'ortools', 'gymnasium'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(orrl.__all__) <= set(dir(orrl))
    for name in orrl.__all__:
        assert getattr(orrl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'sovle'"):
        orrl.sovle  # noqa: B018


def test_seeds_matter_and_repeat(shop: orrl.JobShop) -> None:
    big = orrl.JobShop.generate(seed=1, jobs=6, machines=4, storage="blocking")
    values = [orrl.solve(big, "random", seed=s).objective for s in range(8)]
    assert len(set(values)) > 1
    assert values == [orrl.solve(big, "random", seed=s).objective for s in range(8)]
    assert isinstance(values[0], float) and np.isfinite(values).all()


@pytest.mark.parametrize("name", sorted(shipped_policies()))
def test_a_shipped_policy_plays_and_has_its_card(name: str) -> None:
    policy: Any = orrl.load_policy(name)
    text = shipped_policies()[name].with_suffix(".md").read_text()
    assert policy.card["command"] in text and f"{policy.card['cpu_seconds']:,.0f} CPU seconds" in text
    storage = "unlimited" if name.endswith("jsp") else "blocking"
    shops = [orrl.JobShop.generate(seed=i, jobs=12, machines=6, storage=storage) for i in range(4)]
    assert not any(shop.content_hash in policy.seen for shop in shops)
    played, chance = ([orrl.solve(shop, method) for shop in shops] for method in (policy, "random"))
    assert all(result.evaluation.feasible for result in played)
    assert sum(r.objective for r in played) < 0.95 * sum(r.objective for r in chance)


def test_policies_are_shipped() -> None:
    assert {"jobshop/bws", "jobshop/jsp"} <= set(shipped_policies())
