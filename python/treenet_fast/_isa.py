"""Which instruction set native code uses on the CPU."""

from __future__ import annotations

import os

from treenet_fast import _native
from treenet_fast.errors import BackendError

ISAS = ("scalar", "avx2", "avx512vnni", "amx")
"""The instruction sets that there is code for, slowest first."""

ISA_VARIABLE = "TREENET_FAST_ISA"
"""The environment variable that forces one of them; unset or empty: the fastest that the machine has."""


def choose_isa(isa: str | None, *, for_symbols: bool = False) -> str:
    """`isa`; if it is None what TREENET_FAST_ISA says, or else the fastest of the machine.

    That is one whose registers the system gives this process, which is asked for them; coding symbols needs none.
    """
    available = _native.cpu_isas()
    source = "isa"
    if isa is None:
        isa, source = os.environ.get(ISA_VARIABLE, ""), ISA_VARIABLE
        if not isa:
            return available[-1] if for_symbols else _native.cpu_fastest_isa()
    if isa not in available:
        problem = "this machine or its system lacks it" if isa in ISAS else "there is no such instruction set"
        raise BackendError(f"{source} is {isa!r}, but {problem}: use one of {', '.join(available)}, or leave it unset")
    return isa
