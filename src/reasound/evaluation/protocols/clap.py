"""CLAP (Wu et al. 2023, arXiv 2211.06687): does the sound fit the words? Through transformers, from a local folder.

The score is the cosine of the angle between a sound and a text, from -1 to 1. The text is the caption (CLAP_cap in the
ThinkSound paper) or the chain of thought (CLAP_CoT); as in the authors' own package, no more than 77 tokens of it are
read, which is all that the network was trained on and rarely the whole of a chain of thought.

The network hears 10 s. A shorter sound is repeated as often as it fits, then followed by silence, as in training. Of a
longer one the authors take random crops; here it is heard in windows of 10 s from the very beginning to the very end,
and the mean of what they point to is compared, so that the same sound has the same score.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reasound.errors import UserError
from reasound.evaluation.protocols.embedder import Published, default_folder, mono

PUBLISHED = {
    name: Published(project=f"laion/{name} on the Hugging Face hub", file=name, licence="Apache-2.0")
    for name in ("clap-htsat-fused", "clap-htsat-unfused", "larger_clap_general")
}
"""Folders, as transformers reads them. `larger_clap_general` was made from the weights that av-benchmark uses,
music_speech_audioset_epoch_15_esc_89.98.pt."""

RATE = 48_000
TOKENS = 77
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def load(name: str = "larger_clap_general", folder: Path | None = None) -> Clap:
    """A published CLAP from FOLDER/NAME (default: models/evaluation/NAME). Never downloads.

    Raises:
        UserError: transformers is missing, there is no such name, the folder is missing (and where it is published),
            or it does not hold a whole CLAP.
    """
    if name not in PUBLISHED:
        raise UserError(f"there is no CLAP {name!r}; choose one of {', '.join(PUBLISHED)}")
    path = (folder or default_folder()) / name
    if not (path / "config.json").is_file() or not any((path / file).is_file() for file in WEIGHTS):
        raise UserError(
            f"{path} has no config.json and {WEIGHTS[0]}: get all files of {PUBLISHED[name].project} "
            f"({PUBLISHED[name].licence}) and put them there"
        )
    try:
        from transformers import ClapModel, ClapProcessor
    except ImportError as error:
        raise UserError("CLAP needs transformers; install it with:  pip install 'reasound[eval]'") from error
    try:
        processor = ClapProcessor.from_pretrained(path, local_files_only=True)
        read: Any = ClapModel.from_pretrained  # its type does not know of the second thing it gives
        model, found = read(path, local_files_only=True, output_loading_info=True, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path} does not hold a CLAP that transformers can read: {str(error).splitlines()[0]}"
        ) from error
    # transformers fills what is missing with random numbers and only warns.
    for kind, what in (("missing_keys", "lacks the"), ("unexpected_keys", "has an unknown")):
        if names := sorted(name for name in found[kind] if not name.endswith("position_ids")):
            raise UserError(
                f"{path} {what} tensor {names[0]!r}; get all files of {PUBLISHED[name].project} again"
            )
    return Clap(name, model.eval().requires_grad_(False), processor)


class Clap:
    unit = "cosine"

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        fused = "fused" if model.config.audio_config.enable_fusion else "unfused"
        self.protocol = f"clap/{name}/{fused}/10s-windows/{TOKENS}-tokens"
        self.model = model
        self.tokenizer = processor.tokenizer
        self.extractor = processor.feature_extractor

    def score(self, audio: NDArray[Any], text: str) -> float:
        """The cosine between a sound [2, N] or [N] at 44.1 kHz and a text, from -1 to 1; higher is better.

        ValueError: the text is empty, or the sound is none.
        """
        return float(F.cosine_similarity(self.hear(audio), self.understand(text), dim=0))

    @torch.inference_mode()
    def hear(self, audio: NDArray[Any]) -> Tensor:
        """A sound -> [D], the mean of unit vectors, one for each window of 10 s."""
        sound = mono(audio, RATE).numpy()
        heard = [
            self._hear(sound[start:stop])
            for start, stop in windows(len(sound), self.extractor.nb_max_samples)
        ]
        return torch.stack(heard).mean(0)

    def _hear(self, sound: NDArray[np.float32]) -> Tensor:
        inputs = self.extractor(sound, sampling_rate=RATE, return_tensors="pt")
        # Published for windows that are not longer than 10 s: a fused network always reads all it can (one of each
        # batch, and this is a batch of one).
        output: Tensor = self.model.get_audio_features(
            input_features=inputs["input_features"].float(), is_longer=inputs["is_longer"]
        ).pooler_output
        return output[0]

    @torch.inference_mode()
    def understand(self, text: str) -> Tensor:
        """A text -> [D], a unit vector."""
        if not text.strip():
            raise ValueError("CLAP cannot compare a sound with an empty text")
        tokens = self.tokenizer(text, truncation=True, max_length=TOKENS, return_tensors="pt")
        output: Tensor = self.model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return output[0]


def windows(length: int, longest: int) -> list[tuple[int, int]]:
    """(start, end) of as few windows as cover a sound, evenly spread; one window if it is not longer than that."""
    count = ceil(length / longest)
    if count == 1:
        return [(0, length)]
    starts = [(length - longest) * i // (count - 1) for i in range(count)]
    return [(start, start + longest) for start in starts]
