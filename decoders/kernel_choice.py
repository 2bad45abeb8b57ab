"""Which kernel runs: the compiled one where it was built, else NumPy.

Both say the same, bit by bit. ROADCALL_KERNEL=numpy forces the reference, =compiled refuses to run
without the extension. It is read here and not from the settings, because it tells two builds of
one function apart and changes no result.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from decoders.kernel_numpy import NumpyKernel
from decoders.plan import Plan
from decoders.runs import Runs
from model.errors import RoadcallError
from model.frames import FrameBatch
from model.signals import SignalBatch

VARIABLE = "ROADCALL_KERNEL"
COMPILED, NUMPY = "compiled", "numpy"
_log = logging.getLogger(__name__)


class Samples(Protocol):
    """What a kernel found in one batch."""

    @property
    def status(self) -> NDArray[np.uint8]:
        """`FrameStatus` of each row; whoever reads more frames may correct it."""

    def signals(self, parts: Sequence[Runs]) -> SignalBatch:
        """All samples, those of `parts` (from transport protocols) among them."""


class Kernel(Protocol):
    """Decodes the plain frames of whole batches."""

    def decode(self, batch: FrameBatch) -> Samples:
        """Everything the plan knows about the batch."""


class NoCompiledKernelError(RoadcallError):
    """ROADCALL_KERNEL asks for a kernel that is not there."""


def open_kernel(plan: Plan) -> Kernel:
    """The kernel for a plan; the first call of a process logs which one it is."""
    if kernel_name() == NUMPY:
        return NumpyKernel(plan)
    from decoders.kernel_compiled import CompiledKernel

    return CompiledKernel(plan)


@cache
def kernel_name() -> str:
    """`compiled` or `numpy`. Raises `NoCompiledKernelError` when the wanted one is missing."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", COMPILED, NUMPY):
        raise NoCompiledKernelError(f"{VARIABLE}={wanted}: not one of {COMPILED}, {NUMPY}")
    reason = ""
    if wanted != NUMPY:
        try:
            import decoders.kernel_compiled  # noqa: F401
        except ImportError as error:
            reason = str(error)
    if wanted == COMPILED and reason:
        raise NoCompiledKernelError(f"{VARIABLE}={wanted}: {reason}")
    name = NUMPY if wanted == NUMPY or reason else COMPILED
    _log.info("decode kernel: %s%s", name, f" ({reason})" if reason else "")
    return name
