"""SOAP: it is Adam where it has nothing to rotate, and better where axes are mixed."""

import copy

import torch

from treenet_fast.training.soap import Soap


def test_vectors_are_trained_by_adam():
    torch.manual_seed(0)
    start = [torch.randn(5), torch.randn(5), torch.randn(3)]
    ours = [torch.nn.Parameter(x.clone()) for x in start]
    theirs = [torch.nn.Parameter(x.clone()) for x in start]
    soap = Soap(ours, lr=0.01, betas=(0.9, 0.95))
    adam = torch.optim.Adam(theirs, lr=0.01, betas=(0.9, 0.95))
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        soap.step()
        adam.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def least_squares(optimiser, steps=300):
    """What is left of an ill-conditioned least squares problem whose axes are turned."""
    generator = torch.Generator().manual_seed(0)
    turn = [torch.linalg.qr(torch.randn(n, n, generator=generator))[0] for n in (12, 20)]
    left = turn[0] * torch.logspace(0, -1.5, 12)
    right = turn[1] * torch.logspace(0, -1.5, 20)
    goal = torch.randn(12, 20, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(12, 20))
    chosen = optimiser([weight])
    for step in range(steps):
        for group in chosen.param_groups:
            group["lr"] = 0.05 * (1 - step / steps)
        loss = (left.T @ (weight - goal) @ right).square().sum()
        chosen.zero_grad()
        loss.backward()
        chosen.step()
    return loss.item()


def test_turned_axes():
    assert least_squares(Soap) < 0.2 * least_squares(torch.optim.Adam)


def test_state_is_kept():
    torch.manual_seed(0)
    shapes = [(8, 4, 3, 3), (8, 4, 3, 3), (600, 2), (7,)]
    first = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    one = Soap(first, lr=0.01)
    gradients = [[torch.randn(shape) for shape in shapes] for _ in range(25)]

    def run(optimiser, parameters, some):
        for step in some:
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = gradient.clone()
            optimiser.step()

    run(one, first, gradients[:12])
    second = [torch.nn.Parameter(p.detach().clone()) for p in first]
    two = Soap(second, lr=0.01)
    two.load_state_dict(copy.deepcopy(one.state_dict()))  # loading would share the tensors
    run(one, first, gradients[12:])
    run(two, second, gradients[12:])
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
        assert torch.isfinite(a).all()


def test_no_gradient_at_all():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    optimiser = Soap([weight], lr=0.1)
    for _ in range(12):
        weight.grad = torch.zeros(4, 4)
        optimiser.step()
    assert torch.equal(weight, torch.ones(4, 4))


def test_groups_have_their_own_rates():
    slow, fast = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(3))
    optimiser = Soap([{"params": [slow], "lr": 0.001}, {"params": [fast]}], lr=0.1)
    slow.grad = fast.grad = torch.ones(3)
    optimiser.step()
    assert torch.allclose(slow, torch.tensor(-0.001))
    assert torch.allclose(fast, torch.tensor(-0.1))


def test_bases_are_refined_every_so_many_steps():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(4, 6))
    optimiser = Soap([weight], lr=0.1, refine_every=3)
    changed = []
    for _ in range(9):
        before = dict(optimiser.state[weight])
        weight.grad = torch.randn(4, 6)
        optimiser.step()
        basis = optimiser.state[weight]["left_basis"]
        changed.append("left_basis" not in before or not torch.equal(before["left_basis"], basis))
    assert changed == [True, False, True, False, False, True, False, False, True]
