"""LEB128 numbers (SPEC §7.3, §8): seven bits a byte, least significant first."""

from collections.abc import Callable


def leb128(number: int) -> bytes:
    """The bytes of a number, 0 or more."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_leb128(next_byte: Callable[[], int], most: int, fault: Callable[[str], Exception]) -> int:
    """Reads a number byte by byte; raises ``fault(reason)`` for more than ``most`` bytes or a redundant one."""
    number = 0
    for place in range(most):
        byte = next_byte()
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if byte == 0 and place > 0:
                raise fault("a number has a redundant zero byte")
            return number
    raise fault(f"a number has more than {most} bytes")
