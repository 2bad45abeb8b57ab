"""Data identifiers of a profile in the shape of DBC messages. Control plane only: cantools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbc.diagnosis import Did, DidField, did_message

if TYPE_CHECKING:
    from cantools.database.can import Message
    from cantools.database.can.signal import Signal


def message_of(did: int, row: Did) -> Message:
    """The value of a DID as a message; byte 0 is the first after the DID."""
    from cantools.database.can import Message

    end = max(field.at + field.size for field in row.fields)
    return Message(
        frame_id=did,
        name=did_message(did),
        length=row.size or end,
        signals=[_signal(field) for field in row.fields],
        strict=False,
    )


def _signal(field: DidField) -> Signal:
    """Big-endian; DBC names such a signal by its highest bit, counted from the top of a byte."""
    from cantools.database.can.signal import Signal
    from cantools.database.conversion import BaseConversion

    above = 8 * field.size - field.bit - field.bits
    byte, inside = divmod(8 * field.at + above, 8)
    return Signal(
        name=field.name,
        start=8 * byte + 7 - inside,
        length=field.bits,
        byte_order="big_endian",
        is_signed=field.signed,
        conversion=BaseConversion.factory(scale=field.factor, offset=field.offset),
        unit=field.unit,
    )
