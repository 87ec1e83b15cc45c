"""Networks of a decision rule, and the loop over the stages with its gradient. Torch is loaded with this module.

The rule names the state to leave behind: ``target = reach(x, w, share)`` with a share in [0, 1] for each entry. The
states of a path are then data, the loop needs no solver, and the gradient of any function of the states is one adjoint
pass from the last stage to the first, through the network *and* through the ends of what is within reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

__all__ = ["RuleNet", "RuleShape", "Unroll"]

FloatArray = npt.NDArray[np.float64]
Reach = Callable[[Tensor, Tensor, Tensor], Tensor]
Base = Callable[[int, Tensor, Tensor], Tensor]
STRETCH = 0.03  # a sigmoid stretched by this much at both ends reaches 0 and 1 (DecisionRules.jl)


@dataclass(frozen=True, kw_only=True)
class RuleShape:
    """What a rule network looks like.

    Parameters
    ----------
    state, noise : int
        n and W.
    horizon : int
        T.
    period : int or None
        Stages of a season: its sine and cosine are inputs.
    network : {"lstm", "linear"}
        A recurrent encoder of the noise and a perceptron, or a linear rule in the present noise, the state and the
        time (TS-LDR).
    encoder : int
        Width of the LSTM.
    layers : int
        Of the LSTM.
    hidden : tuple of int
        Layers of the head.
    margin : float
        The largest share is 1 - margin, so that targets stay within reach in the last digit.
    start : float
        Share before training.
    correction : float or None
        Largest change to the share of a base policy; None without a base.
    """

    state: int
    noise: int
    horizon: int
    period: int | None
    network: Literal["lstm", "linear"] = "lstm"
    encoder: int = 64
    layers: int = 1
    hidden: tuple[int, ...] = (128, 128)
    margin: float = 1e-3
    start: float = 0.8
    correction: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RuleShape:
        """Inverse of `to_dict`."""
        return cls(**{**data, "hidden": tuple(data["hidden"])})


class RuleNet(nn.Module):
    """Shares from the noise seen so far, the state and the date.

    The first layer of the head is linear in [encoding; noise; season; t/T; state]. All but the state is known for the
    whole path beforehand, so it is multiplied once for all stages (`before`); the rest is `finish`.
    """

    noise_center: Tensor
    noise_scale: Tensor
    low: Tensor
    width: Tensor

    def __init__(self, shape: RuleShape) -> None:
        super().__init__()
        self.shape = shape
        linear = shape.network == "linear"
        self.lstm = None if linear else nn.LSTM(shape.noise, shape.encoder, shape.layers)
        seasons = 2 if shape.period else 0
        known = shape.noise + 1 + seasons + (0 if linear else shape.encoder)
        sizes = [*(() if linear else shape.hidden), shape.state]
        self.first = nn.Linear(known, sizes[0])
        self.by_state = nn.Linear(shape.state, sizes[0], bias=False)
        self.rest = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        for name, value in (("noise_center", 0.0), ("noise_scale", 1.0)):
            self.register_buffer(name, torch.full((shape.noise,), value, dtype=torch.float64))
        for name, value in (("low", 0.0), ("width", 1.0)):
            self.register_buffer(name, torch.full((shape.state,), value, dtype=torch.float64))
        with torch.no_grad():
            for layer in (self.first, self.by_state, *self.rest):
                nn.init.orthogonal_(layer.weight, 1.0)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            last: Any = self.rest[-1] if len(self.rest) else self.first
            for layer in (last, *((self.by_state,) if not len(self.rest) else ())):
                layer.weight.mul_(0.0 if shape.correction is not None else 0.05)
            if shape.correction is None:
                inner = STRETCH + (1.0 - 2.0 * STRETCH) * min(max(shape.start, 0.01), 0.99)
                last.bias.fill_(float(np.log(inner / (1.0 - inner))))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.first.weight.dtype

    def dates(self, start: int, count: int) -> Tensor:
        """Inputs (count, 1 or 3) of the stages from `start` on: t / T, then sine and cosine of the season."""
        t = torch.arange(start, start + count, dtype=torch.float64, device=self.low.device)
        parts = [2.0 * t / self.shape.horizon - 1.0]
        if self.shape.period:
            angle = 2.0 * np.pi * t / self.shape.period
            parts += [torch.sin(angle), torch.cos(angle)]
        return torch.stack(parts, dim=1).to(self.dtype)

    def before(
        self, noise: Tensor, start: int = 0, memory: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """What the first layer knows without the state (T, B, H), for noise (T, B, W); and the memory afterwards."""
        seen = ((noise - self.noise_center) / self.noise_scale).to(self.dtype)
        dates = self.dates(start, len(noise))[:, None].expand(-1, noise.shape[1], -1)
        parts = [seen, dates]
        if self.lstm is not None:
            encoded, memory = self.lstm(seen, memory)
            parts.append(encoded)
        return self.first(torch.cat(parts, dim=2)), memory

    def scaled(self, state: Tensor) -> Tensor:
        """States (..., n) from -1 to 1, in the dtype of the weights."""
        return ((state - self.low) / self.width * 2.0 - 1.0).to(self.dtype)

    def finish(self, before: Tensor, state: Tensor, base: Tensor | None = None) -> Tensor:
        """Shares (B, n) float64; plain and differentiable, the same rule as `Unroll`."""
        a = before + self.by_state(self.scaled(state))
        for layer in self.rest:
            a = layer(torch.tanh(a))
        return self.squash(a, base)

    def squash(self, z: Tensor, base: Tensor | None) -> Tensor:
        """Shares (B, n) float64 of outputs (B, n): a stretched sigmoid, or a correction of the base's shares."""
        if base is not None:
            return (base + (self.shape.correction or 0.0) * torch.tanh(z.double())).clamp(0.0, 1.0)
        stretched = (torch.sigmoid(z.double()) - STRETCH) / (1.0 - 2.0 * STRETCH)
        return stretched.clamp(0.0, 1.0 - self.shape.margin)

    def slope(self, z: Tensor, share: Tensor, base: Tensor | None) -> Tensor:
        """Derivative of `squash` (..., n), 0 where the share was cut off."""
        if base is not None:
            c = self.shape.correction or 0.0
            bent = torch.tanh(z.double())
            inside = (base + c * bent - share).abs() < 1e-12
            return c * (1.0 - bent * bent) * inside
        bent = torch.sigmoid(z.double())
        inside = ((bent - STRETCH) / (1.0 - 2.0 * STRETCH) - share).abs() < 1e-12
        return bent * (1.0 - bent) / (1.0 - 2.0 * STRETCH) * inside

    def unroll(self, noise: Tensor, start: Tensor, reach: Reach, base: Base | None = None) -> Tensor:
        """States (T, B, n) after each stage on paths `noise` (T, B, W) from `start` (B, n); float64."""
        before, _ = self.before(noise)
        weights = [w for layer in self.rest for w in (layer.weight, layer.bias)]
        states: Tensor = Unroll.apply(self, reach, base, noise, start, before, self.by_state.weight, *weights)
        return states


class Unroll(torch.autograd.Function):
    """The loop over the stages with a hand-written adjoint: a graph of some 10,000 nodes less than autograd's.

    With ``x' = reach(x, w, y)``, ``y = squash(z)`` and adjoint ``l`` of ``x'`` the recursion is ``dz = squash'(z) * (l
    @ dreach/dy)`` and ``l_before = l @ dreach/dx + dz @ dz/dx``, where both derivatives of `reach` come from autograd
    for all stages at once. A base policy's share is taken as data: no gradient flows through it.
    """

    @staticmethod
    def forward(
        ctx: Any, net: RuleNet, reach: Reach, base: Base | None, noise: Tensor, start: Tensor, before: Tensor,
        by_state: Tensor, *weights: Tensor,
    ) -> Tensor:  # fmt: skip
        count, rows, n = len(noise), len(start), start.shape[1]
        states = torch.empty(count + 1, rows, n, dtype=torch.float64, device=start.device)
        shares, bases = torch.empty_like(states[1:]), None if base is None else torch.empty_like(states[1:])
        layers = [(weights[i].t(), weights[i + 1]) for i in range(0, len(weights), 2)]
        inputs = torch.empty(count, rows, n, dtype=before.dtype, device=start.device)
        raw = torch.empty_like(inputs)
        hidden = [torch.empty(count, rows, w.shape[0], dtype=before.dtype, device=start.device) for w, _ in layers]
        state, head = start, by_state.t()
        states[0] = start
        scale, shift = 2.0 / net.width, -2.0 * net.low / net.width - 1.0
        for t in range(count):
            seen = (state * scale + shift).to(before.dtype)
            inputs[t] = seen
            a = torch.addmm(before[t], seen, head)
            for kept, (weight, bias) in zip(hidden, layers, strict=True):
                a = torch.addmm(bias, torch.tanh(a, out=kept[t]), weight)
            raw[t], own = a, None
            if base is not None and bases is not None:
                bases[t] = own = base(t, state, noise[t])
            shares[t] = share = net.squash(a, own)
            states[t + 1] = state = reach(state, noise[t], share)
        ctx.net, ctx.reach, ctx.count = net, reach, len(layers)
        slopes = net.slope(raw, shares, bases)
        ctx.save_for_backward(noise, states, shares, slopes, inputs, by_state, *hidden, *weights)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        noise, states, shares, slopes, inputs, by_state, *others = ctx.saved_tensors
        hidden, weights = others[: ctx.count], others[ctx.count :]
        matrices = weights[::2]
        by_x, by_y = _jacobians(ctx.reach, states[:-1], noise, shares)
        scale = 2.0 / ctx.net.width
        bend = [1.0 - h * h for h in hidden]
        deltas = [torch.empty_like(h) for h in hidden]
        outputs = torch.empty(*shares.shape, dtype=inputs.dtype, device=shares.device)
        adjoint = torch.zeros_like(outer[0])
        for t in range(len(noise) - 1, -1, -1):
            total = (adjoint + outer[t])[:, None]
            d = ((total @ by_y[t])[:, 0] * slopes[t]).to(inputs.dtype)
            outputs[t] = d
            for k in range(ctx.count - 1, -1, -1):
                d = torch.mul(d @ matrices[k], bend[k][t], out=deltas[k][t])
            adjoint = (total @ by_x[t])[:, 0] + (d @ by_state).double() * scale
        ends = [*deltas[1:], outputs]
        grads: list[Tensor | None] = []
        for h, end in zip(hidden, ends if ctx.count else [], strict=True):
            flat = end.reshape(-1, end.shape[2])
            grads += [flat.t() @ h.reshape(-1, h.shape[2]), flat.sum(0)]
        top = deltas[0] if ctx.count else outputs
        d_state = top.reshape(-1, top.shape[2]).t() @ inputs.reshape(-1, inputs.shape[2])
        return (None, None, None, None, adjoint, top, d_state, *grads)


def _jacobians(reach: Reach, state: Tensor, noise: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives (T, B, n, n) of the targets (rows) in the state and in the share (columns)."""
    shape = state.shape
    x, y = (part.reshape(-1, shape[2]).detach().requires_grad_() for part in (state, share))
    with torch.enable_grad():
        out = reach(x, noise.reshape(-1, noise.shape[2]), y)
        rows = [
            torch.autograd.grad(out[:, i].sum(), (x, y), retain_graph=True, allow_unused=True) for i in range(shape[2])
        ]
    both = []
    for k in range(2):
        parts = [row[k] if row[k] is not None else torch.zeros_like(x) for row in rows]
        both.append(torch.stack(parts, dim=1).reshape(*shape, shape[2]))
    return both[0], both[1]
