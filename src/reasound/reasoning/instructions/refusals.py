"""Why an instruction is not carried out: one sentence each."""

from __future__ import annotations

NOTHING = 'The instruction asks for nothing; say what should change, for example "make the dog louder".'
PICTURED = "It is not clear what {} means; name the sound in words."
FOREIGN = "The pocket reasoner only reads English; write it in English or ask a larger model."
UNCLEAR = "It is not clear what should change; name a sound and what to do with it."
NOT_SOUND = "Only the sound can be changed, and this asks for something else."
NO_SPAN = "Say which seconds are to be filled in, for example from 2 to 4 s."
SHORTER = "A clip can be made longer but not shorter."
NO_SOUND = "Say which sound is to be heard."
NO_BACKGROUND = "There is no background sound in this clip."
NO_OTHERS = "There is no other sound in this clip."


def not_there(name: str, heard: str = "") -> str:
    """For a sound that the plan does not have; `heard`: what it has."""
    return f"There is no {name} in this clip{f', which has {heard}' if heard else ''}."


def not_understood(request: str) -> str:
    """For one request among others: none of them is done."""
    return f"It is not clear what {request!r} asks for, so nothing is changed."
