"""Reference encoder of the Roadcall frame batch, wire format 1. Public domain (CC0).

No dependency. Reads candump lines from standard input, writes one batch to standard output:

    candump -L can0 | head -1000 | python3 encoder.py | gzip > batch.rcfb.gz
    curl -X POST https://HOST/v1/vehicles/VIN/frames --data-binary @batch.rcfb.gz \
         -H "Authorization: Bearer TOKEN" -H "Idempotency-Key: boot42-000017" \
         -H "Content-Type: application/vnd.roadcall.frames" -H "Content-Encoding: gzip"
"""

import struct
import sys

EXTENDED, REMOTE, ERROR = 0x80000000, 0x40000000, 0x20000000  # bits of can_id
FD, BRS, ESI, TX = 1, 2, 4, 8  # bits of flags


def encode(frames):
    """Wire bytes of frames: (observed_ns, can_id, bus, flags, payload[, length]).

    Rows keep their order inside the two sections: classic first, CAN FD after. `length` is only
    for remote frames, which have a length and no payload.
    """
    classic = [f for f in frames if not f[3] & FD]
    fd = [f for f in frames if f[3] & FD]
    rows = classic + fd
    lengths = [f[5] if len(f) > 5 else len(f[4]) for f in rows]
    n = len(rows)
    return b"".join(
        [
            struct.pack("<4sBBHII", b"RCFB", 1, 0, 0, len(classic), len(fd)),
            struct.pack(f"<{n}q", *(f[0] for f in rows)),
            struct.pack(f"<{n}I", *(f[1] for f in rows)),
            bytes(f[2] for f in rows),
            bytes(f[3] for f in rows),
            bytes(lengths),
            b"".join(f[4].ljust(8, b"\0") for f in classic),
            b"".join(f[4].ljust(64, b"\0") for f in fd),
        ]
    )


def parse(line):
    """One `(seconds.fraction) can0 ID#DATA` line as a frame."""
    time, name, rest = line.split()[:3]
    seconds, fraction = time.strip("()").split(".")
    observed_ns = int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
    bus = int("".join(c for c in name if c.isdigit()) or 0)
    identifier, _, payload = rest.partition("#")
    can_id, flags = int(identifier, 16), 0
    if len(identifier) == 8 and not can_id & ERROR:
        can_id |= EXTENDED
    if payload[:1] == "R":
        return observed_ns, can_id | REMOTE, bus, flags, b"", int(payload[1:] or 0)
    if payload[:1] == "#":
        digit = int(payload[1], 16)
        flags |= FD | (BRS if digit & 1 else 0) | (ESI if digit & 2 else 0)
        payload = payload[2:]
    return observed_ns, can_id, bus, flags, bytes.fromhex(payload)


if __name__ == "__main__":
    sys.stdout.buffer.write(encode([parse(line) for line in sys.stdin if line.strip()]))
