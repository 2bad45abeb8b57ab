"""Recorded drives for rules: a log decoded as the worker would, by a profile or by DBC files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dbc.loader import load_messages
from dbc.profile import Binding, DbcFile, Profile, load_profile
from decoders.decode import Decoder, Tails
from decoders.plan import compile_plan
from ingest.log_files import read_log
from model.catalogue import find_signal
from model.clock import NS
from model.errors import DecodeError, LimitExceededError
from model.frames import FrameBatch, concatenate
from model.vehicle import Vehicle
from roadcall.recall import MAX_ARCHIVE_FRAMES
from rules.pack_tests import VIN, OpenLog, PackTest, Upload

#: An upload holds at most so much of a drive.
UPLOAD_NS = NS


def plain_profile(dbc: Sequence[Path]) -> Profile:
    """DBC files as they are: a signal that has a name of the catalogue is that signal.

    Raises ProfileError.
    """
    files, bindings = [], {}
    for path in dbc:
        messages = load_messages(path)
        truck = any(message.protocol == "j1939" for message in messages)
        files.append(DbcFile(path, j1939=truck))
        for message in messages:
            for signal in message.signals:
                if find_signal(signal.name) is not None:
                    bindings[f"{message.name}.{signal.name}"] = Binding(signal.name)
    return Profile("plain", "combustion", tuple(files), bindings)


def decoder_for(profile: Profile) -> Decoder:
    """Raises ProfileError."""
    return Decoder.of_profile(profile, compile_plan(profile))


def in_uploads(batch: FrameBatch, first_ns: int) -> Iterator[FrameBatch]:
    """A drive cut into seconds from its first frame, in order of time."""
    batch = batch.take(np.argsort(batch.observed_ns, kind="stable"))
    second = (batch.observed_ns - first_ns) // UPLOAD_NS
    for wanted in np.unique(second):
        part = batch.take(np.flatnonzero(second == wanted))
        yield replace(part, received_ns=int(part.observed_ns.max()))


class LogDrive:
    """A log held in memory, see `rules.pack_tests.Log`. Raises DecodeError."""

    def __init__(self, path: Path, decoder: Decoder, vehicle: Vehicle) -> None:
        batches, frames = [], 0
        for batch in read_log(path):
            frames += len(batch)
            if frames > MAX_ARCHIVE_FRAMES:
                raise LimitExceededError(what=path.name, limit=MAX_ARCHIVE_FRAMES, got=frames)
            batches.append(batch)
        if not frames:
            raise DecodeError(f"{path.name}: no frames")
        self._batch, self._decoder, self.vehicle = concatenate(batches), decoder, vehicle
        self.first_ns = int(self._batch.observed_ns.min())
        self.last_ns = int(self._batch.observed_ns.max())

    def until(self, end_ns: int) -> Upload:
        """All that was observed up to a moment, as one upload."""
        rows = np.flatnonzero(self._batch.observed_ns <= end_ns)
        found = self._decoder.decode(self._batch.take(rows), Tails())
        return found.signals, found.reports

    def uploads(self) -> Iterable[tuple[int, Upload]]:
        """(arrival, upload) second by second."""
        tails = Tails()
        for part in in_uploads(self._batch, self.first_ns):
            found = self._decoder.decode(part, tails)
            tails = found.tails
            yield part.received_ns, (found.signals, found.reports)


def log_opener(folder: Path, profile_path: Sequence[Path]) -> OpenLog:
    """Opens the logs of tests; their names are relative to the folder of the test file."""
    decoders: dict[tuple[str, ...], tuple[Profile, Decoder]] = {}

    def decoder_of(test: PackTest) -> tuple[Profile, Decoder]:
        key = (test.profile, *test.dbc)
        if key not in decoders:
            dbc = [folder / name for name in test.dbc]
            profile = plain_profile(dbc) if dbc else load_profile(test.profile, profile_path)
            decoders[key] = profile, decoder_for(profile)
        return decoders[key]

    def opened(test: PackTest) -> LogDrive:
        profile, decoder = decoder_of(test)
        assert test.replay is not None, "a test without a log"
        told = {"vin": VIN, "profile": profile.name, "powertrain": profile.powertrain}
        return LogDrive(folder / test.replay, decoder, Vehicle(**{**told, **test.vehicle}))

    return opened
