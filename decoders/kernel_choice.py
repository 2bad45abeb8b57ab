"""Which kernel runs: the compiled one where it was built, else NumPy.

Both say the same, bit by bit. ROADCALL_KERNEL=numpy forces the reference, =compiled refuses to run
without the extension. It is read here and not from the settings, because it tells two builds of
one function apart and changes no result.
"""

from __future__ import annotations

import logging
import os
from functools import cache

from decoders.containers import ContainerKernel
from decoders.kernel_contract import Kernel
from decoders.kernel_numpy import NumpyKernel
from decoders.plan import Plan
from model.errors import RoadcallError

VARIABLE = "ROADCALL_KERNEL"
COMPILED, NUMPY = "compiled", "numpy"
_log = logging.getLogger(__name__)


class NoCompiledKernelError(RoadcallError):
    """ROADCALL_KERNEL asks for a kernel that is not there."""


def open_kernel(plan: Plan) -> Kernel:
    """The kernel for a plan; the first call of a process logs which one it is."""
    kernel: Kernel = NumpyKernel(plan)
    if kernel_name() == COMPILED:
        from decoders.kernel_compiled import CompiledKernel

        kernel = CompiledKernel(plan)
    return ContainerKernel(plan, kernel) if len(plan.containers.message) else kernel


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
