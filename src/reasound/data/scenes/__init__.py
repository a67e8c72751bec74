"""Scenes with exact truth.

drawn: sounds without end, to learn from. benchmark: the fixed set that quality is measured on, with its pictures (stage,
acts, bodies), its held-out recordings (heldout) and its edit tasks (tasks). truth: the values between them.
"""
