import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast.errors import ImageTooLargeError, InvalidArgumentError, UnsupportedImageError
from treenet_fast.images import check_pixels, normalise, restore

RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]
GREY_AS_RGB = np.stack([GREY] * 3, axis=-1)


def chw(array):
    return torch.from_numpy(np.moveaxis(array, -1, 0).copy())


SINGLE_IMAGES = {
    "numpy HWC": (RGB, RGB, False),
    "numpy HW": (GREY, GREY_AS_RGB, True),
    "numpy HW1": (GREY[:, :, None], GREY_AS_RGB, True),
    "numpy, not contiguous": (RGB[::-1, ::-2], RGB[::-1, ::-2], False),
    "numpy, read-only": (np.frombuffer(RGB.tobytes(), np.uint8).reshape(RGB.shape), RGB, False),
    "numpy float16": ((RGB / 255).astype(np.float16), np.rint((RGB / 255).astype(np.float16) * np.float32(255)), False),
    "numpy float32": ((RGB / 255).astype(np.float32), RGB, False),
    "numpy float64, grey": (GREY / 255, GREY_AS_RGB, True),
    "torch CHW": (chw(RGB), RGB, False),
    "torch CHW, channels last": (torch.from_numpy(RGB).permute(2, 0, 1), RGB, False),
    "torch 1HW": (torch.from_numpy(GREY)[None], GREY_AS_RGB, True),
    "torch HW": (torch.from_numpy(GREY), GREY_AS_RGB, True),
    "torch float32": (chw(RGB).float() / 255, RGB, False),
    "torch float64 that needs a gradient": ((chw(RGB).double() / 255).requires_grad_(), RGB, False),
    "torch bfloat16": (torch.ones(3, 5, 7, dtype=torch.bfloat16), np.full_like(RGB, 255), False),
    "PIL RGB": (Image.fromarray(RGB), RGB, False),
    "PIL L": (Image.fromarray(GREY), GREY_AS_RGB, True),
}


@pytest.mark.parametrize("case", SINGLE_IMAGES)
def test_single_images(case):
    image, expected, grey = SINGLE_IMAGES[case]
    (result,), many = normalise(image)
    assert many is False
    assert result.grey is grey
    assert result.pixels.dtype == np.uint8
    assert result.pixels.flags.c_contiguous
    np.testing.assert_array_equal(result.pixels, expected)


@pytest.mark.parametrize(
    ("batch", "count", "grey"),
    [
        (np.stack([RGB, 255 - RGB]), 2, False),
        (np.stack([GREY[..., None], 255 - GREY[..., None]]), 2, True),
        (torch.stack([chw(RGB), 255 - chw(RGB)]), 2, False),
        (torch.stack([chw(RGB), 255 - chw(RGB)]).double() / 255, 2, False),
        ([RGB, 255 - RGB], 2, False),
        ((chw(RGB), Image.fromarray(255 - RGB)), 2, False),
        (RGB[None], 1, False),
        ([RGB], 1, False),
        ([], 0, False),
        (np.zeros((0, 4, 4, 3), np.uint8), 0, False),
    ],
)
def test_batches_and_lists(batch, count, grey):
    images, many = normalise(batch)
    assert many is True
    assert [image.grey for image in images] == [grey] * count
    for image, expected in zip(images, [RGB, 255 - RGB], strict=False):
        np.testing.assert_array_equal(image.pixels, expected if not grey else expected[:, :, :1].repeat(3, axis=2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_8_bit_value_survives_a_float(dtype):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (image,), _ = normalise(values.astype(dtype) / dtype(255))
    np.testing.assert_array_equal(image.pixels[:, :, 0], values)


def test_floats_round_half_to_even():
    half_steps = np.array([[0.5, 1.5, 2.5, 126.5, 127.5]]) / 255
    assert (half_steps * 255 % 1 == 0.5).all()  # the ties are exact in float64
    (image,), _ = normalise(half_steps)
    assert image.pixels[0, :, 0].tolist() == [0, 2, 2, 126, 128]


def float_image(value):
    image = np.zeros((4, 4, 3), np.float32)
    image[2, 1, 0] = value
    return image


REFUSED = {
    "numpy RGBA": (np.zeros((4, 4, 4), np.uint8), "alpha"),
    "numpy grey and alpha": (np.zeros((4, 4, 2), np.uint8), "alpha"),
    "numpy CHW": (np.zeros((3, 40, 50), np.uint8), "use HWC"),
    "numpy batch of CHW": (np.zeros((2, 3, 40, 50), np.uint8), "use NHWC"),
    "torch RGBA": (torch.zeros(4, 40, 50, dtype=torch.uint8), "alpha"),
    "torch HWC": (torch.zeros(40, 50, 3, dtype=torch.uint8), "use CHW"),
    "one dimension": (np.zeros(4, np.uint8), "shape"),
    "five dimensions": (torch.zeros(1, 1, 3, 4, 4), "shape"),
    "16 bit": (np.zeros((4, 4, 3), np.uint16), "scale it to 8 bits"),
    "int64": (torch.zeros(3, 4, 4, dtype=torch.int64), "scale it to 8 bits"),
    "bool": (np.zeros((4, 4), bool), "scale it to 8 bits"),
    "complex": (np.zeros((4, 4), np.complex64), "scale it to 8 bits"),
    "NaN": (float_image(np.nan), "nan"),
    "infinite": (float_image(np.inf), "inf"),
    "negative": (float_image(-1e-3), "not 0..1"),
    "floats in 0..255": (torch.full((3, 4, 4), 200.0), "not 0..1"),
    "no rows": (np.zeros((0, 4, 3), np.uint8), "no pixels"),
    "no columns": (torch.zeros(3, 4, 0), "no pixels"),
    "PIL RGBA": (Image.new("RGBA", (4, 4)), "alpha"),
    "PIL LA": (Image.new("LA", (4, 4)), "alpha"),
    "PIL P": (Image.new("P", (4, 4)), r"convert\('RGB'\)"),
    "PIL CMYK": (Image.new("CMYK", (4, 4)), r"convert\('RGB'\)"),
    "PIL 1": (Image.new("1", (4, 4)), r"convert\('L'\)"),
    "PIL I;16": (Image.new("I;16", (4, 4)), "scale it to 8 bits"),
    "PIL I": (Image.new("I", (4, 4)), "scale it to 8 bits"),
    "PIL F": (Image.new("F", (4, 4)), "scale it to 8 bits"),
    "PIL without pixels": (Image.new("RGB", (0, 4)), "no pixels"),
    "a path": ("photo.png", "cannot be a str"),
    "None": (None, "cannot be a NoneType"),
    "a batch in a list": ([np.zeros((2, 4, 4, 3), np.uint8)], "list of images holds a batch"),
    "a list in a list": ([[RGB]], "cannot be a list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_images_say_what_to_do(case):
    image, message = REFUSED[case]
    with pytest.raises(UnsupportedImageError, match=message):
        normalise(image)


@pytest.mark.parametrize(
    "image", [np.zeros((65536, 1, 3), np.uint8), torch.zeros(3, 1, 65536), Image.new("L", (65536, 1))]
)
def test_sides_beyond_the_format(image):
    with pytest.raises(ImageTooLargeError, match="65535"):
        normalise(image)


def test_the_longest_sides():
    (image,), _ = normalise(np.zeros((1, 65535), np.uint8))
    assert image.pixels.shape == (1, 65535, 3)


def test_damaged_file_behind_a_pil_image(tmp_path):
    Image.fromarray(RGB.repeat(20, axis=0).repeat(20, axis=1)).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    with Image.open(tmp_path / "half.png") as image, pytest.raises(UnsupportedImageError, match="damaged"):
        normalise(image)


def test_pixel_limit():
    check_pixels(10, 10, 100)
    with pytest.raises(ImageTooLargeError, match=r"10x10 .* 99"):
        check_pixels(10, 10, 99)


@pytest.mark.parametrize("output", [None, "torch"])
def test_restore_torch(output):
    tensor = restore(RGB.copy(), output)
    assert tensor.dtype == torch.uint8
    assert tensor.is_contiguous()
    assert torch.equal(tensor, chw(RGB))
    assert torch.equal(restore(GREY.copy(), output), torch.from_numpy(GREY)[None])


def test_restore_numpy():
    np.testing.assert_array_equal(restore(RGB, "numpy"), RGB)
    np.testing.assert_array_equal(restore(GREY, "numpy"), GREY)


def test_restore_pil():
    for array, mode in ((RGB, "RGB"), (GREY, "L")):
        image = restore(array, "pil")
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), array)


def test_restore_refuses_other_kinds():
    with pytest.raises(InvalidArgumentError, match="'jax'"):
        restore(RGB, "jax")


TENSORS = {
    "meta": lambda: torch.empty(3, 5, 7, device="meta"),
    "float8": lambda: torch.zeros(3, 5, 7).to(torch.float8_e4m3fn),
    "sparse": lambda: torch.zeros(3, 5, 7).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.zeros(3, 5, 7), 0.1, 0, torch.quint8),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(3, 5, 7), torch.zeros(3, 5, 6)]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_numpy_cannot_hold(case):
    with pytest.raises(UnsupportedImageError, match="pass a dense uint8 or float tensor"):
        normalise(TENSORS[case]())


def test_tensors_that_stand_for_others():
    with pytest.raises(UnsupportedImageError, match="pass a dense uint8 or float tensor"):
        torch.func.vmap(normalise)(torch.zeros(2, 3, 5, 7))


def test_closed_pil_images(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    opened, made = Image.open(tmp_path / "a.png"), Image.fromarray(RGB).copy()
    for image in (opened, made):
        image.close()
        with pytest.raises(UnsupportedImageError, match="may be closed"):
            normalise(image)


@pytest.mark.parametrize(("pixels", "colour"), [(RGB, (1, 2, 3)), (GREY, 5)])
def test_transparent_colour(pixels, colour, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=colour)
    image = Image.open(tmp_path / "a.png")
    with pytest.raises(UnsupportedImageError, match="drop the alpha channel"):
        normalise(image)
    image.info.pop("transparency")
    normalise(image)


def test_masked_arrays():
    with pytest.raises(UnsupportedImageError, match=r"image\.filled"):
        normalise(np.ma.masked_greater(RGB, 100))
