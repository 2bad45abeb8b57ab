"""`roadcall decode`: the samples' expected values, every form of output, and its manners."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cantools
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from roadcall import cli_decode, log_samples

Samples = Callable[[str], Path]
COLUMNS = ["observed_ns", "bus", "can_id", "message", "signal", "value", "unit", "quality"]
DBC = """VERSION ""
BS_:
BU_:
BO_ 291 Engine: 8 Vector__XXX
 SG_ Speed : 0|16@1+ (0.25,0) [0|8000] "rpm" Vector__XXX
 SG_ Temperature : 16|8@1+ (1,-40) [-40|150] "degC" Vector__XXX
BO_ 2566844672 Truck: 8 Vector__XXX
 SG_ Exact : 0|64@1+ (1,0) [0|0] "a,b" Vector__XXX
"""
LOG = """(1700000000.000000) can0 123#6400FA0000000000
(1700000000.100000) can1 18FEF100#FFFFFFFFFFFFFF7F
(1700000000.200000) can0 123#C800280000000000
this line is broken
(1700000000.300000) can0 7FF#00
"""
SPEED = "1700000000000000000,0,123,Engine,Speed,25.0,rpm,good"
TEMPERATURE = "1700000000000000000,0,123,Engine,Temperature,210.0,degC,out_of_range"
EXACT = '1700000000100000000,1,18FEF100,Truck,Exact,9223372036854775807,"a,b",good'


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """The command on the small log; `{dbc}` and `{log}` stand for its files."""
    app = typer.Typer()
    cli_decode.register(app)
    app.callback()(lambda: None)
    (tmp_path / "car.dbc").write_text(DBC)
    (tmp_path / "car.log").write_text(LOG)

    def call(*words: str) -> Result:
        places = {"dbc": str(tmp_path / "car.dbc"), "log": str(tmp_path / "car.log")}
        return CliRunner().invoke(app, ["decode", *(w.format(**places) for w in words)])

    return call


def test_csv(run: Callable[..., Result]) -> None:
    result = run("{log}", "--dbc", "{dbc}")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1:4] == [SPEED, TEMPERATURE, EXACT]
    assert len(lines) == 6
    assert result.stderr.splitlines() == [
        "car.log:4: not a candump line",
        "car.log: 1 broken lines were passed over",
    ]


def test_json_lines(run: Callable[..., Result]) -> None:
    result = run("{log}", "--dbc", "{dbc}", "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(row) for row in rows] == [COLUMNS] * 5
    assert (rows[0]["value"], rows[0]["quality"]) == (25.0, "good")
    assert rows[2]["value"] == 2**63 - 1


def test_table_and_output_file(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("{log}", "--dbc", "{dbc}", "-f", "table", "-o", str(tmp_path / "out.txt"))
    assert (result.exit_code, result.stdout) == (0, "")
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[0].split() == COLUMNS
    assert lines[1].split() == SPEED.split(",")


@pytest.mark.parametrize(
    ("glob", "signals"),
    [
        ("speed", {"Speed"}),
        ("Engine.*", {"Speed", "Temperature"}),
        ("*T*", {"Exact", "Temperature"}),
        ("nothing", set()),
    ],
)
def test_only_some_signals(run: Callable[..., Result], glob: str, signals: set[str]) -> None:
    rows = csv.DictReader(io.StringIO(run("{log}", "--dbc", "{dbc}", "--signal", glob).stdout))
    assert {row["signal"] for row in rows} == signals


def test_statistics(run: Callable[..., Result]) -> None:
    result = run("{log}", "{log}", "--dbc", "{dbc}", "--stats", "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    engine = {"kind": "message", "bus": 0, "can_id": "123", "message": "Engine", "frames": 4}
    assert engine | {"period_ms": pytest.approx(200 / 3, abs=1e-3)} in rows
    speed = {"kind": "signal", "message": "Engine", "signal": "Speed", "unit": "rpm", "samples": 4}
    assert speed | {"minimum": 25.0, "maximum": 50.0, "mean": 37.5, "not_good": 0} in rows
    assert {"kind": "status", "status": "unknown_id", "frames": 2} in rows
    text = run("{log}", "--dbc", "{dbc}", "--stats").stdout
    assert "Engine" in text
    assert "unknown_id" in text


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("{log}",), 2, "not both"),
        (("{log}", "--dbc", "{dbc}", "--profile", "demo_car"), 2, "not both"),
        (("{log}", "--profile", "nobody"), 2, "not one of"),
        (("{log}", "--dbc", "{log}"), 2, "car.log"),
        (("nowhere.log", "--dbc", "{dbc}"), 2, "'nowhere.log' is no file"),
        (("{log}", "--dbc", "{dbc}", "--format", "parquet"), 2, "-o FILE"),
        (("{log}", "--dbc", "{dbc}", "--strict"), 1, "car.log:4: not a candump line"),
        (("{dbc}", "--dbc", "{dbc}"), 1, "car.dbc: neither content nor suffix"),
    ],
)
def test_exit_codes(
    run: Callable[..., Result], words: tuple[str, ...], code: int, says: str
) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert says in " ".join(result.stderr.replace("│", "").split())


def test_parquet_without_pyarrow_says_so(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("{log}", "--dbc", "{dbc}", "-f", "parquet", "-o", str(tmp_path / "a.parquet"))
    assert result.exit_code == 1
    assert "pip install pyarrow" in str(result.exception or result.stderr)


def test_parquet_holds_the_same(run: Callable[..., Result], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = tmp_path / "a.parquet"
    assert run("{log}", "--dbc", "{dbc}", "-f", "parquet", "-o", str(path)).exit_code == 0
    rows = parquet.read_table(path).to_pylist()
    assert [list(row) for row in rows] == [COLUMNS] * 5
    assert [str(v) for v in rows[0].values()] == SPEED.split(",")


def test_help_shows_examples(run: Callable[..., Result]) -> None:
    text = " ".join(run("--help").stdout.split())
    assert "roadcall decode drive.blf --dbc car.dbc" in text


def test_whoever_reads_us_may_have_enough(tmp_path: Path) -> None:
    """As in `roadcall decode ... | head -1`, with far more rows than a pipe holds."""
    (tmp_path / "car.dbc").write_text(DBC)
    lines = LOG.splitlines(keepends=True)
    with gzip.open(tmp_path / "car.log.gz", "wt") as log:
        log.write(lines[0] * 100_000)
    script = "import typer; from roadcall import cli_decode; typer.run(cli_decode.decode)"
    command = [sys.executable, "-c", script, "car.log.gz", "--dbc", "car.dbc"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(60) == 0


def test_starting_loads_no_parser() -> None:
    """cantools takes 125 ms to import, and 880 ms where asammdf is installed beside it."""
    script = "import sys; from roadcall import cli_decode; print([m for m in "
    script += "('cantools', 'can', 'asammdf', 'pandas', 'pyarrow') if m in sys.modules])"
    command = [sys.executable, "-c", script]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_standard_input(tmp_path: Path) -> None:
    """As in `candump -L can0 | roadcall decode -`, plain and packed."""
    (tmp_path / "car.dbc").write_text(DBC)
    script = "import typer; from roadcall import cli_decode; typer.run(cli_decode.decode)"
    for content in (LOG.encode(), gzip.compress(LOG.encode())):
        done = subprocess.run(
            [sys.executable, "-c", script, "-", "--dbc", "car.dbc"],
            input=content,
            capture_output=True,
            check=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.stdout.decode().splitlines()[1:4] == [SPEED, TEMPERATURE, EXACT]
        assert done.stderr.decode().splitlines()[0] == "-:4: not a candump line"


def rows_of(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_passenger_car_equals_cantools(run: Callable[..., Result], samples: Samples) -> None:
    sample = samples("passenger-car-tesla-opendbc")
    dbc = sample / "tesla_powertrain.dbc"
    rows = rows_of(run(str(sample / "candump.log"), "--dbc", str(dbc)))
    database = cantools.database.load_file(dbc, strict=False)
    expected: dict[tuple[int, str, str], float] = {}
    for line in (sample / "candump.log").read_text().splitlines():
        time, _, frame = line.split()[:3]
        name, _, payload = frame.partition("#")
        try:
            message = database.get_message_by_frame_id(int(name, 16))
        except KeyError:
            continue
        observed_ns = int(time.strip("()").replace(".", "")) * 1000
        values = message.decode(bytes.fromhex(payload), decode_choices=False)
        expected |= {(observed_ns, name, key): value for key, value in values.items()}
    got = {(int(r["observed_ns"]), r["can_id"], r["signal"]): float(r["value"]) for r in rows}
    assert got == expected
    times = [int(r["observed_ns"]) for r in rows]
    assert times[:1000] == sorted(times[:1000])


@pytest.mark.parametrize("name", ["candump.log", "00000001-60B621D9.MF4"])
@pytest.mark.parametrize("batch_frames", [10_000, 7])
def test_truck_with_transport_messages(
    run: Callable[..., Result],
    samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    batch_frames: int,
) -> None:
    """BAM messages go on over batches; their samples belong to the frame that completed them."""
    monkeypatch.setattr(cli_decode, "BATCH_FRAMES", batch_frames)
    sample = samples("j1939-truck-canedge")
    files = [sample / "CSS-Electronics-SAE-J1939-DEMO.dbc", sample / "tp_j1939.dbc"]
    words = [w for file in files for w in ("--dbc", str(file))]
    rows = rows_of(run(str(sample / name), *words, "--j1939"))
    transport = json.loads((sample / "expected_transport.json").read_text())
    wanted = [t for t in transport if t["pgn"] == 65251 and t["complete"]]
    found = [r for r in rows if r["message"] == "EC1"]
    assert {r["can_id"] for r in found} == {"1CEBFF00"}
    raw = [int.from_bytes(bytes.fromhex(t["payload"])[12:14], "little") for t in wanted]
    assert [float(r["value"]) for r in found] == [n * 0.125 for n in raw]
    start = int(rows[0]["observed_ns"]) - 1_084_600_000
    ends = [(int(r["observed_ns"]) - start) / 1e9 for r in found]
    assert np.allclose(ends, [t["t_last"] for t in wanted], atol=1e-4)
    with (sample / "expected_signals.csv").open() as file:
        expected = [
            (r["signal"], float(r["value"]), int(r["source_address"])) for r in csv.DictReader(file)
        ]
    plain = [
        (r["signal"], float(r["value"]), int(r["can_id"], 16) & 0xFF)
        for r in rows
        if r["message"] != "EC1"
    ]
    assert sorted(plain) == sorted(expected)


def test_profile_gives_the_catalogues_units(run: Callable[..., Result], tmp_path: Path) -> None:
    log = tmp_path / "obd.log"
    # SAE J1979 service 01, PID 05: coolant temperature 0x7B - 40 = 83 degC.
    log.write_text("(1.0) can0 7DF#0201050000000000\n(1.1) can0 7E8#0341057B00000000\n")
    rows = rows_of(run(str(log), "--profile", "j1979"))
    (row,) = [r for r in rows if r["unit"] == "degC"]
    assert (row["observed_ns"], row["can_id"], row["value"]) == ("1100000000", "7E8", "83.0")
    found = rows_of(run(str(log), "--profile", "j1979", "--signal", "engine_coolant_temp_c"))
    assert found == [row]


def test_every_frame_keeps_its_place(tmp_path: Path) -> None:
    """Buses, identifiers and times survive batches of mixed classic and CAN FD frames."""
    from decoders.plan import compile_plan
    from ingest.candump import parse

    (tmp_path / "car.dbc").write_text(DBC)
    profile = cli_decode.adhoc_profile([tmp_path / "car.dbc"])
    decoder = log_samples.LogDecoder(profile, compile_plan(profile))
    lines = [
        f"({i}.0) can{i % 3} 123#{'#1' if i % 2 else ''}{i:04x}0000"[:60] for i in range(1, 200)
    ]
    batch = parse("\n".join(lines).encode())[0].batch()
    block = decoder.decode(batch)
    speed = [i for i in range(len(block)) if decoder.labels[block.label[i]].signal == "Speed"]
    assert [int(block.observed_ns[i]) for i in speed] == [i * 10**9 for i in range(1, 200)]
    assert [int(block.bus[i]) for i in speed] == [i % 3 for i in range(1, 200)]
    swapped = [((i & 0xFF) << 8 | i >> 8) * 0.25 for i in range(1, 200)]
    assert [float(block.value[i]) for i in speed] == swapped
