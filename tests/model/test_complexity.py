"""Parameters and multiply-accumulates against the complexity table of the TreeNet paper."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from treenet_fast.model import TreeNet
from treenet_fast.model.blocks import convolution
from treenet_fast.model.complexity import _ELEMENT_WISE, complexity, left_out
from treenet_fast.model_layout import CHANNELS

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


def test_a_changed_layer_changes_the_count(counted):
    model = TreeNet()
    model.synthesis.output = convolution(CHANNELS, 3, 5)  # in the place of 3x3, at each pixel of the image
    changed = complexity(model)
    more = CHANNELS * 3 * (5 * 5 - 3 * 3)
    assert changed["g_s"].parameters == counted["g_s"].parameters + more
    assert changed["g_s"].macs_per_pixel == counted["g_s"].macs_per_pixel + more
    assert all(changed[module] == counted[module] for module in counted if module != "g_s")


def test_what_the_paper_leaves_out():
    """By hand: normalisations follow each node, fusions the nodes of three levels."""
    others = left_out(TreeNet())
    nodes = {
        "g_a": 1 / 4 + 2 / 16 + 4 / 64 + 8 / 256,  # for each pixel, positions that a node gives
        "g_s": 4 / 64 + 3 / 16 + 2 / 4 + 1,
    }
    fusions = {"g_a": 4 / 256, "g_s": 3 / 64 + 2 / 16 + 1 / 4}
    # Each of two attentions has a ReLU of 8, a mean, a sum and a sigmoid; it is used in a difference, a product and a
    # sum; and the first takes a sum. On the global mean there is one position an image, which is 64x64.
    each = 2 * (8 + 3 * 32 + 3 * 32) + 32
    once = {"g_a": 4 * 2 * 8 / 64**2, "g_s": 6 * 2 * 8 / 64**2}
    for module in ("g_a", "g_s"):
        gdn = others[f"GDN of {module}"]
        assert gdn.macs_per_pixel == nodes[module] * (32 * 32 + 32)
        assert gdn.operations_per_pixel == nodes[module] * 3 * 32  # a square, a root, a product or quotient
        fused = others[f"fusions of {module}, but for their convolutions"]
        assert fused.operations_per_pixel == pytest.approx(fusions[module] * each + once[module])
        # LeakyReLU and the sum with the skip
        assert others[f"activations and sums of {module}"].operations_per_pixel == nodes[module] * 2 * 32
    gains = others["gains, and the image's centring"]
    assert gains.parameters == 2 * 5 * 128
    assert gains.operations_per_pixel == 2 * (3 + 128 / 256)
    assert others["priors of the hyper-latents"].parameters == 4 * 32 * (3 + 9 + 9 + 3 + (3 + 3 + 3 + 1) + (3 + 3 + 3))


class ElementWise(TorchDispatchMode):
    """Collects the element-wise functions that are called on tensors of an image."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if torch.Tag.pointwise in function.tags and result.dim() == 4 and result.shape[0] == 1:
            self.names.add(function.overloadpacket.__name__)
        return result


def test_all_element_wise_functions_are_counted():
    model = TreeNet()
    bottleneck = model.bottleneck[0]
    with torch.no_grad(), ElementWise() as called:
        model.synthesise(model.analyse(torch.zeros(1, 3, 64, 64), torch.tensor([50.0])), torch.tensor([50.0]))
        psi = bottleneck.hyper_synthesis(bottleneck.hyper_analysis(torch.zeros(1, 32, 4, 4)))
        bottleneck.entropy_parameters(torch.cat((psi, bottleneck.context(torch.zeros(1, 32, 4, 4))), dim=1))
    assert called.names - {"exp"} == set(_ELEMENT_WISE)  # exp: of the gains


def test_sums(counted):
    """Encoder and decoder as the paper divides them: both run the bottlenecks' decoding half."""
    macs = {module: count.macs_per_pixel / 1000 for module, count in counted.items()}
    shared = macs["h_s"] + macs["h_ep"] + macs["context"]
    assert macs["g_a"] + macs["h_a"] + shared == pytest.approx(9.33, abs=0.01)
    assert macs["g_s"] + shared == pytest.approx(51.99, abs=0.01)
