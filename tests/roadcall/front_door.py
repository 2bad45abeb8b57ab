"""Roadcall as its users start it: `roadcall up` and other commands as child processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from tests.ports import free_port

START_LIMIT_S = 60.0


@dataclass
class FrontDoor:
    """One installation's environment, and the commands one types."""

    dsn: str
    home: Path
    kafka: str | None = None
    profiles: Path | None = None
    port: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        found = {k: v for k, v in os.environ.items() if not k.startswith("ROADCALL_")}
        found |= {
            "ROADCALL_DSN": self.dsn,
            "ROADCALL_HOME": str(self.home),
            "ROADCALL_PORT": str(self.port),
            **self.extra,
        }
        if self.kafka:
            found |= {
                "ROADCALL_KAFKA": self.kafka,
                "ROADCALL_KAFKA_TOPIC": f"t{self.port}.{os.getpid()}",
            }
        if self.profiles:
            found["ROADCALL_PROFILE_PATH"] = str(self.profiles)
        return found

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A long-running command."""
        return subprocess.Popen(
            [sys.executable, "-m", "roadcall.cli", *command], env=self.environment
        )

    def run(self, *command: str) -> str:
        """A command to its end; what it printed."""
        done = subprocess.run(  # noqa: PLW1510 - the return code is asserted on
            [sys.executable, "-m", "roadcall.cli", *command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    @contextmanager
    def up(self) -> Iterator[None]:
        """`roadcall up`, ready."""
        child = self.start("up")
        try:
            self.wait_ready()
            yield
        finally:
            child.terminate()
            child.wait(30)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError("not ready")

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn) as conn:
            return conn.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]

    def wait_for(self, statement: str, expected: object, limit_s: float = 60.0) -> None:
        """Until a one-value question has this answer."""
        deadline = time.monotonic() + limit_s
        while (found := self.rows(statement)[0][0]) != expected:
            assert time.monotonic() < deadline, f"{found} is not {expected}"
            time.sleep(0.1)
