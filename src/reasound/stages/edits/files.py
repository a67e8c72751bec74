"""Takes of sound that has no picture, on disk."""

from __future__ import annotations

import json

from reasound.media import audio as files
from reasound.media.video import Clip
from reasound.take import Output, Take
from reasound.timeline import samples


def save_sound(take: Take, output: Output, force: bool = False) -> None:
    """OUT.take/ and OUT.wav, both whole or not at all: what `Take.save` does, without a picture."""
    output.check(force)
    with output.staging() as stage:
        folder = stage / "take"
        (folder / "layers").mkdir(parents=True)
        files.write(folder / "mix.wav", take.audio)
        for layer in take.layers:
            files.write(folder / "layers" / f"{layer.name}.wav", layer.audio)
        (folder / "plan.json").write_text(take.plan.to_json(), encoding="utf-8")
        record = json.dumps(take.describe(), indent=2, ensure_ascii=False) + "\n"
        (folder / "take.json").write_text(record, encoding="utf-8")
        files.write(stage / output.video.name, take.audio)
        output.publish(folder, stage / output.video.name)


def under_picture(take: Take, clip: Clip) -> Take:
    """The take, if it is as long as its picture: UserError where it is not, for the video could not hold it."""
    from reasound.errors import UserError

    if take.audio.shape[1] != samples(clip.seconds):
        raise UserError("a foreign video cannot be made longer; make a take of its sound and extend that")
    return take
