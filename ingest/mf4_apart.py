"""MDF 4 files read in a process of their own: importing asammdf takes a second and 100 MB."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from datetime import tzinfo
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from ingest import mf4
from ingest.columns import Columns, Faults, LogFault
from model.errors import DecodeError

#: How long the reader may take to end after its last word.
END_S = 10.0


def read_mf4(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """As `mf4.read_mf4`, from a temporary copy: MDF is read by seeking, and asammdf writes into it.

    What cannot be an MDF file is refused here. The pipe between the processes bounds how far the
    reader runs ahead. Raises MissingExtraError, DecodeError.
    """
    with tempfile.TemporaryDirectory(prefix="roadcall-mf4-") as folder:
        copy = Path(folder) / "log.mf4"
        with copy.open("w+b") as file:
            shutil.copyfileobj(stream, file)
            mf4.check(file)
        apart = multiprocessing.get_context("spawn")
        here, there = apart.Pipe(duplex=False)
        reader = apart.Process(target=_read, args=(copy, zone, there), daemon=True)
        reader.start()
        there.close()
        try:
            yield from _listen(here, faults)
        finally:
            here.close()
            reader.terminate()
            reader.join(END_S)


def _listen(pipe: Connection, faults: Faults) -> Iterator[Columns]:
    while True:
        try:
            said: Columns | LogFault | DecodeError | None = pipe.recv()
        except EOFError:
            raise DecodeError("the MDF reader ended early") from None
        if said is None:
            return
        if isinstance(said, DecodeError):
            raise said
        if isinstance(said, LogFault):
            faults.add(said.line, said.reason)
        else:
            yield said


def _read(path: Path, zone: tzinfo, pipe: Connection) -> None:
    """The other process: blocks and faults in the order of the file, then None or an error."""
    faults = Faults()
    with path.open("r+b") as file:
        try:
            for columns in mf4.read_mf4(file, faults, zone):
                for fault in faults.first:
                    pipe.send(fault)
                faults.first.clear()
                pipe.send(columns)
            for fault in faults.first:
                pipe.send(fault)
            pipe.send(None)
        except DecodeError as error:
            pipe.send(DecodeError(str(error)))
        except BrokenPipeError:
            return
