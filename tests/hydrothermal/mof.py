"""MathOptFormat files of a stage, solved as they are: by HiGHS, Clarabel or Ipopt, after what they say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array


@dataclass
class Model:
    """Variables by name, and the document."""

    names: list[str]
    document: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Model":
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls([v["name"] for v in document["variables"]], document)

    @property
    def where(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def affine(self, function: Mapping[str, Any]) -> tuple[list[tuple[int, float]], float]:
        where = self.where
        if function["type"] == "Variable":
            return [(where[function["name"]], 1.0)], 0.0
        return [(where[t["variable"]], t["coefficient"]) for t in function["terms"]], function["constant"]

    def cost(self) -> tuple[npt.NDArray[np.float64], float]:
        terms, constant = self.affine(self.document["objective"]["function"])
        cost = np.zeros(len(self.names))
        for i, a in terms:
            cost[i] += a
        return cost, constant

    def coefficient(self, row: str, variable: str) -> float:
        """Of a named constraint."""
        for one in self.document["constraints"]:
            if one.get("name") == row:
                return sum(t["coefficient"] for t in one["function"]["terms"] if t["variable"] == variable)
        raise KeyError(row)

    def demand(self, buses: int) -> npt.NDArray[np.float64]:
        """Active demand, read from the rows that hold a bus's deficit."""
        demand = np.full(buses, np.nan)
        for one in self.document["constraints"]:
            if one["function"]["type"] != "ScalarAffineFunction" or one["set"]["type"] != "EqualTo":
                continue
            for t in one["function"]["terms"]:
                if t["variable"].startswith("deficit["):
                    demand[int(t["variable"][8:-1]) - 1] = one["set"]["value"] / t["coefficient"]
        return demand


def limits(kind: Mapping[str, Any]) -> tuple[float, float]:
    """Of a scalar set."""
    name = kind["type"]
    if name == "EqualTo":
        return kind["value"], kind["value"]
    return kind.get("lower", -np.inf), kind.get("upper", np.inf)


def _fixed(model: Model, one: Mapping[str, Any], fixed: Mapping[str, float]) -> tuple[float, float]:
    low, high = limits(one["set"])
    if one["function"]["type"] == "Variable" and one["set"]["type"] == "EqualTo":
        low = high = fixed.get(one["function"]["name"], low)
    return low, high


def solve_conic(model: Model, fixed: Mapping[str, float]) -> float:
    """Optimal value by HiGHS where there are no cones, else by Clarabel; `fixed` replaces what variables equal."""
    rows: list[tuple[list[tuple[int, float]], float, float]] = []
    cones: list[tuple[str, list[tuple[list[tuple[int, float]], float]]]] = []
    where = model.where
    for one in model.document["constraints"]:
        function = one["function"]
        if function["type"] in ("Variable", "ScalarAffineFunction"):
            terms, constant = model.affine(function)
            low, high = _fixed(model, one, fixed)
            rows.append((terms, low - constant, high - constant))
        elif function["type"] == "VectorAffineFunction":
            lines: list[tuple[list[tuple[int, float]], float]] = [([], c) for c in function["constants"]]
            for t in function["terms"]:
                scalar = t["scalar_term"]
                lines[t["output_index"] - 1][0].append((where[scalar["variable"]], scalar["coefficient"]))
            cones.append((one["set"]["type"], lines))
        else:
            raise NotImplementedError(function["type"])
    cost, offset = model.cost()

    def matrix(lines: list[list[tuple[int, float]]]) -> csr_array:
        entries = [(i, j, a) for i, line in enumerate(lines) for j, a in line]
        i, j, a = (np.array(part) for part in zip(*entries, strict=True))
        return csr_array((a.astype(float), (i, j)), shape=(len(lines), len(cost)))

    body = matrix([terms for terms, _, _ in rows])
    low, high = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    if not cones:
        from scipy.optimize import LinearConstraint, milp

        found = milp(cost, constraints=LinearConstraint(body, low, high), bounds=(-np.inf, np.inf))
        assert found.status == 0, found.message
        return float(found.fun) + offset

    import clarabel

    equal = low == high
    up, down = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
    blocks = [body[equal], body[up], -body[down]]
    right = [high[equal], high[up], -low[down]]
    kinds: list[Any] = [clarabel.ZeroConeT(int(equal.sum())), clarabel.NonnegativeConeT(int(up.sum() + down.sum()))]
    turn = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2.0)  # rotated cone: 2 t u >= |x|^2
    for kind, lines in cones:
        change = np.eye(len(lines))
        if kind == "RotatedSecondOrderCone":
            change[:2, :2] = turn
        blocks.append(csr_array(-change @ matrix([terms for terms, _ in lines]).toarray()))
        right.append(change @ np.array([c for _, c in lines]))
        kinds.append(clarabel.SecondOrderConeT(len(lines)))
    from scipy.sparse import vstack

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_rel = settings.tol_feas = 1e-9
    b = np.concatenate(right)
    empty = csc_array((len(cost), len(cost)))
    answer = clarabel.DefaultSolver(empty, cost, csc_array(vstack(blocks)), b, kinds, settings).solve()
    assert str(answer.status) == "Solved"
    return float(answer.obj_val) + offset


def solve_smooth(model: Model, fixed: Mapping[str, float]) -> float:
    """Optimal value by Ipopt from a flat start; `fixed` replaces what variables equal."""
    import casadi

    x = casadi.SX.sym("x", len(model.names))
    by_name = {name: x[i] for i, name in enumerate(model.names)}
    low, high = np.full(len(model.names), -np.inf), np.full(len(model.names), np.inf)
    rows: list[tuple[Any, float, float]] = []
    where = model.where
    for one in model.document["constraints"]:
        function = one["function"]
        least, most = _fixed(model, one, fixed)
        if function["type"] == "Variable":
            i = where[function["name"]]
            low[i], high[i] = max(low[i], least), min(high[i], most)
        elif function["type"] == "ScalarAffineFunction":
            terms, constant = model.affine(function)
            rows.append((sum(a * x[i] for i, a in terms) + constant, least, most))
        elif function["type"] == "ScalarQuadraticFunction":
            body = function["constant"] + sum(
                t["coefficient"] * by_name[t["variable"]] for t in function["affine_terms"]
            )
            for t in function["quadratic_terms"]:  # a coefficient of x^2 is doubled in this format
                product = t["coefficient"] * by_name[t["variable_1"]] * by_name[t["variable_2"]]
                body += product / 2.0 if t["variable_1"] == t["variable_2"] else product
            rows.append((body, least, most))
        else:
            rows.append((_expression(function, by_name), least, most))
    cost, offset = model.cost()
    problem = {"x": x, "f": casadi.dot(casadi.DM(cost), x) + offset, "g": casadi.vertcat(*[r[0] for r in rows])}
    quiet = {"ipopt": {"print_level": 0, "sb": "yes", "tol": 1e-9, "bound_relax_factor": 1e-10}, "print_time": False}
    solver = casadi.nlpsol("exported", "ipopt", problem, quiet)
    start = np.where(np.char.find(np.array(model.names), "vm[") >= 0, 1.0, 0.0)
    found = solver(x0=start, lbx=low, ubx=high, lbg=[r[1] for r in rows], ubg=[r[2] for r in rows])
    assert solver.stats()["success"], solver.stats()["return_status"]
    return float(found["f"])


def _expression(function: Mapping[str, Any], by_name: Mapping[str, Any]) -> Any:
    import casadi

    made: list[Any] = []

    def value(one: Any) -> Any:
        if isinstance(one, dict):
            return made[one["index"] - 1]
        return by_name[one] if isinstance(one, str) else float(one)

    for node in function["node_list"]:  # a node refers to earlier ones only
        given = [value(one) for one in node["args"]]
        match node["type"]:
            case "+":
                made.append(sum(given[1:], given[0]))
            case "*":
                product = given[0]
                for factor in given[1:]:
                    product = product * factor
                made.append(product)
            case "-":
                made.append(-given[0] if len(given) == 1 else given[0] - given[1])
            case "cos":
                made.append(casadi.cos(given[0]))
            case "sin":
                made.append(casadi.sin(given[0]))
            case other:
                raise NotImplementedError(other)
    return value(function["root"])
