"""The README's first command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    """`make demo ARGS=--once`, as the README says, on its own embedded database."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROADCALL_")}
    done = subprocess.run(
        [sys.executable, "-m", "roadcall.cli", "demo", "--once"],
        env=environment | {"ROADCALL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["acked_minus_stored"] == 0 < summary["frames_sent"]
    assert (summary["alerts"], summary["rescue_cases"]) == (3, 3)
    assert summary["reminders"] >= 2
