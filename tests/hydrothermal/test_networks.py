"""Physics of the branches against the exported stage models, and the engines that solve stages."""

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydrothermal import mof

from orrl.core.cuts import CutPool
from orrl.core.engines import open_stage
from orrl.core.errors import NotSupportedError
from orrl.core.stages import Stage
from orrl.problems.hydrothermal import Cascade, Network, read_case
from orrl.problems.hydrothermal.network_soc import branch_terms
from orrl.problems.hydrothermal.reach import ReachMap
from orrl.problems.hydrothermal.stage import NETWORKS, NetworkForm, build_stage

pytest.importorskip("casadi", reason="AC needs the extra orrl[nlp]")
EXPORTS = {"dc": "DCPPowerModel", "soc": "SOCWRConicPowerModel", "ac": "ACPPowerModel"}
WITHIN = {"dc": 1e-9, "soc": 1e-6, "ac": 1e-6}
HOUR, WEEK = 0.0036, 0.6048


@pytest.fixture(scope="module")
def home(data_root: Callable[[str], Path]) -> Path:
    return data_root("hydrothermal")


@pytest.fixture(scope="module")
def bolivia(home: Path) -> tuple[Network, Cascade]:
    case = read_case(home / "bolivia")
    return case.network.scaled(0.6), case.cascade


@pytest.fixture(scope="module")
def weekly(bolivia: tuple[Network, Cascade]) -> dict[NetworkForm, Stage]:
    return {name: build_stage(*bolivia, network=name, factor=WEEK) for name in NETWORKS}


def draws(cascade: Cascade, count: int, seed: int, factor: float = WEEK) -> list[tuple[np.ndarray, ...]]:
    """Random states, inflows and targets that can be reached."""
    rng = np.random.default_rng(seed)
    size = len(cascade.names)
    state = rng.uniform(0.0, 1.0, (count, size)) * cascade.volume_max
    noise = rng.uniform(0.0, 0.8, (count, size)) * cascade.turbine_max
    reach = ReachMap(cascade, factor)
    target = np.asarray(reach.targets(state, noise, rng.uniform(0.05, 0.95, (count, size))))
    return list(zip(state, noise, target, strict=True))


# ---- against the exported models ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["bolivia/stage_models_k0036", "case3/stage_models"])
@pytest.mark.parametrize("form", ["dc", "soc", "ac"])
def test_exported_stage(home: Path, tmp_path: Path, name: str, form: NetworkForm) -> None:
    model = mof.Model.read(home / name / f"{EXPORTS[form]}.mof.json")
    folder = home / name
    if name.startswith("case3"):  # its inputs lie beside the models, but for the inflows
        for file in ("PowerModels.json", "hydro.json"):
            (tmp_path / file).write_bytes((folder / file).read_bytes())
        (tmp_path / "inflows.csv").write_bytes((home / "case3" / "inflows.csv").read_bytes())
        folder = tmp_path
    else:
        folder = folder.parent
    case = read_case(folder)
    grid, cascade = case.network, case.cascade
    assert model.coefficient("hydro_balance[1]", "outflow[1]") == pytest.approx(HOUR)
    demand = model.demand(len(grid.bus_names))
    load = float(demand.sum() / grid.demand.sum())
    np.testing.assert_allclose(demand, load * grid.demand, atol=1e-12)
    costs = dict(zip(model.names, model.cost()[0], strict=True))
    grid = replace(grid.scaled(load), deficit_cost=costs["deficit[1]"])  # case3's AC export has another one
    engine = open_stage(build_stage(grid, cascade, network=form, factor=HOUR))
    solve = mof.solve_smooth if form == "ac" else mof.solve_conic
    for state, noise, _ in draws(cascade, 3, 5, HOUR):
        fixed = {f"reservoir[{h + 1}]_in": v for h, v in enumerate(state.tolist())}
        fixed |= {f"inflow[{h + 1}]": v for h, v in enumerate(noise.tolist())}
        ours = engine.solve(state, noise)
        assert ours.status == "optimal"
        assert ours.value == pytest.approx(solve(model, fixed), rel=WITHIN[form])


def test_relaxations_are_below(weekly: dict[NetworkForm, Stage], bolivia: tuple[Network, Cascade]) -> None:
    engines = {name: open_stage(stage) for name, stage in weekly.items()}
    for state, noise, target in draws(bolivia[1], 6, 1):
        cost = {name: engine.solve(state, noise, target=target).value for name, engine in engines.items()}
        assert cost["transport"] <= cost["dc"] * (1 + 1e-9)
        assert cost["dc"] < cost["soc"] <= cost["ac"] * (1 + 1e-7)  # DC has no losses here
        assert cost["dc"] < cost["dcll"]
        assert abs(cost["ac"] - cost["dcll"]) < 0.35 * (cost["ac"] - cost["dc"])
        assert cost["ac"] < 1.02 * cost["soc"]


# ---- answers of the engines --------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", NETWORKS)
def test_duals_are_slopes(
    weekly: dict[NetworkForm, Stage], bolivia: tuple[Network, Cascade], form: NetworkForm
) -> None:
    engine = open_stage(weekly[form])
    state, noise, target = draws(bolivia[1], 1, 3)[0]
    held = engine.solve(state, noise, target=target)
    free = engine.solve(state, noise)
    assert held.d_target is not None
    assert free.d_target is None
    assert abs(held.d_target).max() > 1.0
    np.testing.assert_array_equal(held.state_out, target)
    for h in np.argsort(-bolivia[1].volume_max)[:4].tolist():
        step = np.eye(len(state))[h] * 1e-3
        given = (held.d_target, lambda s: engine.solve(state, noise, target=target + s)), (
            held.d_state, lambda s: engine.solve(state + s, noise, target=target)), (
            held.d_noise, lambda s: engine.solve(state, noise + s, target=target)), (
            free.d_state, lambda s: engine.solve(state + s, noise)), (
            free.d_noise, lambda s: engine.solve(state, noise + s))  # fmt: skip
        for slope, at in given:
            difference = (at(step).value - at(-step).value) / 2e-3
            assert slope[h] == pytest.approx(difference, rel=2e-3, abs=2e-2)


@pytest.mark.parametrize("form", ["dc", "soc", "ac"])
@pytest.mark.parametrize("thetas", [1, 2])
def test_cost_to_go(
    weekly: dict[NetworkForm, Stage], bolivia: tuple[Network, Cascade], form: NetworkForm, thetas: int
) -> None:
    rng = np.random.default_rng(0)
    engine = open_stage(weekly[form])
    state, noise, target = draws(bolivia[1], 1, 4)[0]
    size = len(state)
    pool = CutPool(size, thetas=thetas, bound=10.0)
    if thetas > 1:
        pool.mix(np.array([0.3, 0.7]))
        pool.mix(np.array([0.6, 0.4]))
    last = -np.inf
    for _ in range(3):
        for theta in range(thetas):
            for _ in range(8):
                pool.add(rng.uniform(2e3, 3e3), -rng.uniform(0.0, 20.0, size), theta)
        found = engine.solve(state, noise, cuts=pool)
        assert found.status == "optimal"
        later = float(pool.value(found.state_out))
        assert found.value - found.cost == pytest.approx(later, rel=1e-5)
        assert found.value >= last * (1 - 1e-7)  # more cuts never make it cheaper
        last = found.value
        fixed = engine.solve(state, noise, target=target, cuts=pool)
        plain = engine.solve(state, noise, target=target)
        assert fixed.value == pytest.approx(plain.value + float(pool.value(target)), rel=1e-6)
        assert found.value <= fixed.value * (1 + 1e-7)
    again = open_stage(weekly[form]).solve(state, noise, cuts=pool)
    assert again.value == pytest.approx(last, rel=1e-6)
    pool.keep(np.arange(pool.count) % 3 == 0)
    fewer = engine.solve(state, noise, cuts=pool)
    assert fewer.value <= last * (1 + 1e-7)
    assert fewer.value - fewer.cost >= 10.0 - 1e-6


def test_ac_rows_left_out_are_watched(weekly: dict[NetworkForm, Stage], bolivia: tuple[Network, Cascade]) -> None:
    grid, cascade = bolivia
    engine, fresh = open_stage(weekly["ac"]), []
    flows = weekly["ac"].smooth.flows  # type: ignore[union-attr]
    for state, noise, target in draws(cascade, 8, 9):
        found = engine.solve(state, noise, target=target)
        fresh.append((found.value, open_stage(weekly["ac"]).solve(state, noise, target=target).value))
        flow = flows(weekly["ac"], found.columns)
        for end in ("from", "to"):
            assert (np.hypot(flow[f"p_{end}"], flow[f"q_{end}"]) <= grid.rating * (1 + 1e-5)).all()
    np.testing.assert_allclose(*np.array(fresh).T, rtol=1e-6)


def test_ac_means_the_same_in_pyomo(weekly: dict[NetworkForm, Stage]) -> None:
    import pyomo.environ as pyo

    stage = weekly["ac"]
    assert stage.smooth is not None
    point = dict(zip(stage.columns, np.random.default_rng(0).uniform(0.5, 1.0, len(stage.columns)), strict=True))
    model = pyo.ConcreteModel()
    model.y = pyo.Var(range(len(stage.columns)))
    for i, value in enumerate(point.values()):
        model.y[i].value = value
    theirs = list(stage.smooth({key: model.y[i] for key, i in stage.where.items()}, pyo))
    ours = list(stage.smooth(point, np))
    assert [row[0] for row in theirs] == [row[0] for row in ours]
    np.testing.assert_allclose([pyo.value(row[2]) for row in theirs], [row[2] for row in ours], rtol=1e-12)


def test_ac_travels(weekly: dict[NetworkForm, Stage]) -> None:
    again = pickle.loads(pickle.dumps(weekly["ac"]))
    size = len(again.out)
    assert open_stage(again).solve(np.ones(size) * 0.01, np.zeros(size)).status == "optimal"


def test_engines_refuse_what_they_cannot_take(weekly: dict[NetworkForm, Stage]) -> None:
    with pytest.raises(NotSupportedError, match="clarabel"):
        open_stage(weekly["soc"], engine="highs")
    with pytest.raises(NotSupportedError, match="ipopt"):
        open_stage(weekly["ac"], engine="clarabel")


@pytest.mark.parametrize("engine", ["clarabel", "ipopt"])
def test_engines_agree_on_a_linear_stage(
    weekly: dict[NetworkForm, Stage], bolivia: tuple[Network, Cascade], engine: str
) -> None:
    exact, other = open_stage(weekly["dc"]), open_stage(weekly["dc"], engine=engine)
    for state, noise, target in draws(bolivia[1], 3, 7):
        assert other.solve(state, noise, target=target).value == pytest.approx(
            exact.solve(state, noise, target=target).value, rel=1e-6
        )


@pytest.mark.parametrize("form", NETWORKS)
def test_an_infeasible_stage_is_named(
    weekly: dict[NetworkForm, Stage], bolivia: tuple[Network, Cascade], form: NetworkForm
) -> None:
    engine = open_stage(weekly[form])
    state, noise, target = draws(bolivia[1], 1, 2)[0]
    wrong = target.copy()
    wrong[1] = state[1] + WEEK * noise[1] + 5.0  # COR has nobody above: more than all its water
    found = engine.solve(state, noise, target=wrong)
    assert found.status != "optimal"
    assert math.isnan(found.value)
    assert "water[1]" in engine.conflict(state, noise, target=wrong)
    assert engine.solve(state, noise, target=target).status == "optimal"


# ---- small networks ----------------------------------------------------------------------------------------------
def two_buses(*, tap: float = 1.0, shift: float = 0.0, rating: float = math.inf, reactive: float = 0.1) -> Network:
    """A cheap machine at bus 0 feeds a load of 0.5 at bus 1, where a dear machine gives reactive power."""
    return Network(
        base=100.0, bus_names=("a", "b"), reference=0, voltage_min=np.array([0.95, 0.95]),
        voltage_max=np.array([1.05, 1.05]), branch_from=[0], branch_to=[1], resistance=[0.02], reactance=[0.1],
        charge_from=[0.03], charge_to=[0.05], tap=[tap], shift=[shift], rating=[rating], angle_min=[-0.6],
        angle_max=[0.6], generator_names=("cheap", "dear", "hydro"), generator_bus=[0, 1, 1],
        power_min=[0.0, 0.0, 0.0], power_max=[2.0, 2.0, 0.1], reactive_min=[-5.0, -5.0, 0.0],
        reactive_max=[5.0, 5.0, 0.0], cost=[10.0, 50.0, 0.0], load_bus=[1], load=[0.5], reactive_load=[reactive],
        deficit_cost=1000.0,
    )  # fmt: skip


def one_plant(*, turbine_min: float = 0.0, outflow_cost: float = 0.0) -> Cascade:
    zero = np.zeros(1)
    return Cascade(
        names=("plant",), generator=[2], volume_min=zero, volume_max=[10.0], volume_start=[5.0],
        turbine_min=[turbine_min], turbine_max=[10.0], production=[1.0], spill_cost=[0.0],
        outflow_violation_cost=[outflow_cost], volume_violation_cost=zero, turbine_to=[[0]], spill_to=[[0]],
    )  # fmt: skip


@pytest.mark.parametrize(("tap", "shift"), [(1.0, 0.0), (0.97, 0.0), (1.03, 0.2), (1.0, -0.3)])
def test_branch_is_a_circuit(tap: float, shift: float) -> None:
    """Flows from the currents of a line behind an ideal transformer."""
    grid = two_buses(tap=tap, shift=shift)
    v_from, v_to = 1.02 * np.exp(0.1j), 0.98 * np.exp(-0.05j)
    ratio = tap * np.exp(1j * shift)
    inner = v_from / ratio
    y = 1.0 / (0.02 + 0.1j)
    at_from = (inner - v_to) * y / np.conj(ratio) + 0.03j * inner / np.conj(ratio)
    at_to = (v_to - inner) * y + 0.05j * v_to
    s_from, s_to = v_from * np.conj(at_from), v_to * np.conj(at_to)
    both = v_from * np.conj(v_to)
    got = {
        end: a * (abs(v_from) if end.endswith("from") else abs(v_to)) ** 2 + c * both.real + d * both.imag
        for end, (a, c, d) in branch_terms(grid, 0).items()
    }
    wanted = {"p_from": s_from.real, "q_from": s_from.imag, "p_to": s_to.real, "q_to": s_to.imag}
    assert got == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("tap", "shift"), [(1.0, 0.0), (1.05, 0.25)])
def test_two_buses_by_hand(tap: float, shift: float) -> None:
    """Without a rating the load is carried at the highest voltages; a radial SOC relaxation is exact."""
    stages = {form: build_stage(two_buses(tap=tap, shift=shift), one_plant(), network=form, factor=1.0)
              for form in ("soc", "ac")}  # fmt: skip
    state, target = np.array([5.0]), np.array([5.0])  # no water is used
    found = {form: open_stage(stage).solve(state, np.zeros(1), target=target) for form, stage in stages.items()}
    assert found["soc"].value == pytest.approx(found["ac"].value, rel=1e-6)
    columns, where = found["ac"].columns, stages["ac"].where
    v = [columns[where["voltage", b]] * np.exp(1j * columns[where["angle", b]]) for b in (0, 1)]
    inner = v[0] / (tap * np.exp(1j * shift))
    current = (inner - v[1]) / (0.02 + 0.1j)
    assert (v[1] * np.conj(current)).real == pytest.approx(0.5, abs=1e-6)  # what arrives
    sent = 0.5 + 0.02 * abs(current) ** 2
    assert found["ac"].value == pytest.approx(10.0 * sent, rel=1e-6)
    # the smallest loss: highest voltage at both ends of the series impedance, and a current in phase with it
    best = min(
        10.0 * (0.5 + 0.02 * abs((a * np.exp(1j * d) - b) / (0.02 + 0.1j)) ** 2)
        for a in np.linspace(0.95, 1.05, 41) / tap
        for b in np.linspace(0.95, 1.05, 41)
        for d in [_angle(a, b)]
    )
    assert found["ac"].value <= best * (1 + 1e-6)
    assert found["ac"].value == pytest.approx(best, rel=1e-4)


def _angle(a: float, b: float) -> float:
    """Angle at which 0.5 arrives, by bisection."""
    low, high = 0.0, 0.6
    for _ in range(60):
        mid = (low + high) / 2.0
        arrives = (b * np.conj((a * np.exp(1j * mid) - b) / (0.02 + 0.1j))).real
        low, high = (mid, high) if arrives < 0.5 else (low, mid)
    return low


@pytest.mark.parametrize("form", ["soc", "ac"])
def test_rating_binds(form: NetworkForm) -> None:
    stage = build_stage(two_buses(rating=0.3), one_plant(), network=form, factor=1.0)
    engine = open_stage(stage)
    found = engine.solve(np.array([5.0]), np.zeros(1), target=np.array([5.0]))
    power = stage.family(found.columns, "power")
    assert power[0] <= 0.3 + 1e-6
    assert power[1] > 0.19  # the rest is made at the load
    free = open_stage(build_stage(two_buses(), one_plant(), network=form, factor=1.0))
    assert free.solve(np.array([5.0]), np.zeros(1), target=np.array([5.0])).value < found.value - 5.0


def test_parallel_branches_share_a_pair() -> None:
    grid = two_buses()
    turned = replace(
        grid, branch_from=[0, 1], branch_to=[1, 0], resistance=[0.02, 0.02], reactance=[0.1, 0.1],
        charge_from=[0.03, 0.05], charge_to=[0.05, 0.03], tap=[1.0, 1.0], shift=[0.0, 0.0],
        rating=[math.inf, math.inf], angle_min=[-0.6, -0.6], angle_max=[0.6, 0.6],
    )  # fmt: skip
    state = np.array([5.0])
    values = []
    for form in ("soc", "ac"):
        stage = build_stage(turned, one_plant(), network=form, factor=1.0)
        assert form == "ac" or stage.block("wr").tolist() == [stage.where["wr", 0]]
        found = open_stage(stage).solve(state, np.zeros(1), target=state)
        values.append(found.value)
        if form == "soc":
            for a, b in (("p_from", "p_to"), ("q_from", "q_to")):  # the second line is the first, turned
                one, other = stage.family(found.columns, a), stage.family(found.columns, b)
                np.testing.assert_allclose(one, other[::-1], atol=1e-6)
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize("form", NETWORKS)
def test_smallest_flow_is_hard_or_has_a_price(form: NetworkForm) -> None:
    dry = np.array([1.0]), np.zeros(1)
    hard = open_stage(build_stage(two_buses(), one_plant(turbine_min=4.0), network=form, factor=1.0))
    assert hard.solve(*dry).status != "optimal"
    assert hard.solve(np.array([6.0]), np.zeros(1)).status == "optimal"
    stage = build_stage(two_buses(), one_plant(turbine_min=4.0, outflow_cost=7.0), network=form, factor=1.0)
    found = open_stage(stage).solve(*dry)
    assert found.status == "optimal"
    assert stage.family(found.columns, "turbined")[0] == pytest.approx(1.0, abs=1e-5)
    assert stage.family(found.columns, "low_outflow")[0] == pytest.approx(3.0, abs=1e-5)


def test_missing_casadi_names_the_command(weekly: dict[NetworkForm, Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from orrl.core.errors import NotInstalledError

    monkeypatch.setitem(sys.modules, "casadi", None)
    with pytest.raises(NotInstalledError, match=r"pip install .*orrl\[nlp\]"):
        open_stage(weekly["ac"])
