"""The float entropy model: densities, checkerboard, rounding."""

import math

import pytest
import torch

from treenet_fast.model.bottleneck import Bottleneck, anchors, gaussian_likelihood
from treenet_fast.model.bounds import lower_bound
from treenet_fast.model.normalisation import GDN
from treenet_fast.model.prior import FactorisedPrior


@pytest.fixture
def bottleneck():
    torch.manual_seed(0)
    return Bottleneck(32)


def test_gaussian_likelihood_of_all_integers_is_one():
    values = torch.arange(-200.0, 201.0)
    for scale in (0.11, 0.5, 3.0, 20.0):
        # Up to 401 values of the lower bound 1e-9 are added.
        assert float(gaussian_likelihood(values - 0.3, torch.tensor(scale)).sum()) == pytest.approx(1, abs=2e-6)
    inside = float(gaussian_likelihood(torch.tensor(0.0), torch.tensor(0.5)))
    assert inside == pytest.approx(math.erf(1 / math.sqrt(2)), abs=1e-6)
    assert float(gaussian_likelihood(torch.tensor(99.0), torch.tensor(0.11))) == pytest.approx(1e-9)


def test_prior_is_a_density_for_each_channel():
    torch.manual_seed(1)
    prior = FactorisedPrior(3)
    values = torch.arange(-300.0, 301.0).expand(1, 3, 1, -1)
    likelihood = prior(values).detach()
    assert likelihood.shape == values.shape
    torch.testing.assert_close(likelihood.sum(dim=3), torch.ones(1, 3, 1), atol=1e-4, rtol=0)
    assert float(likelihood.min()) >= 1e-9 * (1 - 1e-6)


def test_prior_keeps_channels_apart():
    prior = FactorisedPrior(2)
    with torch.no_grad():
        prior.bias[0][1] += 5
    z = torch.randn(2, 2, 3, 4)
    both = prior(z)
    swapped = prior(z.flip(0))
    torch.testing.assert_close(both, swapped.flip(0))
    assert not torch.allclose(both[:, 0], prior(z.flip(1))[:, 1])


def test_anchors_are_the_even_positions():
    assert anchors(torch.zeros(1, 1, 2, 3)).squeeze().tolist() == [[1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("rounding", ["noise", "straight_through", "round"])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 4)])
def test_shapes(bottleneck, rounding, size):
    y = 5 * torch.randn(2, 32, *size)
    output = bottleneck(y, rounding)
    hyper_size = tuple(-(-n // 4) for n in size)
    assert output.y_hat.shape == output.y_likelihood.shape == output.mean.shape == output.scale.shape == y.shape
    assert output.z_hat.shape == output.z_likelihood.shape == (2, 32, *hyper_size)
    assert float(output.scale.detach().min()) >= 0.11 * (1 - 1e-6)


def test_rounding_is_around_the_mean(bottleneck):
    y = 5 * torch.randn(1, 32, 6, 6)
    output = bottleneck(y, "round")
    residual = output.y_hat - output.mean
    torch.testing.assert_close(residual, residual.round(), atol=1e-4, rtol=0)
    torch.testing.assert_close(output.z_hat, output.z_hat.round())
    assert float((output.y_hat - y).detach().abs().max()) <= 0.5 + 1e-4


def test_symbols_of_small_scale_are_skipped_where_rounding_is_for_good(bottleneck):
    y = 5 * torch.randn(1, 32, 6, 6)
    middle = float(bottleneck(y, "round").scale.detach().median())
    skipping = Bottleneck(32, skip_below=middle)
    skipping.load_state_dict(bottleneck.state_dict())
    output = skipping(y, "round")
    skipped = output.scale < middle
    assert 0 < int(skipped.sum()) < skipped.numel()
    assert torch.equal(output.y_hat[skipped], output.mean[skipped])
    assert torch.equal(output.y_likelihood[skipped], torch.ones(int(skipped.sum())))
    residual = (output.y_hat - output.mean)[~skipped]
    torch.testing.assert_close(residual, residual.round(), atol=1e-4, rtol=0)
    assert float(output.y_likelihood.detach()[~skipped].max()) < 1
    torch.manual_seed(0)
    trained = skipping(y, "straight_through")
    torch.manual_seed(0)
    torch.testing.assert_close(trained.y_hat, bottleneck(y, "straight_through").y_hat)


def test_anchors_see_the_hyperprior_only_and_the_others_see_anchors_only(bottleneck):
    """With the hyper-latents held, a changed anchor moves distributions of others, a changed other none."""
    torch.nn.init.zeros_(bottleneck.hyper_analysis[4].weight)
    y = 5 * torch.randn(1, 32, 6, 6)
    before = bottleneck(y, "round")
    for row, column, moves in ((2, 2, True), (2, 3, False)):
        changed = y.clone()
        changed[0, :, row, column] += 10
        moved = (bottleneck(changed, "round").mean != before.mean).any(dim=1, keepdim=True)
        assert not bool((moved & (anchors(y) == 1)).any())
        assert bool(moved.any()) == moves


def test_straight_through_passes_gradients(bottleneck):
    y = (5 * torch.randn(1, 32, 4, 4)).requires_grad_()
    bottleneck(y, "straight_through").y_hat.sum().backward()
    assert y.grad is not None
    assert float(y.grad.abs().sum()) > 0


def test_lower_bound_lets_go():
    """Gradient descent lifts a value from below the bound, and pushes none further below."""
    x = torch.tensor([0.0, 0.0, 2.0], requires_grad=True)
    bounded = lower_bound(x, 1.0)
    assert bounded.tolist() == [1.0, 1.0, 2.0]
    (bounded * torch.tensor([-1.0, 1.0, 1.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_formula(inverse):
    torch.manual_seed(2)
    gdn = GDN(4, inverse)
    beta, gamma = torch.rand(4) + 0.1, torch.rand(4, 4)
    gdn.set_effective({"beta": beta, "gamma": gamma})
    v = torch.randn(1, 4, 2, 2)
    norm = torch.sqrt(beta[:, None, None] + torch.einsum("cj,njhw->nchw", gamma, v * v))
    torch.testing.assert_close(gdn(v), v * norm if inverse else v / norm)
    torch.testing.assert_close(gdn.effective()["gamma"], gamma)
