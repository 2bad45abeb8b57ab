"""Ports for servers that a test starts as processes of their own."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below those the kernel gives to outgoing connections, and apart from scripts/apache-kafka's.
OWN_PORTS = range(11_000, 20_000)


def free_port() -> int:
    """A port of loopback nobody uses right now; tests that run side by side draw different ones."""
    chance = random.SystemRandom()  # the seed of the run is the same in every test process
    while True:
        port = chance.choice(OWN_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
