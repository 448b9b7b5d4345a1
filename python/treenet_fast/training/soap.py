"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., 2024, arXiv 2409.11321).

A convolution's gradient is a matrix `[out, in * k * k]`. SOAP keeps running means of `G Gᵀ` and `Gᵀ G`, and runs Adam
on the gradient as it looks from their eigenvectors, where its entries are nearly independent. Parameters of one shape
are stacked: the network has hundreds of small matrices, and few large products cost far less than many small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

#: A side longer than this keeps its own axes: its eigenvectors would cost more than they bring.
MAX_SIDE = 512


class Soap(torch.optim.Optimizer):
    """SOAP for parameters of two or more dimensions, Adam for the others.

    Args:
        parameters: to train, or groups of them as PyTorch's optimisers take; the gradient of each must be there at
            every step.
        lr: learning rate, as of Adam.
        betas: decay of the mean of gradients, and of the mean of their squares and of the preconditioners.
        eps: added to the root of the mean square.
        refine_every: steps between two refinements of the eigenvectors.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        refine_every: int = 10,
    ) -> None:
        self._refine_every = refine_every
        groups: dict[Any, dict[str, Any]] = {}
        for given in parameters:
            whole = given if isinstance(given, dict) else {"params": [given]}
            settings = {key: value for key, value in whole.items() if key != "params"}
            for parameter in whole["params"]:
                key = tuple(parameter.shape), tuple(sorted(settings.items()))
                groups.setdefault(key, {**settings, "params": []})["params"].append(parameter)
        super().__init__(groups.values(), {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step with the gradients that the parameters hold."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # The state of a group, stacked, hangs on its first parameter: that is where `state_dict` looks for it.
            parameters = group["params"]
            gradient = torch.stack([_as_matrix(p.grad) for p in parameters])
            state = self.state[parameters[0]]
            if not state:
                _start(state, gradient, matrices=parameters[0].dim() > 1)
            update = _update(state, gradient, group["betas"], group["eps"])
            if state["step"] > 1 and state["step"] % self._refine_every == 0:
                _refine_bases(state)
            for parameter, change in zip(parameters, update, strict=True):
                parameter.add_(change.view_as(parameter), alpha=-group["lr"])
        return loss


def _as_matrix(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    return gradient.reshape(gradient.shape[0], -1)


def _start(state: dict[str, Any], gradient: Tensor, matrices: bool) -> None:
    state["step"] = 0
    state["mean"] = torch.zeros_like(gradient)
    state["square"] = torch.zeros_like(gradient)
    for side, length in (("left", gradient.shape[1]), ("right", gradient.shape[2])):
        if matrices and 1 < length <= MAX_SIDE:
            state[side] = torch.zeros(len(gradient), length, length, dtype=gradient.dtype, device=gradient.device)


def _update(state: dict[str, Any], gradient: Tensor, betas: tuple[float, float], eps: float) -> Tensor:
    """The change of the parameters, before the learning rate: `[count, out, rest]` like `gradient`."""
    state["step"] += 1
    step = state["step"]
    rotates = "left" in state or "right" in state
    if rotates:
        _accumulate(state, gradient, betas[1])
        if step == 1:
            # The first gradient only gives a basis (as its authors do): there is no scale to go by yet.
            _find_bases(state)
            return torch.zeros_like(gradient)
    rotated = _rotate(state, gradient)
    state["mean"].lerp_(rotated, 1 - betas[0])
    state["square"].lerp_(rotated.square(), 1 - betas[1])
    steps = step - 1 if rotates else step
    mean = state["mean"] / (1 - betas[0] ** steps)
    root = (state["square"] / (1 - betas[1] ** steps)).sqrt_().add_(eps)
    return _rotate_back(state, mean.div_(root))


def _accumulate(state: dict[str, Any], gradient: Tensor, beta: float) -> None:
    if "left" in state:
        state["left"].lerp_(gradient @ gradient.mT, 1 - beta)
    if "right" in state:
        state["right"].lerp_(gradient.mT @ gradient, 1 - beta)


def _rotate(state: dict[str, Any], gradient: Tensor) -> Tensor:
    if "left_basis" in state:
        gradient = state["left_basis"].mT @ gradient
    if "right_basis" in state:
        gradient = gradient @ state["right_basis"]
    return gradient


def _rotate_back(state: dict[str, Any], update: Tensor) -> Tensor:
    if "left_basis" in state:
        update = state["left_basis"] @ update
    if "right_basis" in state:
        update = update @ state["right_basis"].mT
    return update


def _find_bases(state: dict[str, Any]) -> None:
    for side in ("left", "right"):
        if side in state:
            # In double precision and with a ridge: one gradient leaves most directions without any signal.
            matrix = state[side].double()
            ridge = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
            scale = matrix.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)[:, None, None]
            vectors = torch.linalg.eigh(matrix / scale + 1e-6 * ridge)[1]
            state[f"{side}_basis"] = vectors.flip(-1).to(state[side].dtype)


def _refine_bases(state: dict[str, Any]) -> None:
    """One step of orthogonal iteration; the mean of gradients is carried over into the new bases."""
    mean = _rotate_back(state, state["mean"])
    for side, axis in (("left", 1), ("right", 2)):
        if side not in state:
            continue
        basis = state[f"{side}_basis"]
        turned = state[side] @ basis
        # In the order of their eigenvalues; the mean squares go along with their directions.
        order = (basis * turned).sum(1).argsort(1, descending=True)
        basis = turned.gather(2, order[:, None, :].expand_as(turned))
        index = order[:, :, None] if axis == 1 else order[:, None, :]
        state["square"] = state["square"].gather(axis, index.expand_as(state["square"]))
        state[f"{side}_basis"] = torch.linalg.qr(basis)[0]
    state["mean"] = _rotate(state, mean)
