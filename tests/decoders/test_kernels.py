"""Which kernel runs, that both say the same, and that no answer is overwritten by a later one."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._decode_loads import Load, j1939, mux_fd, passenger
from decoders import kernel_choice
from decoders.decode import Decoder, Tails
from decoders.kernel_choice import NoCompiledKernelError, kernel_name
from decoders.kernel_numpy import NumpyKernel
from decoders.plan import Plan
from decoders.runs import Runs
from model.frames import EXTENDED_ID, FrameBatch
from tests.decoders.build import Frame, kernels, make_batch, plan_of, same_batches, values_of

X = int(EXTENDED_ID)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """kernel_name() as a new process with this ROADCALL_KERNEL would say it."""

    def name(wanted: str) -> str:
        monkeypatch.setenv(kernel_choice.VARIABLE, wanted)
        return kernel_name.__wrapped__()

    return name


def compiled_or_skip() -> None:
    pytest.importorskip("decoders.kernel_compiled", reason="the compiled kernel was not built")


def test_the_reference_can_be_forced(
    choose: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "decoders.kernel_choice"):
        assert choose("numpy") == "numpy"
    assert caplog.messages == ["decode kernel: numpy"]


def test_the_compiled_kernel_runs_where_it_was_built(choose: Callable[[str], str]) -> None:
    compiled_or_skip()
    assert choose("") == choose("compiled") == "compiled"


def test_without_the_extension_numpy_runs_and_says_why(
    choose: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "decoders.kernel_compiled", None)
    with caplog.at_level(logging.INFO, "decoders.kernel_choice"):
        assert choose("") == "numpy"
    assert caplog.messages[0].startswith("decode kernel: numpy (")
    with pytest.raises(NoCompiledKernelError, match="ROADCALL_KERNEL=compiled"):
        choose("compiled")


def test_an_unknown_kernel_is_refused(choose: Callable[[str], str]) -> None:
    with pytest.raises(NoCompiledKernelError, match="not one of compiled, numpy"):
        choose("fortran")


def test_the_whole_decoder_runs_on_the_reference() -> None:
    program = (
        "from tests.decoders.build import *\n"
        "plan = plan_of('BO_ 1 A: 8 X\\n SG_ V : 0|8@1+ (1,0) [0|0] \"\" X\\n')\n"
        "print(type(Decoder(plan)._kernel).__name__)\n"
        "print(values_of(run_decoder(plan, [(1, bytes([7] * 8))]).signals))\n"
    )
    env = {**os.environ, "ROADCALL_KERNEL": "numpy", "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\n")[:2] == ["NumpyKernel", "{'A.V': {-1: [7.0]}}"]


@pytest.mark.parametrize("make", [passenger, j1939, mux_fd])
@pytest.mark.parametrize("n", [1, 30, 700, 11_000])
def test_both_kernels_on_traffic_of_any_size(make: Callable[[int], Load], n: int) -> None:
    load = make(n)
    plan = plan_of(
        load.dbc.removeprefix('VERSION ""\nNS_ :\nBS_:\nBU_:\n'),
        "j1939 = true\n" if load.j1939 else "",
    )
    found = [kernel.decode(load.batch()).signals(()) for kernel in kernels(plan)]
    for other in found[1:]:
        same_batches(found[0], other)


BOUND = """BO_ 1 A: 8 X
 SG_ V : 0|8@1+ (1,0) [0|0] "km/h" X
 SG_ W : 8|64@1- (1,0) [0|0] "" X

BO_ 2 B: 8 X
 SG_ V : 0|8@1+ (1,0) [0|0] "m/s" X
 SG_ U : 8|8@1+ (2,0) [0|0] "km/h" X

BO_ 2566844926 C: 8 X
 SG_ V : 8|16@1+ (0.00390625,0) [0|0] "km/h" X
"""
SPEEDS = "".join(f'"{k}" = "speed_kmh"\n' for k in ("A.V", "B.V", "B.U", "C.V"))
BOUND_TOML = f"j1939 = true\n[signals]\n{SPEEDS}"
any_frames = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, X | 0x18FEF100, X | 0x18FEF117, X | 0x0CFEF1FE]),
        st.binary(max_size=12),
    ),
    max_size=40,
).map(lambda frames: sorted(frames, key=lambda f: len(f[1]) > 8))


@given(any_frames, st.integers(0, 3))
def test_signals_that_share_a_run(frames: list[Frame], extra: int) -> None:
    """Several messages, signals and sources feed one name; so do `extra` transport samples."""
    plan, batch = plan_of(BOUND, BOUND_TOML), make_batch(frames)
    parts = [some_samples(plan, batch, extra)] if extra and frames else []
    found = [kernel.decode(batch).signals(parts) for kernel in kernels(plan)]
    for other in found[1:]:
        same_batches(found[0], other)


def some_samples(plan: Plan, batch: FrameBatch, n: int) -> Runs:
    """What a transport protocol might hand in: one sample of each of the first `n` signals."""
    row = np.arange(n) * len(batch) // n
    return Runs(
        signal=np.arange(n),
        source=np.array([-1, 5, -1][:n], np.int16),
        count=np.ones(n, np.int64),
        row=np.arange(n),
        frame=row,
        observed_ns=batch.observed_ns[row],
        value=np.arange(n) + 0.5,
        quality=np.zeros(n, np.uint8),
        raw=np.arange(n).astype(np.uint64),
    )


def test_lamps_and_plain_frames_of_a_truck() -> None:
    """DM1 brings runs of its own between those of the kernel."""
    dm1 = bytes.fromhex("40FF6E0000010000")
    speed = bytes.fromhex("FF0032FFFFFFFFFF")
    frames = [(X | 0x18FEF117, speed), (X | 0x18FECA00, dm1), (X | 0x18FEF100, speed)]
    signals = Decoder(plan_of(BOUND, BOUND_TOML)).decode(make_batch(frames), Tails()).signals
    found = values_of(signals)
    assert found["speed_kmh"] == {0: [50.0], 0x17: [50.0]}
    assert found["mil_lamp"] == {0: [1.0]}


def test_earlier_answers_stay_as_they_were() -> None:
    plan = plan_of('BO_ 5 A: 8 X\n SG_ N : 0|32@1+ (1,0) [0|0] "" X\n')
    kernel = kernels(plan)[-1]
    kept = []
    for k in range(12):
        found = kernel.decode(make_batch([(5, k.to_bytes(8, "little"))] * (k * 50))).signals(())
        if k % 3:
            kept.append((k, found, found.value[:1]))
    for k, found, view in kept:
        assert found.value.tolist() == [float(k)] * (k * 50)
        assert view.tolist() == [float(k)]


def test_threads_share_a_kernel() -> None:
    plan = plan_of('BO_ 5 A: 8 X\n SG_ N : 0|32@1+ (1,0) [0|0] "" X\n')
    kernel, wrong = kernels(plan)[-1], []

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(60):
            number, n = draw.randrange(2**32), draw.randrange(1, 400)
            batch = make_batch([(5, number.to_bytes(8, "little"))] * n)
            if kernel.decode(batch).signals(()).value.tolist() != [float(number)] * n:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_extension_checks_what_it_is_given() -> None:
    compiled_or_skip()
    from decoders import _kernel
    from decoders.kernel_compiled import CompiledKernel

    kernel = CompiledKernel(plan_of('BO_ 5 A: 8 X\n SG_ N : 0|32@1+ (1,0) [0|0] "" X\n'))
    batch, block = make_batch([(5, bytes(8))]), np.zeros(4096, np.uint8)
    columns = [batch.can_id, batch.length, batch.observed_ns, batch.payload8, batch.payload64]
    for k in range(5):
        broken = [*columns]
        broken[k] = np.zeros(3, np.uint16)
        with pytest.raises(ValueError, match="different length"):
            _kernel.decode(kernel._tables, *broken, block, False, False)
    with pytest.raises(ValueError, match="rows of"):
        _kernel.prepare(*[np.zeros(3, np.uint8)] * 9)
    with pytest.raises(TypeError):
        _kernel.decode(kernel._tables)


def test_the_reference_is_the_numpy_kernel() -> None:
    plan = plan_of('BO_ 5 A: 8 X\n SG_ N : 0|32@1+ (1,0) [0|0] "" X\n')
    assert isinstance(kernels(plan)[0], NumpyKernel)
