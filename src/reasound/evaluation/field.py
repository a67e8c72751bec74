"""The field's measures by name: which published network each needs, whether it is here, and what it says of a set.

Their weights are never downloaded: they are files that a person puts into a folder (`reasound evaluate protocols` says
which). Every value carries the protocol of its network, so that two flavours of one distance never share a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.evaluation.protocols import aesthetics, clap, desync, embedder, imagebind
from reasound.evaluation.protocols.embedder import Heard, Published
from reasound.evaluation.report import Measure
from reasound.evaluation.tag_scores import class_kl, frechet
from reasound.media.video import Clip

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz
Scores = dict[str, dict[str, float | None]]
"""System -> measure -> number, or None where it is not defined."""

FRECHET = {
    "fd-panns": "panns-16k",
    "fd-vggish": "vggish",
    "fd-openl3": "openl3-env-512",
    "fd-passt": "passt",
}
KL = {"kl-panns": "panns-16k", "kl-passt": "passt"}
CLAP = "larger_clap_general"
OTHERS: dict[str, tuple[Published, str]] = {
    "imagebind": (imagebind.PUBLISHED["imagebind"], imagebind.ImageBind.protocol),
    "desync": (desync.PUBLISHED["desync"], desync.DeSync.protocol),
    "clap": (clap.PUBLISHED[CLAP], f"clap/{CLAP}, on the caption"),
    "clap-cot": (clap.PUBLISHED[CLAP], f"clap/{CLAP}, on the chain of thought"),
    "aesthetics": (aesthetics.PUBLISHED["aesthetics"], aesthetics.Aesthetics.protocol),
}
NAMES = (*FRECHET, *KL, *OTHERS)

LOADERS: dict[str, Callable[[Path | None], Any]] = {
    "imagebind": imagebind.load,
    "desync": desync.load,
    "clap": partial(clap.load, CLAP),
    "aesthetics": aesthetics.load,
    **{network: partial(embedder.load, network) for network in FRECHET.values()},
}
"""Network -> how it is read from a folder; those of KL are among those of FRECHET."""


def available(folder: Path | None = None) -> list[dict[str, Any]]:
    """One row for each measure: name, protocol, the file that it needs, who published that, and whether it is here."""
    files = embedder.published()
    rows = []
    for name in NAMES:
        if name in OTHERS:
            published, protocol = OTHERS[name]
        else:
            network = FRECHET.get(name) or KL[name]
            published, protocol = files[network], f"{name}/{network}"
        rows.append(
            {
                "name": name,
                "protocol": protocol,
                "file": published.file,
                "project": published.project,
                "licence": published.licence,
                "here": ((folder or embedder.default_folder()) / published.file).exists(),
            }
        )
    return rows


class Field:
    """Some measures of the field over a set. Clips come one after another; the distances of the set come last."""

    def __init__(self, names: Sequence[str], folder: Path | None = None) -> None:
        """Reads every network that is needed. UserError for an unknown name, or for weights that are not here."""
        for name in names:
            if name not in NAMES:
                raise UserError(f"there is no measure {name!r}; choose from {', '.join(NAMES)}")
        self.names = tuple(name for name in NAMES if name in names)
        self._networks = {
            network: LOADERS[network](folder) for network in dict.fromkeys(map(_network, self.names))
        }
        self._rows: dict[str, dict[str, list[NDArray[np.float32]]]] = {}  # network -> system -> embeddings

    @property
    def measures(self) -> dict[str, Measure]:
        """What each number means."""
        found: dict[str, Measure] = {}
        for name in self.names:
            network = self._networks[_network(name)]
            if name in FRECHET:
                text = "Frechet distance of the set's embeddings to those of the real sounds"
                found[name] = Measure(text, "", "lower", 2, network.protocol)
            elif name in KL:
                text = "KL(real || this) of the class probabilities, pair by pair"
                found[name] = Measure(text, "nats", "lower", 2, network.kl_protocol)
            elif name == "imagebind":
                text = "cosine of picture and sound; papers print 100 times this"
                found[name] = Measure(text, "", "higher", 3, network.protocol)
            elif name == "desync":
                text = "how far apart picture and sound seem, first and last 4.8 s"
                found[name] = Measure(text, "s", "lower", 2, network.protocol)
            elif name == "aesthetics":
                found |= {
                    f"aesthetics_{axis.lower()}": Measure(text, "", better, 2, network.protocol)
                    for axis, text, better in _AXES
                }
            else:
                what = "caption" if name == "clap" else "chain of thought"
                found[name] = Measure(
                    f"cosine of the sound and the {what}", "", "higher", 3, f"{network.protocol}/{what}"
                )
        return found

    def score(
        self,
        sounds: Mapping[str, Audio],
        real: Audio | None = None,
        clip: Clip | None = None,
        caption: str = "",
        reasoning: str = "",
    ) -> tuple[Scores, list[tuple[str, str]]]:
        """What can be said of each system's sound of one clip; and (system, reason) for each that could not be scored.

        `real` is scored as a system of that name, and remembered for the distances of the set.
        """
        every = dict(sounds) if real is None else {"real": real, **sounds}
        scores: Scores = {system: {} for system in every}
        problems: list[tuple[str, str]] = []
        for network in self._networks:
            wanted = [name for name in self.names if _network(name) == network]
            heard_real: Heard | None = None
            for system, audio in every.items():
                try:
                    if network in OTHERS:
                        scores[system] |= self._other(wanted, audio, clip, caption, reasoning)
                        continue
                    heard = self._networks[network](audio)
                except ValueError as error:
                    problems.append((system, f"{', '.join(wanted)}: {error}"))
                    continue
                self._rows.setdefault(network, {}).setdefault(system, []).append(heard.embeddings)
                if system == "real":
                    heard_real = heard
                scores[system] |= _divergences(wanted, heard_real, heard)
        return scores, problems

    def _other(
        self, wanted: Sequence[str], audio: Audio, clip: Clip | None, caption: str, reasoning: str
    ) -> dict[str, float | None]:
        network = self._networks[_network(wanted[0])]
        found: dict[str, float | None] = {}
        for name in wanted:
            if name in ("clap", "clap-cot"):
                text = caption if name == "clap" else reasoning
                if not text:
                    raise ValueError("there is no text to compare the sound with")
                found[name] = network.score(audio, text)
            elif name == "aesthetics":
                found |= {f"aesthetics_{axis.lower()}": v for axis, v in network.scores(audio).items()}
            elif clip is None:
                raise ValueError("there is no video to compare the sound with")
            else:
                found[name] = (
                    network.score(clip, audio) if name == "imagebind" else network.offset(clip, audio)
                )
        return found

    def whole(self) -> dict[str, dict[str, float]]:
        """System -> Frechet distances of all its sounds so far to the real ones; none where nothing real was heard."""
        found: dict[str, dict[str, float]] = {}
        for name in self.names:
            rows = self._rows.get(FRECHET.get(name, ""), {})
            if "real" not in rows:
                continue
            real = np.concatenate(rows["real"])
            for system, parts in rows.items():
                value = frechet(real, np.concatenate(parts))
                if math.isfinite(value):
                    found.setdefault(system, {})[name] = float(value)
        return found


_AXES = (
    ("CE", "content enjoyment, 1 to 10", "higher"),
    ("CU", "content usefulness, 1 to 10", "higher"),
    ("PC", "production complexity, 1 to 10", ""),
    ("PQ", "production quality, 1 to 10", "higher"),
)


def _network(name: str) -> str:
    return FRECHET.get(name) or KL.get(name) or ("clap" if name == "clap-cot" else name)


def _divergences(wanted: Sequence[str], real: Heard | None, heard: Heard) -> dict[str, float | None]:
    if real is None or real.probabilities is None or heard.probabilities is None:
        return {}
    value = class_kl(real.probabilities[None], heard.probabilities[None])
    return {name: value for name in wanted if name in KL}
