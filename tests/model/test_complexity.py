"""Parameters and multiply-accumulates against the complexity table of the TreeNet paper."""

import pytest

from treenet_fast.model import TreeNet
from treenet_fast.model.complexity import complexity

# kMAC per pixel and parameters. The paper's fusions have batch norms, four an attention, two parameters a channel; here
# they are folded away.
BATCH_NORM = 2 * 4 * (8 + 32)
TABLE = {
    "g_a": (6.862, 309_952 - 4 * BATCH_NORM),
    "g_s": (49.885, 858_915 - 6 * BATCH_NORM),
    "h_a": (0.370, 184_960),
    "h_s": (0.857, 683_840),
    "h_ep": (0.442, 4 * 28_273),
    "context": (0.801, 205_056),
}


@pytest.fixture(scope="module")
def counted():
    return complexity(TreeNet())


@pytest.mark.parametrize("module", TABLE)
def test_module(counted, module):
    macs, parameters = TABLE[module]
    assert counted[module].parameters == parameters
    assert counted[module].macs_per_pixel / 1000 == pytest.approx(macs, abs=0.0015)


def test_sums(counted):
    """Encoder and decoder as the paper divides them: both run the bottlenecks' decoding half."""
    macs = {module: count.macs_per_pixel / 1000 for module, count in counted.items()}
    shared = macs["h_s"] + macs["h_ep"] + macs["context"]
    assert macs["g_a"] + macs["h_a"] + shared == pytest.approx(9.33, abs=0.01)
    assert macs["g_s"] + shared == pytest.approx(51.99, abs=0.01)
