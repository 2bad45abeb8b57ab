"""Decodes one log, keeps nothing and prints its peak memory in kB: LOG DBC."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from decoders.plan import compile_plan
from ingest.log_files import read_log
from roadcall.cli_decode import BATCH_FRAMES, adhoc_profile
from roadcall.log_samples import LogDecoder

log, dbc = map(Path, sys.argv[1:])
profile = adhoc_profile([dbc])
decoder = LogDecoder(profile, compile_plan(profile))
samples = sum(len(decoder.decode(batch)) for batch in read_log(log, batch_frames=BATCH_FRAMES))
assert samples, "nothing was decoded"
status = Path("/proc/self/status")
if status.exists():  # where ru_maxrss would also count whoever started us
    print(next(line.split()[1] for line in status.open() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
