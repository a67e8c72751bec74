"""Recordings that Reasound ships: data only, read through reasound.checkpoints.catalog."""
