"""What a take on disk can hold."""

from __future__ import annotations

from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.take import Take
from reasound.timeline import samples


def under_picture(take: Take, clip: Clip) -> Take:
    """The take, if it is as long as its picture: UserError where it is not, for the video could not hold it."""
    if take.audio.shape[1] != samples(clip.seconds):
        raise UserError("a foreign video cannot be made longer; make a take of its sound and extend that")
    return take
