"""What people are told when something they gave us cannot work."""

from __future__ import annotations


class UserError(ValueError):
    """One clear sentence: what was wrong and what to do. Doors show it without a traceback."""
