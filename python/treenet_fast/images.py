"""Images as people have them, to and from the form the codec works on: u8 RGB, `[height, width, 3]`.

torch is imported only to give tensors out: an argument can only be a tensor where torch is loaded already.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from treenet_fast.errors import ImageTooLargeError, InvalidArgumentError, UnsupportedImageError

if TYPE_CHECKING:
    import torch

ImageLike: TypeAlias = "NDArray[Any] | Image.Image | torch.Tensor"
Array: TypeAlias = "NDArray[Any] | torch.Tensor"
Output = Literal["torch", "numpy", "pil"]

MAX_SIDE = 65535
"""The longest side that the format can write (SPEC §8)."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
"""The files of a folder that are taken for images; a file that is named itself may have any suffix."""

_ALPHA_HINT = "composite it on a background, or drop the alpha channel, first"
_DEPTH_HINT = "scale it to 8 bits (uint8, 0..255), or to floats in 0..1, first"
# Modes that lose something on their way to RGB of 8 bits: what is under the alpha, or all but the lowest bits.
_LOSING_MODE_HINTS = {
    **dict.fromkeys(("RGBA", "RGBa", "LA", "La", "PA"), f"it has alpha: {_ALPHA_HINT}, e.g. image.convert('RGB')"),
    **dict.fromkeys(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"), f"it has more than 8 bits a sample: {_DEPTH_HINT}"),
}
_MODE_HINTS = {**_LOSING_MODE_HINTS, "1": "it has 1 bit a sample: use image.convert('L') first"}


@dataclass(frozen=True)
class Picture:
    """One image as the caller holds it, its values not looked at yet.

    Attributes:
        array: `[height, width, 3]`, or `[height, width, 1]` of a grey one, each side 1..65535; u8 or floats, a numpy
            array or a tensor on any device, in any strides.
    """

    array: Array

    @property
    def height(self) -> int:
        """In pixels."""
        return self.array.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.array.shape[1]

    @property
    def grey(self) -> bool:
        """Whether it has one channel; a decoder gives one back."""
        return self.array.shape[2] == 1


@dataclass(frozen=True)
class RgbImage:
    """One image ready for an encoder that takes arrays.

    Attributes:
        pixels: u8 `[height, width, 3]`, C-contiguous, each side 1..65535.
        grey: whether it came with one channel; those of `pixels` are equal then, and a decoder gives one back.
    """

    pixels: NDArray[np.uint8]
    grey: bool


def normalise(images: ImageLike | Sequence[ImageLike]) -> tuple[list[RgbImage], bool]:
    """Brings any accepted image, batch or list to `RgbImage`s.

    Args:
        images: one image, a batch of equal sizes, or a list or tuple of single images. An image is

            - a torch tensor `[3, H, W]`, or grey `[1, H, W]` or `[H, W]`, any device; a batch is `[N, 1 or 3, H, W]`;
            - a numpy array `[H, W, 3]`, or grey `[H, W, 1]` or `[H, W]`; a batch is `[N, H, W, 1 or 3]`;
            - a PIL image of mode RGB or L, taken as its pixels lie: an EXIF orientation is not applied.

            Tensors and arrays are uint8, or floats in 0..1, which become `round(x * 255)`, ties to even, the product
            taken in the precision of the array, at least float32.

    Returns:
        The images, and whether the argument was a batch or a list (even of one).

    Raises:
        UnsupportedImageError: another type, shape, dtype or mode; no pixels; floats that are NaN or outside 0..1; a
            transparent colour; a masked array; a tensor that is sparse, quantised or without data; a closed PIL image.
        ImageTooLargeError: a side is longer than 65535.
    """
    taken, many = pictures(images)
    return [rgb_image(picture) for picture in taken], many


def pictures(images: ImageLike | Sequence[ImageLike]) -> tuple[list[Picture], bool]:
    """The images of an argument of `normalise`, as they lie: nothing is copied, and of tensors no value is read.

    Returns:
        The images, and whether the argument was a batch or a list (even of one).

    Raises:
        UnsupportedImageError, ImageTooLargeError: as `normalise`, but for floats that are NaN or outside 0..1.
    """
    if isinstance(images, (list, tuple)):
        return [_picture_of_list(image) for image in images], True
    if isinstance(images, Image.Image):
        return [_from_pil(images)], False
    array = _channels_last(images)
    if array.ndim == 4:
        return [_from_array(image) for image in array], True
    return [_from_array(array)], False


def rgb_image(picture: Picture) -> RgbImage:
    """A picture in the host's memory, wherever it was.

    Raises:
        UnsupportedImageError: floats that are NaN or outside 0..1; a tensor whose values cannot be had.
    """
    return RgbImage(np.ascontiguousarray(host_pixels(picture)), picture.grey)


def host_pixels(picture: Picture) -> NDArray[np.uint8]:
    """The same as u8 `[height, width, 3]` in any strides: the caller's own values where they are that.

    Raises:
        UnsupportedImageError: as `rgb_image`.
    """
    array = picture.array
    (pixels,) = to_u8([array if isinstance(array, np.ndarray) else _from_tensor(array)])
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if picture.grey else pixels


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A picture's tensor in the memory of a device: itself if it is there, or else a copy.

    Raises:
        UnsupportedImageError: its values cannot be had.
    """
    import torch

    try:
        there = tensor.to(device)
        address = there.data_ptr()  # zero, or an error, of what only stands for tensors
    except RuntimeError as error:
        # A fault of the device, of earlier work perhaps, is not the image's. (PyTorch has the class since 2.8.)
        if isinstance(error, (torch.cuda.OutOfMemoryError, getattr(torch, "AcceleratorError", ()))):
            raise
        raise _unreadable(tensor) from error
    if address == 0:
        raise _unreadable(tensor)
    return there


def to_u8(arrays: Sequence[Array]) -> list[Any]:
    """Values as bytes: u8 as they are, floats in 0..1 as `normalise` says.

    Args:
        arrays: of pictures; all of them numpy's, or all of them tensors on one device, which is waited for once if
            there are floats.

    Returns:
        Arrays or tensors of the same shapes, where the arguments are.

    Raises:
        UnsupportedImageError: floats that are NaN or outside 0..1.
    """
    floats: list[Any] = [array for array in arrays if _is_float(array)]
    extremes = [extreme for array in floats for extreme in (array.min(), array.max())]
    if floats and not isinstance(floats[0], np.ndarray):
        import torch

        extremes = torch.stack(extremes).tolist()
    for low, high in zip(extremes[::2], extremes[1::2], strict=True):
        if not (low >= 0 and high <= 1):  # written so that NaN fails
            raise UnsupportedImageError(
                f"a float image has values from {low} to {high}, not 0..1: scale it, or clip it, or pass uint8 (0..255)"
            )
    return [_scaled(array) if _is_float(array) else array for array in arrays]


def restore(pixels: NDArray[np.uint8], output: Output | None) -> ImageLike:
    """Gives decoded pixels the kind that the caller wants.

    Args:
        pixels: u8 `[H, W, 3]`, or `[H, W]` for a grey image.
        output: "torch" for a u8 tensor `[1 or 3, H, W]`, "numpy" for `pixels` as they are, "pil" for mode RGB or L,
            None for "torch" where torch is installed and "numpy" elsewhere.

    Raises:
        InvalidArgumentError: another `output`, or "torch" without torch.
    """
    output = check_output(output)
    if output == "numpy":
        return pixels
    if output == "pil":
        return Image.fromarray(pixels)
    import torch

    tensor = torch.from_numpy(pixels)
    return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()


def restore_planes(planes: NDArray[np.uint8]) -> torch.Tensor:
    """The tensor u8 `[3 or 1, H, W]` of pixels that lie so; it has their memory."""
    import torch

    return torch.from_numpy(planes)


def check_output(output: Output | None) -> Output:
    """The kind of image that `output` stands for; see `restore`.

    Raises:
        InvalidArgumentError: another `output`, or "torch" without torch.
    """
    if output is None:
        return "torch" if importlib.util.find_spec("torch") else "numpy"
    if not isinstance(output, str) or output not in get_args(Output):
        raise InvalidArgumentError(f"output is {output!r}: use 'torch', 'numpy', 'pil' or None")
    if output == "torch":
        try:
            import torch  # noqa: F401
        except ModuleNotFoundError as error:
            raise InvalidArgumentError("output='torch' needs torch: install it, or ask for 'numpy' or 'pil'") from error
    return output


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raises `ImageTooLargeError` for more than `max_pixels` pixels."""
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"the image has {width}x{height} pixels, beyond the limit of {max_pixels}: shrink it, or raise max_pixels"
        )


def check_rgb(image: Image.Image) -> None:
    """Checks that `image.convert("RGB")` keeps what a PIL image shows; its pixels need not be read yet.

    Raises:
        UnsupportedImageError: it has alpha, a transparent colour, or more than 8 bits a sample.
    """
    if image.mode in _LOSING_MODE_HINTS:
        raise _mode_error(image, _LOSING_MODE_HINTS[image.mode])
    _check_opaque(image)


def _picture_of_list(image: ImageLike) -> Picture:
    if isinstance(image, Image.Image):
        return _from_pil(image)
    array = _channels_last(image)
    if array.ndim == 4:
        raise UnsupportedImageError(
            "a list of images holds a batch: pass the batch by itself, or single images in the list"
        )
    return _from_array(array)


def _channels_last(image: object) -> Array:
    """An array or a tensor as `[H, W]`, `[H, W, C]` or `[N, H, W, C]`."""
    if isinstance(image, np.ma.MaskedArray):
        raise UnsupportedImageError("a masked array cannot be coded as it is: fill it first, e.g. with image.filled(0)")
    array: Array
    if isinstance(image, np.ndarray):
        array, order = image, "HWC"
    else:
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(image, torch.Tensor):
            kind = type(image).__name__
            raise UnsupportedImageError(
                f"an image cannot be a {kind}: pass a torch tensor, a numpy array or a PIL image"
            )
        array, order = _dense(image), "CHW"
    shape, batch = list(array.shape), "N" if array.ndim == 4 else ""
    if not 2 <= array.ndim <= 4:
        raise UnsupportedImageError(f"an image of shape {shape} is not known: use {order}, or N{order} for a batch")
    if not isinstance(array, np.ndarray) and array.ndim > 2:
        array = array.movedim(-3, -1)
    if array.ndim > 2 and array.shape[-1] not in (1, 3):
        channels = array.shape[-1]
        hint = _ALPHA_HINT if channels in (2, 4) else f"use {batch}{order} with three channels, or one for grey"
        raise UnsupportedImageError(f"an image of shape {shape} has {channels} channels: {hint}")
    return array


def _dense(image: torch.Tensor) -> torch.Tensor:
    """The tensor without its gradient, if it has a value for each index, of a type of numpy's or bfloat16."""
    import torch

    tensor = image.detach()
    of_bytes = tensor.is_quantized or (tensor.is_floating_point() and tensor.dtype.itemsize == 1)
    if tensor.layout != torch.strided or tensor.is_nested or of_bytes:
        raise _unreadable(image)
    return tensor


def _from_tensor(tensor: torch.Tensor) -> NDArray[Any]:
    import torch

    there = on_device(tensor, torch.device("cpu"))
    try:
        array: NDArray[Any] = (there.float() if there.dtype == torch.bfloat16 else there).numpy()
    except (TypeError, RuntimeError) as error:
        raise _unreadable(tensor) from error
    return array


def _unreadable(image: torch.Tensor) -> UnsupportedImageError:
    reason = f"a tensor of {image.dtype} and {image.layout} on device {image.device} cannot be read as an image"
    return UnsupportedImageError(f"{reason}: pass a dense uint8 or float tensor")


def _from_array(array: Array) -> Picture:
    """`array`: `[H, W]` or `[H, W, 1 or 3]` of any dtype."""
    _check_size(array.shape[1], array.shape[0])
    if array.dtype != _library(array).uint8 and not _is_float(array):
        dtype = str(array.dtype).removeprefix("torch.")
        raise UnsupportedImageError(f"an image of dtype {dtype} cannot be coded as it is: {_DEPTH_HINT}")
    return Picture(array[:, :, None] if array.ndim == 2 else array)


def _from_pil(image: Image.Image) -> Picture:
    if image.mode not in ("RGB", "L"):
        raise _mode_error(image, _MODE_HINTS.get(image.mode, "use image.convert('RGB') first"))
    _check_size(image.width, image.height)
    try:
        image.load()  # Pillow reads the pixels only now
        array = np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
        raise UnsupportedImageError(
            f"the pixels of the PIL image cannot be read, it may be closed or its file damaged: {error}"
        ) from error
    _check_opaque(image)
    return _from_array(array)


def _mode_error(image: Image.Image, hint: str) -> UnsupportedImageError:
    return UnsupportedImageError(f"a PIL image of mode {image.mode} cannot be coded as it is: {hint}")


def _check_opaque(image: Image.Image) -> None:
    if "transparency" in image.info:
        raise UnsupportedImageError(
            f"a PIL image with a transparent colour cannot be coded as it is: {_ALPHA_HINT}, "
            "e.g. image.info.pop('transparency')"
        )


def _library(array: Array) -> Any:
    """numpy or torch: what is called by the same name in both needs no second form."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f" if isinstance(array, np.ndarray) else array.is_floating_point()


def _scaled(array: Array) -> Any:
    """Floats in 0..1 as u8."""
    library = _library(array)
    wide = _cast(array, library.promote_types(array.dtype, library.float32))
    return _cast(library.round(wide * 255), library.uint8)  # both libraries round ties to even


def _cast(array: Array, dtype: Any) -> Any:
    return array.astype(dtype, copy=False) if isinstance(array, np.ndarray) else array.to(dtype)


def _check_size(width: int, height: int) -> None:
    if width == 0 or height == 0:
        raise UnsupportedImageError(f"an image of {width}x{height} has no pixels: pass one of at least 1x1")
    if max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(f"an image of {width}x{height} has a side beyond {MAX_SIDE}: cut or shrink it first")
