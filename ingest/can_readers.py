"""Vector ASC and BLF, PEAK TRC and python-can CSV, read by python-can.

python-can hands out seconds as floats, which lose digits at today's dates. ASC times are therefore
taken from the line itself and BLF times added to the file's start here; TRC and CSV times are
rounded to the microsecond.

ASC and BLF hold the logger's local time without a zone: the caller names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import BinaryIO, TextIO, cast

from can import Message
from can.io.asc import ASCReader
from can.io.blf import BLFReader
from can.io.csv import CSVReader
from can.io.generic import MessageReader
from can.io.trc import TRCReader

from ingest.columns import Columns, Faults, RowBuffer
from ingest.text_lines import ResumableLines
from model.clock import NS, ns_of
from model.errors import DecodeError, RoadcallError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameFlag

#: Rows handed on together.
BLOCK_ROWS = 20_000
_START = re.compile(
    r"\s*(?:begin\s+triggerblock|date)\s+\w+\s+(\w+)\s+(\d+)\s+(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?"
    r"(?:\s+(am|pm))?\s+(\d{4})",
    re.IGNORECASE,
)
_ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_ENGLISH, 1)}
_MONTHS |= {"mär": 3, "mai": 5, "okt": 10, "dez": 12}  # Vector tools on German machines
_OFFSET = re.compile(r"\s*(\d{1,9})\.(\d{1,9})\s")
_RELATIVE = re.compile(r"\s*base\s+\w+\s+timestamps\s+relative", re.IGNORECASE)
_ANY_START = re.compile(r"\s*(?:begin\s+triggerblock|date)\b", re.IGNORECASE)


class _AscTime:
    """The time of the ASC line seen last: start of its block plus its offset, exact."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone, self._start_ns, self._offset_ns = zone, 0, 0
        self._relative = False

    def see(self, line: str) -> None:
        """Follow the lines. Raises DecodeError for a start that is no date."""
        if match := _OFFSET.match(line):
            offset_ns = int(match[1]) * NS + int(match[2].ljust(9, "0"))
            self._offset_ns = self._offset_ns + offset_ns if self._relative else offset_ns
        elif match := _START.match(line):
            self._start_ns, self._offset_ns = _local_ns(match, self._zone), 0
        elif _RELATIVE.match(line):
            self._relative = True
        elif _ANY_START.match(line):
            raise DecodeError("start of measurement is not a date")

    def now_ns(self, message: Message) -> int:
        """Time of the message on the line seen last."""
        return self._start_ns + self._offset_ns


def _local_ns(match: re.Match[str], zone: tzinfo) -> int:
    month, day, hour, minute, second, fraction, half, year = match.groups()
    hours = int(hour) if half is None else int(hour) % 12 + 12 * (half.lower() == "pm")
    microsecond = int((fraction or "0").ljust(6, "0"))
    try:
        number = _MONTHS[month[:3].lower()]
        return ns_of(
            datetime(
                int(year), number, int(day), hours, int(minute), int(second), microsecond, zone
            )
        )
    except (KeyError, ValueError, OverflowError):
        raise DecodeError("start of measurement is not a date") from None


def read_asc(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """Vector ASC, absolute or relative times."""
    time = _AscTime(zone)

    def see(line: str) -> None:
        try:
            time.see(line)
        except DecodeError as error:
            faults.add(lines.number, str(error))

    lines = ResumableLines(
        stream,
        is_header=lambda line: not re.match(r"\s*\d", line),
        see=see,
        ending="internal events logged\n",
    )
    yield from _text_blocks(lines, lambda: ASCReader(cast("TextIO", lines)), faults, time.now_ns)


class _StrictTrcReader(TRCReader):
    """Lets out what python-can only logs: a line with too few columns."""

    def _parse_line(self, line: str) -> Message | None:
        if not line.strip() or line.startswith(";"):
            return None
        return self._parse_cols(tuple(line.split(maxsplit=self._num_columns)))


def read_trc(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """PEAK TRC 1.0 to 2.1; bus 1 of the file is bus 0."""
    lines = ResumableLines(stream, is_header=lambda line: line.lstrip().startswith(";"))
    yield from _text_blocks(
        lines, lambda: _StrictTrcReader(cast("TextIO", lines)), faults, _rounded_ns, first_bus=1
    )


def read_csv(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """python-can's CSV. It names no bus."""
    lines = ResumableLines(stream, is_header=lambda line: line.startswith("timestamp"))
    yield from _text_blocks(lines, lambda: CSVReader(cast("TextIO", lines)), faults, _rounded_ns)


def read_blf(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """Vector BLF. What follows a broken object is lost; the fault says so."""
    buffer = RowBuffer()
    try:
        reader = BLFReader(stream)
        start = datetime.fromtimestamp(reader.start_timestamp, UTC)
        start_ns = ns_of(start.replace(tzinfo=zone)) if reader.start_timestamp else 0
        reader.start_timestamp = 0.0
        for message in reader:
            _add(message, start_ns + round(message.timestamp * NS), buffer, faults)
            if len(buffer) >= BLOCK_ROWS:
                yield buffer.columns()
                buffer = RowBuffer()
    except RoadcallError:
        raise
    except Exception as error:  # python-can lets struct, zlib and its own errors out
        faults.add(0, f"BLF is broken, the rest is not read: {error or type(error).__name__}")
    yield buffer.columns()


def _rounded_ns(message: Message) -> int:
    return round(message.timestamp * 1_000_000) * 1000


def _text_blocks(
    lines: ResumableLines,
    reader: Callable[[], MessageReader],
    faults: Faults,
    time_ns: Callable[[Message], int],
    *,
    first_bus: int = 0,
) -> Iterator[Columns]:
    """Blocks of rows; after a broken line a new reader goes on with the next."""
    buffer = RowBuffer()
    try:
        while not lines.ended:
            try:
                for message in reader():
                    _add(
                        message,
                        time_ns(message),
                        buffer,
                        faults,
                        line=lines.number,
                        first_bus=first_bus,
                    )
                    if len(buffer) >= BLOCK_ROWS:
                        yield buffer.columns()
                        buffer = RowBuffer()
            except RoadcallError:
                raise
            except Exception as error:  # python-can lets many kinds out at a broken line
                faults.add(lines.number, f"not understood: {str(error)[:80]}")
            lines.restart()
        yield buffer.columns()
    finally:
        lines.detach()


def _add(
    message: Message,
    observed_ns: int,
    buffer: RowBuffer,
    faults: Faults,
    *,
    line: int = 0,
    first_bus: int = 0,
) -> None:
    bits = (
        (message.is_extended_id, EXTENDED_ID),
        (message.is_remote_frame, REMOTE_FRAME),
        (message.is_error_frame, ERROR_FRAME),
    )
    flags = (
        (message.is_fd, FrameFlag.FD),
        (message.is_fd and message.bitrate_switch, FrameFlag.BRS),
        (message.is_fd and message.error_state_indicator, FrameFlag.ESI),
        (not message.is_rx, FrameFlag.TX),
    )
    try:
        if message.arbitration_id > int(ID_MASK):
            raise DecodeError(f"id {message.arbitration_id:#x} exceeds 29 bits")
        buffer.add(
            observed_ns,
            message.arbitration_id | sum(int(bit) for is_set, bit in bits if is_set),
            b"" if message.is_remote_frame else bytes(message.data),
            bus=max(0, message.channel - first_bus) if isinstance(message.channel, int) else 0,
            flags=sum(int(bit) for is_set, bit in flags if is_set),
            length=message.dlc if message.is_remote_frame else -1,
        )
    except DecodeError as error:
        faults.add(line, str(error))
