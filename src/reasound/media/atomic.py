"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reasound.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` at the end.

    Whatever goes wrong, Ctrl-C included, what was written so far is removed and `path` is left as it was. A
    folder that is missing or cannot be written, or a full disk, is one sentence.
    """
    fresh = path.with_name(f".reasound-{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield fresh
        os.replace(fresh, path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {path}: {reason}; choose another place or make room") from error
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
