"""The forward and backward pass of a step, as one CUDA graph.

A pass is thousands of small kernels, whose launches take several times as long as they do. A graph launches them all at
once: the same work, 16 crops of 256x256 on an H200 in 40 ms a step instead of 144.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Passes before the recording, in which libraries choose their kernels.
_WARM_UP = 3

#: A pass from crops `[N, 3, H, W]`, qualities `[N]` and the rate's share of the loss `[]` to what it reports; it leaves
#: gradients in the parameters.
Pass = Callable[[Tensor, Tensor, Tensor], Tensor]


class RecordedPass:
    """`run` as it was recorded on first use: shapes, dtypes and all Python stay as they were then.

    Gradients are in the same tensors after every pass, so nothing may replace them in between.
    """

    def __init__(self, run: Pass) -> None:
        self._run = run
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, image: Tensor, quality: Tensor, rate_share: Tensor) -> Tensor:
        if self._graph is None:
            self._graph = self._record(image, quality, rate_share)
        for own, given in zip(self._inputs, (image, quality, rate_share), strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._result.clone()

    def _record(self, *inputs: Tensor) -> torch.cuda.CUDAGraph:
        self._inputs = [torch.empty_like(given).copy_(given) for given in inputs]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        graph = torch.cuda.CUDAGraph()
        with torch.random.fork_rng([inputs[0].device]):  # the first step has the noise that it would have without
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    self._run(*self._inputs)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(graph):
                self._result = self._run(*self._inputs)
        return graph
