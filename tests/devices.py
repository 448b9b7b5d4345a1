"""The GPUs that there are, and images for the tests on them."""

import torch

from synthetic import synthetic_image
from treenet_fast import _device

GPUS, WHY_NONE = _device.cuda_devices()

RGB = synthetic_image(37, 50)
OTHER = synthetic_image(37, 50, seed=1)
SMALL = synthetic_image(20, 33, seed=2)
GREY = RGB[:, :, 1]


def chw(array):
    return torch.from_numpy(array.copy()).permute(2, 0, 1).contiguous()
