"""What this machine has to offer a large model: device, precision, free memory, speed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reasound.errors import UserError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda", "mps")


def device(wanted: str = "auto") -> torch.device:
    """The device that was asked for; "auto": the graphics card if there is one. UserError if it is not there."""
    import torch

    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device("cuda" if has["cuda"] else "mps" if has["mps"] else "cpu")
    if not has[wanted]:
        names = {"cuda": "NVIDIA graphics card that PyTorch can use", "mps": "Apple GPU that PyTorch can use"}
        raise UserError(f"this machine has no {names[wanted]}; use --device cpu")
    return torch.device(wanted)


def precision(wanted: str, on: torch.device) -> torch.dtype:
    """The precision that was asked for; "auto": bfloat16 where the device multiplies it faster than float32."""
    import torch

    if wanted == "auto":
        wanted = "bf16" if _fast_in_bf16(on) else "fp32"
    return torch.bfloat16 if wanted == "bf16" else torch.float32


def _fast_in_bf16(on: torch.device) -> bool:
    import torch

    if on.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if on.type == "cpu":
        able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False


def free_memory(on: torch.device) -> int:
    """Bytes that a program may still take on the device without others being pushed out; a container's limit counts."""
    if on.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(on)[0]
    import psutil

    free: int = psutil.virtual_memory().available
    try:  # a container's own limit (cgroup v2); its page cache can be given back
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        cache = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(cache["file"]))
    except (OSError, ValueError, KeyError):  # no such limit
        pass
    return free


def matrix_rate(dtype: torch.dtype, on: torch.device, seconds: float = 0.5) -> float:
    """FLOP a second of plain matrix products [2048, 2048], the speed that large networks are bound by."""
    import torch

    size = 2048
    a, b = (torch.randn(size, size, device=on).to(dtype) for _ in range(2))
    finish = torch.cuda.synchronize if on.type == "cuda" else lambda: None
    a @ b
    finish()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        a @ b
        finish()
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - started)
