"""Where users are in each slot: the field's random mobility laws. All return positions (T, K, 2) in metres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LAWS", "gauss_markov", "hotspots", "static", "waypoint"]

FloatArray = npt.NDArray[np.float64]
Area = tuple[float, float]


def static(rng: np.random.Generator, slots: int, users: int, area: Area, *, slot: float) -> FloatArray:
    """Uniform positions that never change."""
    return np.broadcast_to(rng.uniform((0.0, 0.0), area, (users, 2)), (slots, users, 2)).copy()


def waypoint(
    rng: np.random.Generator,
    slots: int,
    users: int,
    area: Area,
    *,
    slot: float,
    speed: tuple[float, float] = (0.5, 2.5),
) -> FloatArray:
    """Random waypoint (Johnson & Maltz 1996), without pauses.

    Parameters
    ----------
    speed : (float, float)
        Range of the uniform speed of a leg, m/s; positive, or users come to rest for ever.
    """
    place, goal = (rng.uniform((0.0, 0.0), area, (users, 2)) for _ in range(2))
    pace = rng.uniform(*speed, users)
    path = [place.copy()]
    for _ in range(slots - 1):
        left = pace * slot
        for k in range(users):
            gap = float(np.hypot(*(goal[k] - place[k])))
            while left[k] >= gap:  # the leg ends within the slot: go on towards a new goal
                left[k] = (left[k] - gap) / pace[k]
                place[k], goal[k] = goal[k], rng.uniform((0.0, 0.0), area)
                pace[k] = rng.uniform(*speed)
                left[k] *= pace[k]
                gap = float(np.hypot(*(goal[k] - place[k])))
            place[k] = place[k] + (goal[k] - place[k]) * left[k] / gap
        path.append(place.copy())
    return np.array(path)


def gauss_markov(
    rng: np.random.Generator,
    slots: int,
    users: int,
    area: Area,
    *,
    slot: float,
    memory: float = 0.8,
    speed: float = 1.5,
    spread: float = 0.7,
) -> FloatArray:
    """Gauss-Markov velocities (Liang & Haas 2003), reflected at the border.

    Parameters
    ----------
    memory : float
        Share of the velocity kept from slot to slot, 0 to 1.
    speed, spread : float
        Mean speed along a user's own heading, and standard deviation of each component, m/s.
    """
    place = rng.uniform((0.0, 0.0), area, (users, 2))
    heading = rng.uniform(0.0, 2.0 * np.pi, users)
    mean = speed * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    velocity = mean + spread * rng.standard_normal((users, 2))
    path = [place.copy()]
    for _ in range(slots - 1):
        place, turned = _reflect(place + slot * velocity, area)
        velocity, mean = np.where(turned, -velocity, velocity), np.where(turned, -mean, mean)
        shock = spread * np.sqrt(1.0 - memory**2) * rng.standard_normal((users, 2))
        velocity = memory * velocity + (1.0 - memory) * mean + shock
        path.append(place.copy())
    return np.array(path)


def hotspots(
    rng: np.random.Generator,
    slots: int,
    users: int,
    area: Area,
    *,
    slot: float,
    spots: int = 3,
    share: float = 0.8,
    spread: float = 120.0,
    speed: float = 2.5,
) -> FloatArray:
    """Crowds that move: a share of the users in Gaussian clouds round moving centres, the others scattered and still.

    Parameters
    ----------
    spots : int
        Number of centres; each goes straight on and is reflected at the border.
    share : float
        Part of the users in a crowd.
    spread : float
        Standard deviation of a crowd, m.
    speed : float
        Of the centres, m/s.
    """
    crowd = round(share * users)
    place = rng.uniform((0.0, 0.0), area, (users, 2))
    centre = rng.uniform((0.0, 0.0), area, (spots, 2))
    heading = rng.uniform(0.0, 2.0 * np.pi, spots)
    velocity = speed * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    home = rng.integers(spots, size=crowd)
    offset = spread * rng.standard_normal((crowd, 2))
    path = []
    for _ in range(slots):
        place[:crowd] = np.clip(centre[home] + offset, 0.0, area)
        path.append(place.copy())
        centre, turned = _reflect(centre + slot * velocity, area)
        velocity = np.where(turned, -velocity, velocity)
    return np.array(path)


def _reflect(place: FloatArray, area: Area) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Fold positions back into the area; which coordinates were turned round."""
    size = np.array(area)
    folded = np.mod(place, 2.0 * size)
    turned = folded > size
    return np.where(turned, 2.0 * size - folded, folded), turned


LAWS = {"static": static, "waypoint": waypoint, "gauss-markov": gauss_markov, "hotspots": hotspots}
