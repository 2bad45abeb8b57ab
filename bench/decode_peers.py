"""Against the fastest array decoder in Python: `python -m bench.decode_peers`.

asammdf's `extract_bus_logging` is at its best with a million frames in one call, ours works on
5 000-frame batches; frames a second over frames a second, one process, processor time. Needs the
extra `mf4`; says so and claims nothing where that or the compiled kernel is missing.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any  # asammdf has no types

import numpy as np

from bench._database import report
from bench._decode_loads import Load, j1939, mux_fd, passenger
from bench.decode import BATCH, Work, _plan
from decoders.kernel_choice import COMPILED, kernel_name, open_kernel
from model.frames import EXTENDED_ID, ID_MASK, FrameBatch

FRAMES = 1_000_000
FLOORS = {"passenger": 40.0, "j1939": 80.0, "mux_fd": 10.0}
_FRAME = "CAN_DataFrame"
#: How a DBC file says J1939 to asammdf.
_J1939 = """
BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG";
BA_DEF_ "ProtocolType" STRING ;
BA_DEF_DEF_ "VFrameFormat" "J1939PG";
BA_DEF_DEF_ "ProtocolType" "J1939";
BA_ "ProtocolType" "J1939";
"""


def main() -> int:
    if importlib.util.find_spec("asammdf") is None or kernel_name() != COMPILED:
        print("decode_peers: needs asammdf and the compiled kernel; nothing claimed")
        return 0
    return max([_claim(make(BATCH)) for make in (passenger, j1939, mux_fd)])


def _claim(load: Load) -> int:
    kernel, batch = open_kernel(_plan(load)), load.batch()
    ours_s = min(_seconds(lambda: kernel.decode(batch).signals(()), 200) for _ in range(9))
    theirs_s, samples = _asammdf_seconds(load, batch)
    per_frame = len(kernel.decode(batch).signals(())) / BATCH
    assert samples > 0.9 * per_frame * FRAMES, f"asammdf read {samples} values only"
    return report(
        claim=f"decode_asammdf_{load.name}",
        value=(BATCH / ours_s) / (FRAMES / theirs_s),
        floor=FLOORS[load.name],
        unit="x",
        peer="asammdf extract_bus_logging, 1 M frames in a call",
        peer_frames_per_s=FRAMES / theirs_s,
    )


def _asammdf_seconds(load: Load, batch: FrameBatch) -> tuple[float, int]:
    """Its best of two, extraction and reading every signal, scaled; and how many values it read."""
    from asammdf import MDF

    stored = _measurement(batch)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.dbc"
        path.write_text(load.dbc + (_J1939 if load.j1939 else ""))
        counts: list[int] = []

        def extract() -> None:
            count = 0
            with MDF(io.BytesIO(stored)) as mdf:
                found = mdf.extract_bus_logging({"CAN": [(str(path), 0)]})
                for group in range(len(found.groups)):
                    for channel in range(1, len(found.groups[group].channels)):
                        count += len(found.get(group=group, index=channel))
            counts.append(count)

        return min(_seconds(extract, 1) for _ in range(2)), counts[-1]


def _measurement(batch: FrameBatch) -> bytes:
    """The batch repeated to `FRAMES` frames as an MDF file."""
    from asammdf import MDF, Signal, Source

    width = 64 if len(batch.payload64) else 8
    rows = np.zeros(len(batch), _row_type(width))
    column = f"{_FRAME}.{{}}".format
    rows[column("BusChannel")] = 1
    rows[column("ID")] = batch.can_id & ID_MASK
    rows[column("IDE")] = batch.can_id >= EXTENDED_ID
    rows[column("DLC")] = rows[column("DataLength")] = batch.length
    rows[column("DataBytes")][: batch.n8, :8] = batch.payload8
    if width == 64:
        rows[column("DataBytes")][batch.n8 :] = batch.payload64
        rows[column("EDL")][batch.n8 :] = 1
    source = Source("CAN", "CAN", "", Source.SOURCE_BUS, Source.BUS_TYPE_CAN)
    target = io.BytesIO()
    with MDF(version="4.10") as mdf:
        samples = np.tile(rows, FRAMES // len(batch))
        times = np.arange(len(samples)) * 350e-6
        mdf.append(Signal(samples=samples, timestamps=times, name=_FRAME, source=source))
        mdf.save(target)
    return target.getvalue()


def _row_type(width: int) -> np.dtype[Any]:
    fields: list[tuple[str, Any]] = [
        ("BusChannel", "u1"), ("ID", "<u4"), ("IDE", "u1"), ("DLC", "u1"), ("DataLength", "u1"),
        ("DataBytes", ("u1", (width,))), ("Dir", "u1"), ("EDL", "u1"), ("BRS", "u1"), ("ESI", "u1"),
    ]  # fmt: skip
    return np.dtype([(f"{_FRAME}.{name}", kind) for name, kind in fields])


def _seconds(work: Work, turns: int) -> float:
    start = time.thread_time()
    for _ in range(turns):
        work()
    return (time.thread_time() - start) / turns


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # asammdf's own
        sys.exit(main())
