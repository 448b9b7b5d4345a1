"""Images that are given to a codec on a device."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch._subclasses import FakeTensorMode

from devices import GREY, OTHER, RGB, SMALL, chw
from treenet_fast import _native, errors, images

TENSORS = {
    "CHW": chw(RGB),
    "CHW, channels last": torch.from_numpy(RGB).permute(2, 0, 1),
    "turned": chw(RGB).transpose(1, 2),
    "turned, channels last": torch.from_numpy(RGB).permute(2, 1, 0),
    "flipped": chw(RGB).flip(1, 2),
    "every second row, every third column": chw(RGB)[:, ::2, 1::3],
    "a part": chw(RGB)[:, 3:30, 5:],
    "of an image with alpha": torch.cat([chw(RGB), chw(RGB)[:1]])[:3],
    "one row for all": chw(RGB)[:, :1].expand(3, 37, 50),
    "1x1": chw(RGB)[:, :1, :1],
    "float32": chw(RGB).float() / 255,
    "float32, channels last and strided": (torch.from_numpy(RGB).float() / 255).permute(2, 0, 1)[:, ::2],
    "float64 that needs a gradient": (chw(RGB).double() / 255).requires_grad_(),
    "float16": (chw(RGB) / 255).half(),
    "bfloat16": (chw(RGB) / 255).bfloat16(),
    "grey 1HW": chw(RGB)[:1],
    "grey HW": chw(RGB)[0],
    "grey HW, turned and strided": chw(RGB)[1].T[::2],
    "grey float16": (chw(RGB)[0] / 255).half(),
    "batch": torch.stack([chw(RGB), chw(OTHER), chw(RGB)]),
    "batch of one": chw(RGB)[None],
    "batch, channels last and strided": torch.from_numpy(np.stack([RGB, OTHER])).permute(0, 3, 1, 2)[:, :, 1:, ::2],
    "batch of floats": torch.stack([chw(RGB), chw(OTHER)]) / 255,
    "grey batch": torch.stack([chw(RGB), chw(OTHER)])[:, :1],
    "batch of none": torch.zeros(0, 3, 4, 4),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(case, codec, cpu):
    image = TENSORS[case]
    expected = cpu.compress(image, 60)
    assert codec.compress(image.to(codec.device), 60) == expected
    assert codec.compress(image, 60) == expected


OTHERS = {
    "numpy HWC": RGB,
    "numpy HW": GREY,
    "numpy HW1": GREY[:, :, None],
    "numpy, flipped": RGB[::-1, ::-2],
    "numpy, read-only": np.frombuffer(RGB.tobytes(), np.uint8).reshape(RGB.shape),
    "numpy float16": (RGB / 255).astype(np.float16),
    "numpy longdouble": RGB / np.longdouble(255),
    "numpy, of the other byte order": (RGB / 255).astype(">f4"),
    "numpy NHWC": np.stack([RGB, OTHER]),
    "PIL RGB": Image.fromarray(RGB),
    "PIL L": Image.fromarray(GREY),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", OTHERS)
def test_images_of_the_host(case, codec, cpu):
    assert codec.compress(OTHERS[case]) == cpu.compress(OTHERS[case])


def test_bytes_that_lie_on_the_device_are_read_where_they_lie(codec, monkeypatch):
    image = torch.stack([chw(RGB), chw(OTHER)]).to(codec.device)
    grey = image[0, 2].T
    floats = image[0] / 255
    places = []
    place = _native.Place

    def recorded(*arguments):
        places.append(arguments)
        return place(*arguments)

    monkeypatch.setattr(_native, "Place", recorded)
    codec.compress(image[:, :, 1:, ::2])
    codec.compress(grey)
    row, plane = 50, 37 * 50
    assert places == [
        (image.data_ptr() + row, row, 2, plane),
        (image.data_ptr() + 3 * plane + row, row, 2, plane),
        (image.data_ptr() + 2 * plane, 1, row, 0),
    ]
    kept = image.clone(), floats.clone()
    codec.compress([*image, floats])
    assert torch.equal(image, kept[0])
    assert torch.equal(floats, kept[1])


def float_image(value):
    image = torch.zeros(3, 4, 4)
    image[0, 2, 1] = value
    return image


REFUSED = {
    "NaN": float_image(torch.nan),
    "infinite": float_image(torch.inf),
    "negative": float_image(-1e-3),
    "beyond 1, float16": float_image(1.001).half(),
    "floats in 0..255": torch.full((3, 4, 4), 200.0, dtype=torch.bfloat16),
    "in a list": [chw(SMALL), float_image(2)],
    "numpy": np.full((4, 4), 1.5),
    "alpha": torch.zeros(4, 40, 50, dtype=torch.uint8),
    "HWC": torch.zeros(40, 50, 3, dtype=torch.uint8),
    "five dimensions": torch.zeros(1, 1, 3, 4, 4),
    "16 bit": torch.zeros(3, 4, 4, dtype=torch.int16),
    "bool": torch.zeros(4, 4, dtype=torch.bool),
    "no columns": torch.zeros(3, 4, 0),
    "a side beyond 65535": torch.zeros(3, 1, 65536),
    "float8": torch.zeros(3, 4, 4).to(torch.float8_e4m3fn),
    "sparse": torch.zeros(3, 4, 4).to_sparse(),
    "meta": torch.zeros(3, 4, 4, device="meta"),
    "that only stands for others": FakeTensorMode().from_tensor(torch.zeros(3, 4, 4)),
    "a path": "photo.png",
    "a batch in a list": [torch.zeros(2, 3, 4, 4)],
}


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_images(case, codec, cpu):
    """With the words of a codec on the CPU."""
    image = REFUSED[case]
    with pytest.raises(errors.TreeNetError) as expected:
        cpu.compress(image)
    with pytest.raises(expected.type) as found:
        codec.compress(image)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_float_of_16_bits(dtype):
    """One rule makes bytes of arrays' floats and of tensors'."""
    values = torch.arange(int(torch.ones(1, dtype=dtype).view(torch.int16)) + 1, dtype=torch.int16).view(dtype)
    (found,) = images.to_u8([values[:, None, None]])
    (expected,) = images.to_u8([values.float().numpy()[:, None, None]])
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(expected, np.rint(values.float().numpy()[:, None, None] * np.float32(255)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_about_every_tie(dtype):
    values = torch.from_numpy((np.arange(511) / 510).astype(np.float64)).to(dtype)
    values = torch.stack([values, torch.nextafter(values, values * 0), torch.nextafter(values, values * 0 + 1)])
    (found,) = images.to_u8([values[:, :, None]])
    (expected,) = images.to_u8([values.numpy()[:, :, None]])
    np.testing.assert_array_equal(found.numpy(), expected)
    (ties,) = images.to_u8([torch.tensor([[[0.5], [1.5], [2.5], [126.5]]], dtype=torch.float64) / 255])
    assert ties.flatten().tolist() == [0, 2, 2, 126]


def test_tensors_of_many_types_at_once():
    floats = [TENSORS[name].detach().permute(1, 2, 0) for name in TENSORS if name.startswith(("float", "bfloat"))]
    found = images.to_u8([*floats, torch.from_numpy(RGB)])
    for values, expected in zip(found, floats, strict=False):
        np.testing.assert_array_equal(values.numpy(), images.rgb_image(images.Picture(expected)).pixels)
    np.testing.assert_array_equal(found[-1].numpy(), RGB)
