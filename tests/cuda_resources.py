"""What each CUDA kernel uses, by the compiler's own report; kernels are to keep everything in registers.

    python tests/cuda_resources.py BUILD_LOG

BUILD_LOG is what a build from scratch printed (cmake/Cuda.cmake has ptxas report). Prints every kernel with its
registers, static shared memory, stack and spills, and exits with 1 where one has a stack or spills beyond `ALLOWED`, or
where the log has no kernels.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ALLOWED: dict[tuple[str, str], int] = {}
"""Bytes of stack, by kernel and architecture, of kernels that do not fit their registers, each with the reason why that
is better than fewer threads. What is no longer needed has to go."""

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass
class Kernel:
    """A kernel on one architecture; sizes in bytes, those of functions that it calls among them."""

    name: str
    architecture: str
    registers: int = 0
    shared: int = 0
    stack: int = 0
    stores: int = 0
    loads: int = 0

    @property
    def in_registers(self) -> bool:
        return self.stack == self.stores == self.loads == 0


def kernels_in(log: str) -> list[Kernel]:
    """The kernels that were compiled, by architecture and name."""
    return sorted(_parse(log), key=lambda kernel: (kernel.architecture, kernel.name))


def _parse(log: str) -> Iterator[Kernel]:
    kernel = None
    for line in log.splitlines():
        if entry := _ENTRY.search(line):
            if kernel:
                yield kernel
            kernel = Kernel(readable(entry[1]), entry[2])
        if kernel is None:
            continue
        if found := _STACK.search(line):
            stack, stores, loads = map(int, found.groups())
            kernel.stack += stack
            kernel.stores += stores
            kernel.loads += loads
        if found := _REGISTERS.search(line):
            kernel.registers = int(found[1])
            shared = _SHARED.search(line)
            kernel.shared = int(shared[1]) if shared else 0
    if kernel:
        yield kernel


def readable(symbol: str) -> str:
    """A kernel's name and template arguments, from its symbol."""
    name = subprocess.run(["c++filt", symbol], check=True, capture_output=True, text=True).stdout.strip()
    without_namespaces = re.sub(r"\(anonymous namespace\)::|\b\w+::", "", name)
    return re.sub(r"\((\w+)\)(\d)", r"\1 \2", without_namespaces.removeprefix("void ")).partition("(")[0]


def problems(kernels: list[Kernel], allowed: dict[tuple[str, str], int]) -> list[str]:
    """What is wrong, a line each; none if nothing is."""
    if not kernels:
        return ["the log tells of no kernels: is it of a build from scratch, with a CUDA compiler?"]
    found = []
    for kernel in kernels:
        limit = allowed.get((kernel.name, kernel.architecture), 0)
        what = f"{kernel.name} on {kernel.architecture}"
        if kernel.stack > limit or (not limit and not kernel.in_registers):
            found.append(
                f"{what} does not fit its {kernel.registers} registers: {kernel.stack} bytes of stack "
                f"({limit} allowed), {kernel.stores} stored and {kernel.loads} loaded by spills"
            )
        elif limit and kernel.in_registers:
            found.append(f"{what} fits its registers: take it out of ALLOWED")
    here = {(kernel.name, kernel.architecture) for kernel in kernels}
    architectures = {architecture for _, architecture in here}
    found += [
        f"ALLOWED has {name} on {architecture}, which is no kernel"
        for name, architecture in allowed.keys() - here
        if architecture in architectures
    ]
    return found


def table(kernels: list[Kernel]) -> str:
    rows = [("", "kernel", "registers", "shared", "stack", "stores", "loads")]
    rows += [(k.architecture, k.name, *map(str, (k.registers, k.shared, k.stack, k.stores, k.loads))) for k in kernels]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main(arguments: list[str]) -> int:
    kernels = kernels_in("\n".join(Path(argument).read_text() for argument in arguments))
    if kernels:
        print(table(kernels))
    wrong = problems(kernels, ALLOWED)
    for problem in wrong:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
