"""`UavOffloading`: UAVs that carry cells of a network over a grid, and the doors to its two faces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ...core.problem import Problem
from ...core.types import Evaluation, Objective
from .channel import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.agents import AgentGraph, IndexedKernel
    from ...core.policy import Policy
    from ...core.program import Program
    from ...core.rollout import Trajectory
    from .agents import FlightRelaxation
    from .env import UavEnv, UavVectorEnv
    from .flight import Flight
    from .generator import UavGenerator
    from .kernel import UavKernel
    from .parallel import UavParallelEnv
    from .radio import Radio

__all__ = ["KnownUsers", "UavOffloading", "UavState"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class KnownUsers:
    """The scenario: empty, since the users' ways are known."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class UavState:
    """UAVs on their way.

    Parameters
    ----------
    cells : (t, U) int
        Cell of each UAV in the slots that have begun, the present one last.
    """

    cells: IntArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"cells": self.cells.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(np.array(data["cells"], np.int64))


class UavOffloading(Problem):
    """UAVs as flying access points: fly so that over all slots as many users as possible are served by a UAV.

    Mondal, Mishra, Prasad, Alexandropoulos, Al-nahari & Jantti (2025), IEEE Transactions on Aerospace and Electronic
    Systems 61(4):9344-9358, is the problem class: association with UAVs is maximised over trajectories and association
    under quality of service. Its own parameters are not public; the defaults are standard values of the field.

    The objective counts user-slots served over T slots; in the first slot the UAVs stand on their starts. Cells are
    numbered ``y * width + x`` from the south-west corner; a UAV hovers over the middle of its cell.

    Parameters
    ----------
    users : (T, K, 2) float
        Position of each user in each slot, m; all inside the area.
    grid : int or (int, int)
        Cells in x and y.
    starts : (U, 2) int
        Cell (x, y) of each UAV in the first slot.
    ends : (U, 2) int, optional
        Cell of each UAV in the last slot.
    cell : float
        Side of a cell, m.
    slot : float
        Length of a slot, s.
    speed : float
        Top speed, m/s: a slot takes a UAV to every cell within ``speed * slot`` metres.
    altitude : float
        Height of the UAVs, m.
    channel : Channel
        Radio and quality of service.
    interference : bool
        Whether UAVs (and base stations) disturb each other's users: SINR instead of SNR.
    capacity : int, optional
        Sub-channels of a UAV, so the most users it serves at a time.
    no_fly : sequence of (int, int)
        Cells that no UAV may enter.
    safe_distance : float
        Two UAVs never share a cell, nor do their centres come closer than this, m; looked at in each slot.
    stations : (N, 2) float
        Places of base stations, m; with interference they are heard by every user.
    station_power : float
        Transmit power of a base station on a sub-channel, dBm.
    name : str
        For tables and plots.
    user_names, uav_names : sequence of str, optional
        The user's own names.
    state : UavState, optional
        Start from here; use `at`.

    Raises
    ------
    DataError
        Naming the user, the UAV or the option, and the value.
    """

    family: ClassVar[str] = "uav"
    not_modelled: ClassVar[tuple[str, ...]] = (
        "UAVs of unlike power, height or speed",
        "random fading, random users (their ways are known)",
        "a bandwidth shared by the users of a UAV (each has its sub-channel)",
        "power control and handover cost",
        "backhaul of the UAVs",
        "batteries that run empty (energy is reported)",
        "conflicts between two slots, on the way from cell to cell",
    )

    users: FloatArray
    width: int
    height: int
    starts: IntArray
    ends: IntArray | None
    cell: float
    slot: float
    speed: float
    altitude: float
    channel: Channel
    interference: bool
    capacity: int | None
    no_fly: tuple[tuple[int, int], ...]
    safe_distance: float
    stations: FloatArray
    station_power: float
    user_names: tuple[str, ...]
    uav_names: tuple[str, ...]
    state: UavState | None

    def __init__(
        self,
        *,
        users: Any,
        grid: int | tuple[int, int],
        starts: Any,
        ends: Any = None,
        cell: float = 100.0,
        slot: float = 10.0,
        speed: float = 10.0,
        altitude: float = 100.0,
        channel: Channel | None = None,
        interference: bool = True,
        capacity: int | None = None,
        no_fly: Sequence[tuple[int, int]] = (),
        safe_distance: float = 0.0,
        stations: Any = (),
        station_power: float = 30.0,
        name: str = "uav",
        user_names: Sequence[str] | None = None,
        uav_names: Sequence[str] | None = None,
        state: UavState | None = None,
    ) -> None:
        from . import validate as check

        set_ = self.__dict__.__setitem__
        set_("name", name)
        for key, value in (("cell", cell), ("slot", slot), ("altitude", altitude)):
            set_(key, check.positive(key, value))
        set_("speed", check.not_negative("speed", speed))
        set_("safe_distance", check.not_negative("safe_distance", safe_distance))
        width, height = check.grid(grid)
        set_("width", width)
        set_("height", height)
        set_("users", check.users(users, (width * self.cell, height * self.cell), user_names))
        set_("uav_names", check.names("uav_names", uav_names, "UAV", len(starts)))
        set_("user_names", check.names("user_names", user_names, "user", self.users.shape[1]))
        set_("no_fly", check.no_fly(no_fly, width, height))
        set_("starts", check.cells("start", starts, width, height, self.uav_names, self.no_fly))
        given = None if ends is None else check.cells("end", ends, width, height, self.uav_names, self.no_fly)
        set_("ends", given)
        set_("channel", channel or Channel())
        set_("interference", bool(interference))
        set_("capacity", check.capacity(capacity, len(self.starts)))
        set_("stations", check.stations(stations))
        set_("station_power", float(station_power))
        set_("state", state)
        stage = 0 if state is None else len(state.cells) - 1
        set_("objective", Objective("max", "user_slots", "users x slots", horizon=len(self.users) - 1, stage=stage))
        check.formation(self)

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"UavOffloading is immutable: make a new one with .replace({key}=...)")

    # ---- shape -------------------------------------------------------------------------------------------------
    @property
    def n_slots(self) -> int:
        """Number of slots T."""
        return len(self.users)

    @property
    def n_users(self) -> int:
        """Number of users K."""
        return self.users.shape[1]

    @property
    def n_uavs(self) -> int:
        """Number of UAVs U."""
        return len(self.starts)

    @property
    def n_cells(self) -> int:
        """Number of cells G."""
        return self.width * self.height

    @cached_property
    def centres(self) -> FloatArray:
        """Middle of each cell (G, 2), m."""
        y, x = np.divmod(np.arange(self.n_cells), self.width)
        return (np.stack([x, y], axis=1) + 0.5) * self.cell

    @cached_property
    def offsets(self) -> IntArray:
        """Moves (M, 2) in cells that the top speed allows: staying first, then by distance, then by angle."""
        reach = self.speed * self.slot / self.cell * (1.0 + 1e-9)
        span = int(reach)
        steps = [(x, y) for x in range(-span, span + 1) for y in range(-span, span + 1) if np.hypot(x, y) <= reach]
        steps.sort(key=lambda s: (s[0] ** 2 + s[1] ** 2, np.arctan2(s[1], s[0]) % (2 * np.pi)))
        return np.array(steps, np.int64)

    @cached_property
    def targets(self) -> IntArray:
        """Cell (G, M) that each move leads to, -1 where it is outside or closed."""
        y, x = np.divmod(np.arange(self.n_cells), self.width)
        new_x, new_y = x[:, None] + self.offsets[:, 0], y[:, None] + self.offsets[:, 1]
        inside = (new_x >= 0) & (new_x < self.width) & (new_y >= 0) & (new_y < self.height)
        target = np.where(inside, new_y * self.width + new_x, -1)
        closed = np.zeros(self.n_cells + 1, np.bool_)
        closed[[y * self.width + x for x, y in self.no_fly]] = True
        target[closed[target] | closed[:-1, None]] = -1
        return target

    @cached_property
    def too_close(self) -> npt.NDArray[np.bool_]:
        """Pairs of cells (G, G) on which two UAVs may not be in one slot; the diagonal always."""
        gap = np.linalg.norm(self.centres[:, None] - self.centres[None], axis=2)
        return np.asarray((gap < self.safe_distance * (1.0 - 1e-9)) | np.eye(self.n_cells, dtype=bool))

    @cached_property
    def radio(self) -> Radio:
        """Tables of received power; the first use computes them."""
        from .radio import Radio

        return Radio(self)

    def number(self, cells: Any) -> IntArray:
        """Cell numbers of (..., 2) coordinates."""
        pair = np.asarray(cells, np.int64)
        return np.asarray(pair[..., 1] * self.width + pair[..., 0])

    @property
    def position(self) -> IntArray:
        """Cells (t, U) of the slots that have begun; the first is the start."""
        return self.number(self.starts)[None] if self.state is None else self.state.cells

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Everything but the names."""
        plain = ("cell", "slot", "speed", "altitude", "interference", "capacity", "safe_distance", "station_power")
        return {
            "users": self.users.tolist(),
            "grid": [self.width, self.height],
            "starts": self.starts.tolist(),
            "ends": None if self.ends is None else self.ends.tolist(),
            "channel": self.channel.to_dict(),
            "no_fly": [list(c) for c in self.no_fly],
            "stations": self.stations.tolist(),
            "state": None if self.state is None else self.state.to_dict(),
            **{key: getattr(self, key) for key in plain},
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, names included."""
        names = {"name": self.name, "user_names": list(self.user_names), "uav_names": list(self.uav_names)}
        return {**self.content(), **names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        fields = {**data, "grid": tuple(data["grid"]), "channel": Channel.from_dict(data["channel"])}
        fields["state"] = None if data.get("state") is None else UavState.from_dict(data["state"])
        return cls(**fields)

    def replace(self, **changes: Any) -> Self:
        """A copy with some constructor arguments changed."""
        own = {**self.to_dict(), "grid": (self.width, self.height), "channel": self.channel, "state": self.state}
        return type(self)(**{**own, **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_dict, (self.to_dict(),))

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height} {self.n_uavs} UAVs {self.n_users} users {self.n_slots} slots"
        return f"<UavOffloading {self.name} {size} {self.variant} {self.content_hash[:8]}>"

    @property
    def variant(self) -> str:
        """SINR or SNR, and C=... where sub-channels are limited."""
        return ("SINR" if self.interference else "SNR") + ("" if self.capacity is None else f" C={self.capacity}")

    def describe(self) -> dict[str, Any]:
        """What ``orrl info`` prints."""
        size = {"cells": self.n_cells, "UAVs": self.n_uavs, "users": self.n_users, "slots": self.n_slots}
        return {**super().describe(), "variant": self.variant, **size, "moves": len(self.offsets)}

    # ---- ways in -----------------------------------------------------------------------------------------------
    @classmethod
    def generate(cls, *, seed: int, **size: Any) -> Self:
        """One random network; see `orrl.problems.uav.generator.generate`."""
        from .generator import generate

        return generate(cls, seed=seed, **size)

    @classmethod
    def generator(cls, **ranges: Any) -> UavGenerator:
        """A distribution of networks with ``.sample(n, seed, split)``."""
        from .generator import UavGenerator

        return UavGenerator(**ranges)

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stochastic(self) -> bool:
        """False: the users' ways are known."""
        return False

    def scenario(self, seed: int) -> KnownUsers:
        """There is one scenario."""
        return KnownUsers()

    def nominal(self) -> KnownUsers:
        """There is one scenario."""
        return KnownUsers()

    # ---- the two faces and their bridges ------------------------------------------------------------------------
    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        """The referee's verdict on a `Flight`."""
        from .referee import evaluate

        return evaluate(self, solution)

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Formulations per backend, the default first."""
        from .programs import forms

        return forms(self)

    def program(self, *, backend: str, form: str | None = None, scenario: Any = None, **options: Any) -> Program:
        """Build a model; see `orrl.problems.uav.programs`."""
        from .programs import program

        return program(self, backend=backend, form=form, **options)

    @classmethod
    def kernel(cls, problems: Sequence[UavOffloading], **options: Any) -> UavKernel:
        """The simulator over a batch of networks of mixed size."""
        from .kernel import UavKernel

        return UavKernel(problems, **options)

    def env(self, **options: Any) -> UavEnv:
        """A central Gymnasium view of the kernel: one agent moves all UAVs."""
        from .env import UavEnv

        return UavEnv(self, **options)

    @classmethod
    def vector_env(cls, problems: Sequence[UavOffloading], scenarios: Any = None, **options: Any) -> UavVectorEnv:
        """A ``gymnasium.vector.VectorEnv``, one row a problem."""
        from .env import UavVectorEnv

        return UavVectorEnv(problems, scenarios, **options)

    def parallel_env(self, **options: Any) -> UavParallelEnv:
        """A ``pettingzoo.ParallelEnv``: each UAV is an agent."""
        from .parallel import UavParallelEnv

        return UavParallelEnv(self, **options)

    def indexed_kernel(self, **options: Any) -> IndexedKernel:
        """Transitions over table rows; see `orrl.problems.uav.indexed`."""
        from .indexed import indexed_kernel

        return indexed_kernel(self, **options)

    def at(self, state: UavState) -> Self:
        """The same network with the UAVs on their way."""
        return self.replace(state=state)

    @property
    def accrued(self) -> float:
        """User-slots of the slots before the present state's first decision; the first decision counts slot 1 too."""
        from .referee import accrued

        return accrued(self)

    def solution(self, trajectory: Trajectory) -> Flight:
        """Flight that an episode flew."""
        return self.from_paths(trajectory.final.cells)

    def actions(self, solution: Flight, scenario: Any = None) -> IntArray:
        """Moves (T - t, U) that fly a flight from the present slot on."""
        from .flight import moves

        return moves(self, solution)

    def rules(self) -> dict[str, Policy]:
        """Greedy flight, flying to the middle of crowds, and hovering."""
        from .rules import rules

        return rules()

    def name_action(self, action: Sequence[int]) -> str:
        """A joint move in words."""
        steps = self.offsets[np.asarray(action)]
        return ", ".join(f"{n} {x:+d},{y:+d}" for n, (x, y) in zip(self.uav_names, steps.tolist(), strict=True))

    # ---- agents on one grid --------------------------------------------------------------------------------------
    def agent_graph(self) -> AgentGraph:
        """Cells as nodes, from the present slot on."""
        from .agents import agent_graph

        return agent_graph(self)

    def joint_reward(
        self, slot: int, nodes: Sequence[IntArray] | None = None, losses: Sequence[FloatArray] | None = None
    ) -> npt.NDArray[np.int16]:
        """Users served in a slot (counted from the present one) for every joint position, -1 where too close."""
        from .agents import joint_reward

        return joint_reward(self, slot, nodes, losses)

    def response(self, paths: IntArray, free: Sequence[int]) -> npt.NDArray[np.int16]:
        """Users served with one or two UAVs free and the others on `paths`."""
        from .agents import response

        return response(self, paths, free)

    def relaxation(self) -> FlightRelaxation:
        """Users (and conflicts) priced, so that each UAV flies alone."""
        from .agents import FlightRelaxation

        return FlightRelaxation(self)

    def from_paths(self, paths: IntArray) -> Flight:
        """Flight along cells: (T, U) whole, or from the present slot on."""
        from .flight import fly

        return fly(self, paths)

    def to_paths(self, solution: Flight) -> IntArray:
        """Cells (T - t + 1, U) of a flight from the present slot on."""
        return np.array(solution.cells[len(self.position) - 1 :], np.int64)
