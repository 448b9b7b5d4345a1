"""The integer codec in eager PyTorch, on any device: the reference to read beside SPEC.md, section by section.

It shares no code with the native codec, and gives the same bytes and the same pixels.

- arithmetic: SPEC §1, §2.1 to §2.4; fusion: §2.7; analysis: §2.5, §3, §4; bottleneck: §5; synthesis: §2.6, §6
- entropy_tables: §7.1; segments: §7.2; rans: §7.3; container: §8; codec: the order of all steps
- rate: what the symbols should cost
"""

from .api import compress, decompress, trace_decode, trace_encode
from .rate import information_content

__all__ = ["compress", "decompress", "information_content", "trace_decode", "trace_encode"]
