"""From an image to bytes and back: the order of all steps (SPEC §3 to §8)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenet_fast.model_file import IntegerModel

from . import bottleneck, container
from .analysis import analysis, extend
from .arithmetic import Model
from .container import Header
from .entropy_tables import Table, entropy_tables, hyper_table_indices
from .rans import SegmentDecoder, Stage, encode_segment
from .segments import Segment, segments
from .synthesis import synthesis
from .trace import Trace

LATENTS = range(4)


@dataclass(frozen=True)
class Codec:
    """An integer model on a device, ready to code images."""

    model: Model
    tables: list[Table]
    model_hash: bytes
    device: torch.device

    @classmethod
    def of(cls, model: IntegerModel, device: torch.device) -> "Codec":
        """The codec of a checked model."""
        tensors = {name: torch.tensor(array, device=device) for name, array in model.tensors.items()}
        return cls(tensors, entropy_tables(model.tensors), model.hash, device)

    def encode(self, image: NDArray[np.uint8], quality: int, grey: bool) -> bytes:
        """The stream of an RGB image ``[H, W, 3]``; ``grey`` says that its channels are equal."""
        return self.write(self.trace_encode(image, quality), image.shape[0], image.shape[1], quality, grey)

    def write(self, trace: Trace, height: int, width: int, quality: int, grey: bool) -> bytes:
        """The stream of an encoder's trace for an image of this size."""
        parts = segments(*trace["Y.0"].shape[:2])
        streams = [encode_segment(self.tables, self._stages(trace, segment)) for segment in parts]
        header = Header(self.model_hash[:4], quality, grey, width, height)
        return container.write_stream(header, streams)

    def decode(self, data: bytes, max_pixels: int) -> NDArray[np.uint8]:
        """The image of a stream: ``[H, W, 3]``, or ``[H, W]`` for a grey one."""
        header, trace = self._decode(data, max_pixels)
        pixels = trace["pixels"]
        if header.grey:
            pixels = ((2 * pixels.sum(dim=2, dtype=torch.int32) + 3) // 6).to(torch.uint8)
        return pixels.cpu().numpy()

    def trace_encode(self, image: NDArray[np.uint8], quality: int) -> Trace:
        """Every intermediate tensor of the encoder for an RGB image ``[H, W, 3]``."""
        trace = Trace()
        extended = extend(torch.tensor(image, device=self.device).permute(2, 0, 1))
        for b, latent in enumerate(analysis(self.model, extended, quality, trace)):
            hyper_latent = bottleneck.hyper_analysis(self.model, b, latent)
            psi = bottleneck.hyper_synthesis(self.model, b, hyper_latent, *latent.shape[1:])
            parameters = bottleneck.anchor_parameters(self.model, b, psi)
            symbols = bottleneck.symbols(self.model, latent, parameters)
            decoded = bottleneck.decoded_latent(symbols, parameters)
            # The convolution of the context sees the anchors only, where this latent is final; and a context that is
            # zero at the anchors leaves their parameters as they are.
            parameters = bottleneck.entropy_parameters(self.model, b, psi, bottleneck.context(self.model, b, decoded))
            symbols = bottleneck.symbols(self.model, latent, parameters)
            trace.record(f"Z.{b}", hyper_latent)
            _record_bottleneck(trace, b, psi, parameters, symbols)
        return trace

    def trace_decode(self, data: bytes, max_pixels: int) -> Trace:
        """Every intermediate tensor of the decoder."""
        return self._decode(data, max_pixels)[1]

    def _decode(self, data: bytes, max_pixels: int) -> tuple[Header, Trace]:
        trace = Trace()
        header, latents = self.decode_latents(data, max_pixels, trace)
        pixels = synthesis(self.model, latents, header.quality, trace)
        trace.record("pixels", pixels[:, : header.height, : header.width])
        return header, trace

    def decode_latents(self, data: bytes, max_pixels: int, trace: Trace) -> tuple[Header, list[Tensor]]:
        """The header and the four decoded latents, each ``[32, ⌈height/16⌉, ⌈width/16⌉]``: all but the synthesis."""
        header, payload = container.read_stream(data, max_pixels)
        container.check_model(header, self.model_hash)
        height, width = -(-header.height // 16), -(-header.width // 16)
        parts = segments(height, width)
        streams = container.split_payload(payload, len(parts))
        decoders = [SegmentDecoder(self.tables, stream) for stream in streams]

        hyper_height, hyper_width = -(-height // 4), -(-width // 4)
        hyper_latents = np.zeros((4, hyper_height, hyper_width, 32), dtype=np.int16)
        for part, decoder in zip(parts, decoders, strict=True):
            rows = hyper_latents[:, part.hyper_rows]
            rows[...] = np.reshape(decoder.decode_stage(hyper_table_indices(*rows.shape[1:3])), rows.shape)
        planes = torch.tensor(hyper_latents, device=self.device).permute(0, 3, 1, 2)
        trace.record_all([f"Z.{b}" for b in LATENTS], list(planes))

        psi = [bottleneck.hyper_synthesis(self.model, b, planes[b], height, width) for b in LATENTS]
        anchors = bottleneck.anchors((height, width), self.device)
        parameters = [bottleneck.anchor_parameters(self.model, b, psi[b]) for b in LATENTS]
        at_anchors = self._decode_symbols(parts, decoders, parameters, anchors)
        contexts = [
            # What this makes of the non-anchors does not matter: their context does not see them.
            bottleneck.context(self.model, b, bottleneck.decoded_latent(at_anchors[b], parameters[b]))
            for b in LATENTS
        ]
        parameters = [bottleneck.entropy_parameters(self.model, b, psi[b], contexts[b]) for b in LATENTS]
        symbols = at_anchors + self._decode_symbols(parts, decoders, parameters, ~anchors)
        for decoder in decoders:
            decoder.finish()
        for b in LATENTS:
            _record_bottleneck(trace, b, psi[b], parameters[b], symbols[b])
        return header, [bottleneck.decoded_latent(symbols[b], parameters[b]) for b in LATENTS]

    def _decode_symbols(
        self,
        parts: list[Segment],
        decoders: list[SegmentDecoder],
        parameters: list[bottleneck.Parameters],
        positions: Tensor,
    ) -> Tensor:
        """The symbols ``[4, 32, h, w]`` int16 of the stage at the chosen positions (bool ``[h, w]``), 0 elsewhere."""
        index = torch.stack([p.index for p in parameters]).permute(0, 2, 3, 1)
        chosen = _numpy(bottleneck.coded(self.model, index) & positions[:, :, None])
        tables = _numpy(index)
        symbols = np.zeros(chosen.shape, dtype=np.int16)
        for part, decoder in zip(parts, decoders, strict=True):
            where = chosen[:, part.rows]
            symbols[:, part.rows][where] = decoder.decode_stage(tables[:, part.rows][where].tolist())
        return torch.tensor(symbols, device=self.device).permute(0, 3, 1, 2)

    def _stages(self, trace: Trace, segment: Segment) -> list[Stage]:
        """The three stages of a segment (SPEC §7.2)."""
        hyper_latents = torch.stack([trace[f"Z.{b}"][segment.hyper_rows] for b in LATENTS])
        stages = [Stage(hyper_latents.flatten().tolist(), hyper_table_indices(*hyper_latents.shape[1:3]))]
        symbols = torch.stack([trace[f"S.{b}"][segment.rows] for b in LATENTS])
        index = torch.stack([trace[f"index.{b}"][segment.rows] for b in LATENTS])
        coded = bottleneck.coded(self.model, index)
        # A segment starts at a multiple of four rows, so its own parity is that of the image.
        anchors = bottleneck.anchors(symbols.shape[1:3], self.device)
        for positions in (anchors, ~anchors):
            chosen = coded & positions[:, :, None]
            stages.append(Stage(symbols[chosen].tolist(), index[chosen].tolist()))
        return stages


def _record_bottleneck(trace: Trace, b: int, psi: Tensor, parameters: bottleneck.Parameters, symbols: Tensor) -> None:
    trace.record(f"psi.{b}", psi)
    trace.record(f"mean.{b}", parameters.mean)
    trace.record(f"scale.{b}", parameters.scale)
    trace.record(f"index.{b}", parameters.index)
    trace.record(f"S.{b}", symbols)
    trace.record(f"Yhat.{b}", bottleneck.decoded_latent(symbols, parameters))


def _numpy(tensor: Tensor) -> NDArray[np.generic]:
    return tensor.cpu().numpy()
