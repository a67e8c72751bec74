"""Scenes with exact truth.

drawn: sounds without end, to learn from.
benchmark: the fixed set that quality is measured on, of heldout recordings and pictures, with edit tasks.
acts: what happens in flat scenes (standing, making, lasting, physics), drawn on a stage (easel, backgrounds, props,
people). bodies: rigid ones (mechanics), shown by a painter. truth: the values between all of these.
"""
