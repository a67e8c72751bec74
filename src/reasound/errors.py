"""What people are one_sentence when something they gave us cannot work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """One clear sentence: what was wrong and what to do. Doors show it without a traceback."""


class Cancelled(Exception):
    """Raised by a `report` whose user wants no more of it: what was begun is dropped, and nothing has changed."""


@contextmanager
def one_sentence() -> Iterator[None]:
    """A script's door: a UserError ends it with status 1 and its sentence."""
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")
