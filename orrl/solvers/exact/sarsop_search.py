"""The search behind `sarsop`: both bounds, the tree of beliefs, and the moves on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.types import relative_gap
from .alpha import AlphaSet
from .late_bound import LateBound
from .point_sweep import Mix, sweep
from .pomdp_bounds import blind_policies, fast_informed_bound, memoryless_policies, qmdp
from .sarsop_tree import Ahead, Bins, Node, Step, without_tail
from .sawtooth import Sawtooth

if TYPE_CHECKING:
    from .pomdp_model import PomdpArrays
    from .sarsop import Sarsop

__all__ = ["Search"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROW_WORK = 1e5
"""Multiplications of a sweep of the late bound that take about as long as one row of the sawtooth."""
LOWER_ROW = 0.2
"""Time of a row of the lower bound, in rows of the sawtooth."""
EXPLORE = 5
"""Each such trial takes the next factor in turn, the others the factor that has closed most gap for its work."""
KEPT_CELLS = 4_000_000
"""Numbers in the successors that are kept (32 MB): points are backed up many times, and small models spend half their
time on making the same successors again."""


class Search:
    """Both bounds, the tree, and the moves on them."""

    def __init__(self, model: PomdpArrays, options: Sarsop, *, over: Any = lambda: False) -> None:
        self.model, self.options, self.over = model, options, over
        states, actions, _ = model.shape
        self.lower = AlphaSet(blind_policies(model, over=over), np.arange(actions))
        self.fib = qmdp(model, over=over)
        self.fib = fast_informed_bound(model, self.fib, over=over)
        for vectors, taken, rule in memoryless_policies(model, self.fib, over=over):
            self.lower.add_plan(vectors, taken, [rule[model.law_of[a]] for a in taken])
        self.upper = Sawtooth(self.fib.max(axis=1))
        self.late: LateBound | None = None
        self.nodes: list[Node] = []
        self.trials = self.backups = 0
        self.cells = 0
        self.rates = np.zeros(len(options.trial_factors))  # log of the gap closed by a row of work
        self.rows = 0  # sawtooth rows asked for by trials: the clock of the work on the corners, equal on every machine
        self.corner_rows = 0
        self.late_rows = self.raise_rows = 0.0
        self.bins = Bins(self.upper.corner, states)
        self.root = self._node(model.initial, cut=False)
        self.low = self.lower.value(model.initial)
        self.high = self.root.upper
        self.stuck = False
        self._kept = max(32, 2 * len(self.lower))

    # ---- the bounds ---------------------------------------------------------------------------------------------
    def _node(self, belief: FloatArray, *, cut: bool = True) -> Node:
        if cut and self.options.tail > 0.0:
            belief = without_tail(belief, self.options.tail)
        q = belief @ self.fib
        upper = min(float(q.max()), self.upper.bound(belief))
        return Node(belief, q, upper, self.bins.of(upper, belief))

    def _ahead(self, node: Node, action: int) -> Ahead:
        kept = node.ahead.get(action)
        if kept is None:
            law = self.model.predict(node.belief, action)
            block, seen, rest = self.model.split(law, action)
            support = law.nonzero()[0]
            part = support if 3 * len(support) < len(law) else None
            gain = float(node.belief @ self.model.reward[:, action])
            kept = Ahead(action, block, seen, rest, block.sum(axis=1), part, gain)
            size = block.size + rest.size + 2 * len(seen) + len(support)
            if self.cells + size <= KEPT_CELLS:
                self.cells += size
                node.ahead[action] = kept
        return kept

    def _step(self, node: Node, action: int, *, tight: bool) -> Step:
        ahead = self._ahead(node, action)
        high, chosen, share = self.upper.query(ahead.block)
        if self.late is not None:
            late = self.late.ahead(node.belief, action)[ahead.seen]
            high, chosen = np.minimum(high, late), np.where(late < high, -1, chosen)
        if tight:
            node.mixes[action] = self._mix(ahead, high, chosen, share)
        self.rows += len(high)
        return Step(ahead, high, float(ahead.rest @ self.upper.corner))

    def _mix(self, ahead: Ahead, high: FloatArray, chosen: IntArray, share: FloatArray) -> Mix:
        """The bound of an action as a combination of points, for the sweeps."""
        hit, g = chosen >= 0, self.model.discount
        weight: FloatArray = np.bincount(chosen[hit], weights=share[hit], minlength=1).astype(np.float64)
        used = weight.nonzero()[0]
        part = float(high.sum() + ahead.rest @ self.upper.corner) - float(weight[used] @ self.upper.value[used])
        return Mix(ahead.gain + g * part, used, g * weight[used])

    def lower_q(self, ahead: Ahead, likely: int) -> tuple[float, FloatArray, IntArray]:
        """Lower bound of an action, of each observation's part (N,), and the best vector in use for it.

        The rest goes on with the vector of the observation `likely`.
        """
        block, vectors = ahead.block, self.lower.block
        if ahead.part is not None:
            block, vectors = block[:, ahead.part], vectors[:, ahead.part]
        worth = block @ vectors.T
        best = worth.argmax(axis=1)
        low = worth[np.arange(len(best)), best]
        default = self.lower.block[best[likely]]
        return ahead.gain + self.model.discount * float(low.sum() + ahead.rest @ default), low, best

    def lower_upper(self, node: Node, *, tight: bool = False) -> Step:
        """Back the upper bound up at a node; only actions that may still be best are looked at.

        `tight` keeps what the bound is made of for `sweep`.
        """
        q, fresh = node.q, {}
        while True:
            action = int(q.argmax())
            if action in fresh:
                break
            fresh[action] = step = self._step(node, action, tight=tight)
            bound = step.ahead.gain + self.model.discount * float(step.high.sum() + step.rest_high)
            q[action] = min(q[action], bound)
        node.upper = min(node.upper, float(q[action]))
        return fresh[action]

    def raise_lower(self, node: Node) -> int:
        """Add the best vector that one backup gives at a node, where it is better there; returns the rows looked at."""
        old = self.lower.value(node.belief)
        best, chosen, rows = old, None, 0
        for action in np.argsort(-node.q, kind="stable").tolist():
            if node.q[action] <= best:
                break
            ahead = self._ahead(node, action)
            rows += len(ahead.seen)
            value, _, plan = self.lower_q(ahead, int(ahead.mass.argmax()))
            if value > best:
                best, chosen = value, (ahead, plan)
        if chosen is None or best <= old + 1e-10 * max(1.0, abs(old)):
            return rows
        ahead, plan = chosen
        model, action = self.model, ahead.action
        law = model.laws[model.law_of[action]]
        choice = np.full(law.shape[1], plan[int(ahead.mass.argmax())])
        choice[ahead.seen] = plan
        after = np.einsum("so,os->s", law, self.lower.block[choice])
        vector = model.reward[:, action] + model.discount * model.back(after, action)
        if float(vector @ node.belief) > old:
            live = self.lower.live
            self.lower.add(vector, action, [live[c] for c in choice.tolist()])
        return rows

    def backup(self, node: Node) -> None:
        """Both bounds at a node."""
        self.lower_upper(node, tight=True)
        if node.number < 0:
            node.number = self.upper.add(node.belief, node.upper)
            self.nodes.append(node)
        else:
            self.upper.lower(node.number, node.upper)
        self.raise_lower(node)
        self.bins.learn(node.bin, node.number, self.lower.value(node.belief))
        self.backups += 1
        self.low = max(self.low, self.lower.value(self.model.initial))
        self.high = min(self.high, self.root.upper)

    # ---- the search ---------------------------------------------------------------------------------------------
    def trial(self, hear: Any = None) -> None:
        """Walk down from the root, back up on the way home, prune."""
        before = (self.low, self.high)
        arm = self._arm()
        work = self.rows + self.raise_rows
        path = self._sample(self.options.trial_factors[arm] * (self.high - self.low))
        for node in reversed(path):
            if self.over():
                break
            self.backup(node)
            if hear is not None and hear(self.backups):
                break
        self.trials += 1
        self.sweep()
        self.raise_points()
        cost = len(self.model.pairs) * self.model.shape[2]
        self._lower_late()
        if self.corner_rows + cost <= self.options.corner_share * self.rows and not self.over():
            self.lower_corners()
            self.corner_rows += cost
        if len(self.lower) > self._kept:
            beliefs = self.upper.points[: self.upper.count]
            self.lower.prune(beliefs, delta=self.options.delta * (self.high - self.low))
            self._kept = int(1.3 * len(self.lower)) + 32
        self._learn(arm, before[1] - before[0], self.rows + self.raise_rows - work)
        self.stuck = before == (self.low, self.high) and not path

    def _arm(self) -> int:
        """Number of the next trial's factor: the one that has closed most gap for its work; see `EXPLORE`."""
        count = len(self.rates)
        if self.trials < 2 * count or self.trials % EXPLORE == 0:
            return (self.trials if self.trials < 2 * count else self.trials // EXPLORE) % count
        return int(self.rates.argmax())

    def _learn(self, arm: int, gap: float, work: float) -> None:
        rate = np.log(gap / max(self.high - self.low, 1e-300)) / max(1.0, work) if gap > 0.0 else 0.0
        known = self.trials > len(self.rates)
        self.rates[arm] = 0.5 * (self.rates[arm] + rate) if known else rate

    def _sample(self, aim: float) -> list[Node]:
        gamma = self.model.discount
        node, width = self.root, aim
        low, high = self.low, self.low + aim
        path: list[Node] = []
        while not self.over():
            v_low = self.lower.value(node.belief)
            if node.upper - v_low <= width and path:
                break
            guess = self.bins.guess(node.bin, node.upper)
            if path and guess <= low and node.upper <= max(high, v_low + width):
                break
            step = self.lower_upper(node)
            path.append(node)
            ahead = step.ahead
            q_low, part_low, _ = self.lower_q(ahead, int(step.high.argmax()))
            mass = ahead.mass
            low, high = max(low, q_low), max(high, q_low + width)
            width /= gamma
            best = int((step.high - part_low - width * mass).argmax())
            gain = ahead.gain
            rest_low = (q_low - gain) / gamma - float(part_low.sum())
            low = ((low - gain) / gamma - rest_low - float(part_low.sum() - part_low[best])) / mass[best]
            high = ((high - gain) / gamma - step.rest_high - float(step.high.sum() - step.high[best])) / mass[best]
            key = (ahead.action, int(ahead.seen[best]))
            if key not in node.children:
                node.children[key] = self._node(ahead.block[best] / mass[best])
            node = node.children[key]
        return path

    def _lower_late(self) -> None:
        """Work on the bound of `late_bound`, in step with the trials: it pays where the noise is high."""
        if self.late is None:
            if self.options.late_share > 0.0 and LateBound.fits(self.model) and not self.over():
                self.late = LateBound(self.model, self.fib, self.lower.block)
            return
        cost = self.late.work / ROW_WORK
        while self.late.moving and self.late_rows + cost <= self.options.late_share * self.rows and not self.over():
            self.late.sweep(over=self.over)
            self.late_rows += cost

    def sweep(self) -> None:
        """Lower the upper bounds of all points together (see `point_sweep`)."""
        nodes = self.nodes
        if not nodes:
            return
        q_all = np.stack([node.q for node in nodes])
        mixed = [(i, action) for i, node in enumerate(nodes) for action in node.mixes]
        at, actions = np.array(mixed, dtype=np.int64).T
        others = q_all.copy()
        others[at, actions] = -np.inf
        value = self.upper.value[: self.upper.count]
        tolerance = 1e-5 * (self.high - self.low)
        value, q = sweep([n.mixes for n in nodes], others.max(axis=1), value, tolerance=tolerance)
        self.upper.lower_all(value)
        q_all[at, actions] = np.minimum(q_all[at, actions], q)
        for node, row, bound in zip(nodes, q_all, value.tolist(), strict=True):
            node.q = row
            node.upper = min(node.upper, bound)
        self.high = min(self.high, self.root.upper)

    def raise_points(self) -> None:
        """Rounds of lower backups at points in random order, each at one that no backup of its round has lifted."""
        count, rng = self.upper.count, np.random.default_rng(self.trials)
        points = self.upper.points[:count]
        lift = self.high - self.low
        while lift > 1e-3 * (self.high - self.low):
            before = (points @ self.lower.block.T).max(axis=1)
            left = np.ones(count, dtype=bool)
            for i in rng.permutation(count).tolist():
                if not left[i]:
                    continue
                if self.raise_rows >= self.options.raise_share * self.rows or self.over():
                    break
                known = len(self.lower.actions)
                self.raise_rows += LOWER_ROW * self.raise_lower(self.nodes[i])
                for vector in self.lower.vectors[known:]:
                    left &= points @ vector <= before
            else:
                lift = float(((points @ self.lower.block.T).max(axis=1) - before).max(initial=0.0))
                continue
            break
        self.low = max(self.low, self.lower.value(self.model.initial))

    def lower_corners(self) -> None:
        """Back the upper bound up where the state is known, once for each distinct row."""
        model, seen = self.model, self.model.shape[2]
        worth = np.empty(len(model.pairs))
        for part, block in model.joint_blocks():
            dense = block.toarray() if model.sparse else block
            worth[part] = self.upper.query(dense)[0].reshape(-1, seen).sum(axis=1)
        q = model.reward + model.discount * worth[model.pair_of].T
        self.fib = np.minimum(self.fib, q)
        self.upper.lower_corners(self.fib.max(axis=1))

    def line(self, seconds: float) -> str:
        """A line for the log, in rewards."""
        gap = relative_gap(self.low, self.high)
        return (
            f"sarsop {seconds:8.1f} s  trials {self.trials:6d}  backups {self.backups:7d}  "
            f"[{self.low:.6g}, {self.high:.6g}]  gap {100 * gap:.3f}%  alphas {len(self.lower)}  "
            f"points {self.upper.count}"
        )
