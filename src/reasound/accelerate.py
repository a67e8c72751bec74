"""The same numbers sooner: weights laid out once for the CPU's products, a step of the sampler as one CUDA graph.

Neither needs a compiler on the user's machine, and both step aside where they cannot work.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Velocity = Callable[[Tensor, Tensor], Tensor]


@functools.cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of torch and this CPU have the products that `Packed` uses: tried on a small one."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        with torch.no_grad():
            x = torch.ones(2, 16, dtype=dtype)
            weight = _laid_out(torch.eye(16, dtype=dtype), 2)
            gate = torch.ops.mkldnn._linear_pointwise(x, weight, None, "swish", [], "")
            once = torch.ops.mkldnn._linear_pointwise(x, gate, weight, None, "mul")
            return torch.equal(once, gate) and torch.equal(weight.to_dense(), torch.eye(16, dtype=dtype))
    except (RuntimeError, AttributeError, TypeError):
        return False


Then = Literal["none", "swish", "gelu"]


def _laid_out(weight: Tensor, rows: int) -> Tensor:
    """A weight [outputs, inputs] in the blocks that oneDNN wants for products with so many rows."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
    return packed


class Packed(nn.Module):
    """A layer whose weight [outputs, inputs] is laid out anew, once, for the CPU's matrix products.

    Ordinary products do that in each call: with the few hundred rows of one sound it is a third of their time in
    float32. It is done in the first product after `lower` that needs no derivative, and takes the place of the plain
    weight, which comes back for whatever asks for it: another device, another precision, `state_dict`.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    parts: int = 1
    """Blocks of outputs that are laid out by themselves."""
    lowered: bool = False
    packed: tuple[Tensor, ...] = ()

    @property
    def dtype(self) -> torch.dtype:
        return self.packed[0].dtype if self.packed else self.weight.dtype

    def lower(self, dtype: torch.dtype) -> None:
        """Run in this precision from now on, without derivatives for the weights."""
        self.unpack()
        for name, parameter in list(self.named_parameters(recurse=False)):
            setattr(self, name, nn.Parameter(parameter.detach().to(dtype), requires_grad=False))
        self.lowered = True

    def product(self, x: Tensor, then: Then = "none") -> Tensor:
        """x [..., inputs] in the weight's precision -> [..., outputs], and what follows: SiLU ("swish") or GELU."""
        if not self._pack(x):
            out = F.linear(x, self.weight, self.bias)
            return out if then == "none" else F.silu(out) if then == "swish" else F.gelu(out)
        done: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed[0], self.bias, then, [], "none")
        return done

    def gated_product(self, x: Tensor) -> Tensor:
        """The second half of the outputs times the SiLU of the first; no bias."""
        if not self._pack(x):
            gate, value = F.linear(x, self.weight).chunk(2, dim=-1)
            return F.silu(gate) * value
        gate_weight, value_weight = self.packed
        gate = torch.ops.mkldnn._linear_pointwise(x, gate_weight, None, "swish", [], "")
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, gate, value_weight, None, "mul")
        return out

    def _pack(self, x: Tensor) -> bool:
        """Whether x is to be multiplied by the weight in the CPU's layout; makes that, or the plain one, at need."""
        if not self.lowered or x.device.type != "cpu" or x.requires_grad:
            self.unpack()
            return False
        if self.packed:
            return True
        if not can_pack(self.dtype):
            return False
        with _ONE_AT_A_TIME:
            if not self.packed:
                rows = x.numel() // x.shape[-1]
                self.packed = tuple(_laid_out(w, rows) for w in self.weight.detach().chunk(self.parts))
                self._parameters["weight"] = None  # never two copies
        return True

    def unpack(self) -> None:
        """Back to the plain weight."""
        if self.packed:
            whole = torch.cat([part.to_dense() for part in self.packed])
            self._parameters["weight"] = nn.Parameter(whole, requires_grad=False)
            self.packed = ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.unpack()
        return super()._apply(fn, recurse)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        self.unpack()
        super()._save_to_state_dict(destination, prefix, keep_vars)


_ONE_AT_A_TIME = threading.Lock()


class Linear(Packed):
    """A matrix product in the precision of its weights, whatever that of its input."""

    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-(inputs**-0.5), inputs**-0.5))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, then: Then = "none") -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return self.product(fitted(x, self.dtype), then)


def fitted(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x in the precision in which it will be multiplied: that of autocast where it is on, else that of the weights."""
    if torch.is_autocast_enabled(x.device.type):
        return x.to(torch.get_autocast_dtype(x.device.type))
    return x.to(dtype)


def give_back_memory() -> None:
    """Return to the system what `keep_freed_memory` has kept: after a network is done with."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MB that layers free, for the next layer: else it returns them to the system, which
    clears every page again (a fifth of Synchformer's time). Elsewhere nothing happens."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h; the second counts in threads
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 256 << 20)
    mallopt(top_pad, 256 << 20)


class GraphMemory:
    """What the graphs of one sampling work in. They run one after the other and what they give is copied, so all can
    have the same, and the windows of a long sound do not each hold their own."""

    @functools.cached_property
    def handle(self) -> Any:
        return torch.cuda.graph_pool_handle()


def captured(velocity: Velocity, memory: GraphMemory | None = None) -> Velocity:
    """The same velocity; on CUDA it is recorded in its second call and from then on replayed, one launch a step.

    For inference, x of one shape, and conditions that stay where they are (`DiT.prepare`). Where recording is not
    possible, and for another shape, the velocity is asked itself. `memory`: shared with others of the same sampling.
    """
    memory = memory or GraphMemory()
    graph: _Graph | None = None
    calls, refused = 0, False

    def replayed(x: Tensor, t: Tensor) -> Tensor:
        nonlocal graph, calls, refused
        calls += 1
        # In the first call libraries choose kernels and ask for memory, which must not happen within a recording.
        if x.device.type != "cuda" or refused or calls == 1:
            return velocity(x, t)
        if graph is None:
            try:
                graph = _Graph(velocity, x, t, memory)
            except RuntimeError:
                refused = True
                torch.cuda.synchronize(x.device)
                return velocity(x, t)
        return graph(x, t) if graph.fits(x, t) else velocity(x, t)

    return replayed


class _Graph:
    """A velocity as one CUDA graph, with the places where it looks for x and t."""

    def __init__(self, velocity: Velocity, x: Tensor, t: Tensor, memory: GraphMemory) -> None:
        self.x, self.t = x.clone(), t.to(x.device, copy=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=memory.handle, capture_error_mode="thread_local"):
            self.out = velocity(self.x, self.t)

    def fits(self, x: Tensor, t: Tensor) -> bool:
        return x.shape == self.x.shape and t.shape == self.t.shape

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.x.copy_(x)
        self.t.copy_(t, non_blocking=True)
        self.graph.replay()
        return self.out.clone()  # the next replay writes there again
