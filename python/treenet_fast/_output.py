"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from treenet_fast.errors import OutputError


def write_whole(path: Path, content: bytes | memoryview | str) -> None:
    """Writes a file, or replaces it, whole or not at all: under another name first. Folders above it are made.

    Args:
        path: of the file; a link stays a link.
        content: bytes, or text that becomes UTF-8.

    Raises:
        OutputError: it cannot be written.
    """
    if isinstance(content, str):
        content = content.encode()
    final = Path(os.path.realpath(path))
    temporary = final.parent / f".treenet-fast-{secrets.token_hex(8)}.tmp"
    try:
        if final.exists() and not final.is_file():
            raise OutputError(f"{path}: is no ordinary file; name another output")
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
            temporary.replace(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
