"""What the arithmetic of a network needs, and what plain products and copies of its sizes reach."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from warpzone import hardware
from warpzone.ppo.policy import SCALARS, Observation, Policy
from warpzone.training.networks import Dense

SECONDS = 0.1
"""Of each timing, at least."""
MOST_ROWS = 1 << 16
"""Of a product that is timed: more rows are no faster."""
ADAM_BYTES = 4 * 7
"""Of a parameter in a step of Adam: weight and two moments read and written, gradient read."""
NORM_BYTES = 4
"""… and the gradient once more for its length."""


@dataclass(frozen=True)
class Product:
    """A matrix product of a layer, [rows · B, inputs] × [inputs, outputs] for B samples."""

    rows: float
    """For each sample."""
    inputs: int
    outputs: int
    used: float
    """Of the inputs, those of a row that the layer does not leave out."""
    first: bool
    """Of a layer whose inputs need no gradient."""

    @property
    def forward(self) -> float:
        """Returns the floating-point operations for a sample: a multiplication and an addition."""
        return 2 * self.rows * self.used * self.outputs

    @property
    def backward(self) -> float:
        """Returns those for the gradients of weights, and of inputs where they are needed."""
        return self.forward * (1 if self.first else 2)

    @property
    def name(self) -> str:
        """Returns the sizes for a table."""
        rows = f"{self.rows:g}·B × " if self.rows != 1 else "B × "
        return f"{rows}{self.inputs:,} × {self.outputs:,}"


# torch leaves the class and its constructor without types.
class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the matrix products and convolutions that are computed within it."""

    def __init__(self, samples: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.samples = samples
        self.found: list[Product] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm"):
            a, b = args[-2:]
            self._add(a.shape[0], a.shape[1], b.shape[1])
        elif name == "convolution":
            weight = args[1]
            places = out.shape[0] * out.shape[2] * out.shape[3]
            self._add(places, weight[0].numel(), weight.shape[0])
        return out

    def _add(self, rows: int, inputs: int, outputs: int) -> None:
        first = not self.found
        self.found.append(Product(rows / self.samples, inputs, outputs, inputs, first))


def products_of(policy: Policy, observations: Observation, relative: bool = False) -> list[Product]:
    """Returns the matrix products of a forward pass over `observations` [B, ...], which should be
    real ones: of a first layer that leaves out inputs, they tell how many there are.

    `relative`: it leaves out what more than half of the observations have, not only zeros.
    """
    samples = len(next(iter(observations.values())))
    found = _Products(samples)
    with torch.no_grad(), found:
        policy(observations)
    trunk = policy.trunk
    if not isinstance(trunk, Dense):
        return found.found
    parts = [observations[name].flatten(1) for name in trunk.byte_names]
    if trunk.scalars:
        scalars = observations[SCALARS]
        parts.append(scalars if trunk.features is None else trunk.features(scalars))
    used = sum(float((x != _common(x, relative)).sum()) / samples for x in parts)
    inputs, outputs = trunk.weight.shape
    others = [Product(p.rows, p.inputs, p.outputs, p.used, first=False) for p in found.found]
    return [Product(1.0, inputs, outputs, used, first=True), *others]


def _common(inputs: Tensor, relative: bool) -> Tensor:
    """Returns what of `inputs` [B, N] need not be read: zeros, or what more than half have."""
    if not relative:
        return inputs.new_zeros(inputs.shape[1])
    most = inputs.mode(0).values
    often = 2 * (inputs == most).sum(0) > len(inputs)
    return torch.where(often, most, inputs.new_zeros(()))


def parameters_of(policy: Policy) -> int:
    """Returns how many weights there are to learn."""
    return sum(parameter.numel() for parameter in policy.parameters())


def bytes_of(observations: Observation) -> int:
    """Returns the bytes of one of `observations` [B, ...]."""
    return sum(array[0].numel() * array.element_size() for array in observations.values())


def product_rate(product: Product, samples: int, dtype: torch.dtype, threads: int) -> float:
    """Returns the FLOP/s of `torch.mm` with a layer's sizes for a batch of `samples`."""
    rows = max(1, min(MOST_ROWS, round(product.rows * samples)))
    a = torch.randn(rows, product.inputs).to(dtype)
    b = torch.randn(product.inputs, product.outputs).to(dtype)
    out = torch.empty(rows, product.outputs, dtype=dtype)
    with hardware.torch_threads(threads), torch.no_grad():
        calls, seconds = _repeat(lambda: torch.mm(a, b, out=out))
    return 2.0 * rows * product.inputs * product.outputs * calls / seconds


def copy_rate(size: int, threads: int) -> float:
    """Returns the bytes per second, read and written, of a copy of `size` bytes in memory."""
    a = torch.zeros(max(1, size), dtype=torch.uint8)
    b = torch.empty_like(a)
    with hardware.torch_threads(threads):
        calls, seconds = _repeat(lambda: b.copy_(a))
    return 2.0 * len(a) * calls / seconds


def plain_seconds(
    products: list[Product], rates: dict[Product, float], flops: Callable[[Product], float]
) -> float:
    """Returns how long the products of one sample would take at the speed of plain ones."""
    return sum(flops(product) / rates[product] for product in products)


def _repeat(work: Callable[[], Tensor]) -> tuple[int, float]:
    """Calls `work` for `SECONDS`; returns how often and how long."""
    work()
    begin, calls = time.perf_counter(), 0
    while (seconds := time.perf_counter() - begin) < SECONDS or calls == 0:
        work()
        calls += 1
    return calls, seconds
