"""Sound models of our own: pure functions of a random generator and physical parameters.

Every model returns a `Sound` at 44.1 kHz with the exact times at which it starts to be heard. `catalogue.py` draws
parameters and the words for them, one function a sound class.
"""
