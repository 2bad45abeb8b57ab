"""From frames to signals and trouble codes: the one call of the pipeline.

Plain frames run through the kernel, classic and CAN FD apart. Frames that carry transport or
diagnosis are looked at one by one, over batches (`Tails`); values they carried are decoded by the
same plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dbc.profile import Profile
from decoders.carried import decode_carried
from decoders.iso14229_did import DataIdentifier, identifiers_of
from decoders.iso15765_addresses import AddressBook, Link
from decoders.j1939 import lamp_runs
from decoders.kernel_choice import open_kernel
from decoders.listening import Listening, Tails
from decoders.plan import Plan
from decoders.plan_subset import subset
from decoders.unchanged import ThinningKernel
from model.codes import CodeReport, EcuFact
from model.frames import FrameBatch
from model.signals import SignalBatch

__all__ = ["Decoded", "Decoder", "Tails"]

#: Just below the size (32 MiB) from which glibc learns nothing more.
_LARGE_BLOCK_BYTES = 24 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Everything one batch says."""

    signals: SignalBatch
    reports: tuple[CodeReport, ...]
    tails: Tails
    facts: tuple[EcuFact, ...] = ()


class Decoder:
    """Decodes batches of vehicles of one profile. Holds no state of a vehicle.

    `links` are diagnostic identifiers beside the usual ones, `dids` what the maker's DIDs mean.
    `signals` names what is wanted (None: everything). `drop_unchanged` decodes repeated payloads of
    messages that carry states only once a batch; samples are lost, so it is off by default.
    """

    def __init__(
        self,
        plan: Plan,
        links: Iterable[Link] = (),
        dids: Mapping[int, DataIdentifier] | None = None,
        *,
        signals: Collection[str] | None = None,
        drop_unchanged: bool = False,
    ) -> None:
        self.plan = plan = plan if signals is None else subset(plan, signals)
        kernel = open_kernel(plan)
        self._kernel = ThinningKernel(plan, kernel) if drop_unchanged else kernel
        described = np.flatnonzero(plan.ids.standard >= 0)
        described = described[~plan.iso_tp[plan.ids.standard[described]]]
        self._listening = Listening(AddressBook(links, described.tolist()), plan.j1939, dids or {})
        _keep_freed_memory()

    @classmethod
    def of_profile(cls, profile: Profile, plan: Plan) -> Decoder:
        """The decoder of a profile's plan, with the links and DIDs it knows."""
        links = [Link(k.request_id, k.answer_id, k.addressed) for k in profile.links.values()]
        return cls(plan, links, identifiers_of(profile.dids))

    def decode(self, batch: FrameBatch, tails: Tails) -> Decoded:
        found = self._kernel.decode(batch)
        heard, tails = self._listening.listen(batch, tails, found.status)
        parts = [*lamp_runs(self.plan, heard.lamps), *decode_carried(self.plan, heard.carried)]
        signals = found.signals(parts)
        return Decoded(signals, tuple(heard.reports), tails, tuple(heard.facts))


def _keep_freed_memory() -> None:
    """Freeing one large block teaches glibc to keep freed memory of up to that size.

    Without it every batch gives its arrays back to the kernel and faults them in again, which
    costs more than decoding (measured: 440 to 1 060 page faults a batch, 2 to 3 times slower).
    The block is never touched; other allocators ignore it.
    """
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)
