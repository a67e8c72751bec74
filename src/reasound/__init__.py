"""Reasound: video in, sound out, by reasoning first."""

__version__ = "0.1.0"
