"""What a kernel is: both of them, and what is wrapped around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from decoders.runs import Ints, Runs
from model.frames import FrameBatch
from model.signals import SignalBatch


class Samples(Protocol):
    """What a kernel found in one batch."""

    @property
    def status(self) -> NDArray[np.uint8]:
        """`FrameStatus` of each row; whoever reads more frames may correct it."""

    def signals(self, parts: Sequence[Runs]) -> SignalBatch:
        """All samples, those of `parts` (from transport protocols) among them."""


class Kernel(Protocol):
    """Decodes the plain frames of whole batches."""

    def decode(self, batch: FrameBatch, frame: Ints | None = None) -> Samples:
        """Everything the plan knows about the batch; `frame` numbers its rows (0, 1, 2 …)."""
