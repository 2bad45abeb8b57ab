"""The whole system as real processes that can be killed and come back, as under a supervisor."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from store.database import connect, open_pool, transaction
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from tests.kafka.rig import kill_kafka
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
KAFKA_SCRIPT = ROOT / "scripts" / "apache-kafka"
RESTART_S, AWAY_S, STOP_LIMIT_S, PATIENCE_S = 0.3, 2.0, 40.0, 120.0


class Supervised:
    """`roadcall COMMAND`, started again whenever it ends."""

    def __init__(self, command: str, environment: dict[str, str], folder: Path) -> None:
        self._arguments = [sys.executable, "-m", "roadcall.cli", command]
        self._environment = environment
        self.output = folder / f"{command}.log"
        self._stopping = threading.Event()
        self._child = self._start()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        self._child.send_signal(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self._stopping.set()
        self._child.terminate()
        return self._child.wait(STOP_LIMIT_S)

    def _start(self) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            return subprocess.Popen(
                self._arguments, env=self._environment, stdout=output, stderr=output
            )

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            self._child.wait()
            if not self._stopping.wait(RESTART_S):
                self._child = self._start()


class Kafka:
    """One Apache Kafka node."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "kafka"
        self.address = self.start("--port", "0")

    def start(self, *port: str) -> str:
        command = [KAFKA_SCRIPT, "start", "--home", self._home, *port]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def kill(self) -> None:
        kill_kafka(self._home)

    def stop(self) -> None:
        subprocess.run([KAFKA_SCRIPT, "stop", "--home", self._home], check=True)


class System:
    """Database, ingest and worker; with Kafka between them, or PostgreSQL as the log."""

    def __init__(self, *, with_kafka: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="roadcall-faults-"))
        self.folder.chmod(0o755)
        self.postgres = EmbeddedPostgres(self.folder / "postgres")
        self.dsn = self.postgres.start()
        with connect(self.dsn, autocommit=True) as conn:
            migrate(conn, 12, timescale=False)
        self.pool = open_pool(self.dsn, 4)
        self.kafka = Kafka(self.folder) if with_kafka else None
        self.address = f"http://127.0.0.1:{free_port()}"
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("ROADCALL_")},
            "ROADCALL_DSN": self.dsn,
            "ROADCALL_TIMESCALE": "false",
            "ROADCALL_HOME": str(self.folder / "home"),
            "ROADCALL_PORT": self.address.rsplit(":", 1)[1],
        }
        if self.kafka:
            environment["ROADCALL_KAFKA"] = self.kafka.address
        self.ingest = Supervised("ingest", environment, self.folder)
        self.worker = Supervised("worker", environment, self.folder)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.address}/readyz", timeout=5).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.ingest.output.read_text()[-3000:])

    def kill(self, name: str) -> None:
        """kill -9; whoever is killed comes back at once."""
        if name == "postgres":
            self._kill_postgres()
            self.postgres.start()
        elif name == "kafka":
            assert self.kafka
            self.kafka.kill()
            self.kafka.start()
        else:
            {"ingest": self.ingest, "worker": self.worker}[name].kill()

    def kill_ingest_while_its_log_is_away(self) -> None:
        """Whatever was confirmed without being durable dies with the process."""
        log = self.kafka or self.postgres
        self.kafka.kill() if self.kafka else self._kill_postgres()
        time.sleep(AWAY_S)
        self.ingest.kill()
        log.start()

    def _kill_postgres(self) -> None:
        pid = self.postgres.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with transaction(self.pool) as conn:
            return conn.execute(query).fetchall()

    def frames(self) -> int:
        """Frames whose effects are committed."""
        ((count,),) = self.ask("select coalesce(sum(n), 0)::bigint from frame_block")
        return int(str(count))

    def wait_for_frames(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.frames() < count:
            said = self.worker.output.read_text()[-3000:]
            assert time.monotonic() < deadline, f"{self.frames()} of {count} frames\n{said}"
            time.sleep(0.2)

    def close(self) -> None:
        self.pool.close()
        if self.kafka:
            self.kafka.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
