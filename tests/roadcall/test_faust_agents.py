"""Faust's automatic acknowledgements lose records (reproduced, docs/operations.md): nobody uses
them. Reads the source of every agent, and the settings of the application that is really made."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest
from faust.types import ProcessingGuarantee
from hypothesis import given
from hypothesis import strategies as st

from roadcall.kafka_worker import LedgerConsumer, WorkerPlan, create_app, stored_record

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "roadcall").glob("*.py"))


def faults(source: str) -> list[str]:
    """What is wrong with the agents of a module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith(".agent"):
                    found += [f"{node.name}: {fault}" for fault in agent_faults(node, mark)]
    return found


def agent_faults(agent: ast.AsyncFunctionDef | ast.FunctionDef, mark: ast.Call) -> list[str]:
    keywords = {k.arg: ast.unparse(k.value) for k in mark.keywords}
    found = [] if keywords.get("concurrency") == "1" else ["concurrency is not 1"]
    stream = agent.args.args[0].arg
    uses = [n for n in ast.walk(agent) if isinstance(n, ast.Name) and n.id == stream]
    taken = [n for n in ast.walk(agent) if ast.unparse(n) == f"{stream}.noack_take"]
    if len(uses) != 1 or len(taken) != 1:
        found.append("the stream is read by something else than one noack_take")
    catches = [h for n in ast.walk(agent) if isinstance(n, ast.Try) for h in n.handlers]
    if not any("_end_process" in ast.unparse(h) for h in catches):
        found.append("an exception may leave the agent")
    return found


def test_no_agent_acknowledges_by_itself() -> None:
    texts = [path.read_text("utf-8") for path in SOURCES]
    assert [fault for text in texts for fault in faults(text)] == []
    assert sum("@app.agent(" in text for text in texts) == 1


GOOD = """
@app.agent(topic, concurrency=1)
async def frames(stream):
    async for messages in stream.noack_take(9, within=1):
        try:
            await apply(messages)
        except Exception:
            _end_process(70)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stream.noack_take(9, within=1)", "stream"),
        ("noack_take", "take"),
        ("stream.noack_take(9, within=1)", "stream.noack().events()"),
        ("concurrency=1", "concurrency=2"),
        (", concurrency=1", ""),
        ("_end_process(70)", "raise"),
    ],
)
def test_the_guard_sees_each_fault(old: str, new: str) -> None:
    assert faults(GOOD) == []
    assert faults(GOOD.replace(old, new)) != []


def test_the_application_is_closed_and_careful(tmp_path: Path) -> None:
    async def scene() -> None:
        plan = WorkerPlan("one:9092,two:9092")
        app, _ = create_app(plan, None, tmp_path)  # type: ignore[arg-type]  # never applies
        conf = app.conf
        assert not conf.web_enabled
        assert not conf.topic_allow_declare
        assert conf.topic_disable_leader
        assert conf.stream_wait_empty
        assert conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
        assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (10.0, 1.0)
        assert [str(url) for url in conf.broker] == ["kafka://one:9092", "kafka://two:9092"]
        assert isinstance(app.consumer, LedgerConsumer)
        assert {agent.concurrency for agent in app.agents.values()} == {1}

    asyncio.run(scene())


class Message:
    """The fields of Faust's ConsumerMessage that we read."""

    def __init__(self, key: object, value: object, headers: object) -> None:
        self.partition, self.offset = 3, 7
        self.key, self.value, self.headers = key, value, headers


RAW = st.none() | st.binary(max_size=40)


@given(key=RAW, value=RAW, headers=st.none() | st.lists(st.tuples(st.text(max_size=9), RAW)))
def test_any_bytes_give_a_record_the_database_takes(key, value, headers) -> None:
    record = stored_record(Message(key, value, headers))
    assert (record.partition, record.position, record.value) == (3, 7, value or b"")
    texts = [record.vin, *record.headers.keys(), *record.headers.values()]
    assert not any("\x00" in text for text in texts)
    for text in texts:
        text.encode("utf-8")


def test_a_well_formed_record_is_read_as_written() -> None:
    headers = (("gateway", b"gw"), ("batch", "第1批".encode()))
    record = stored_record(Message(b"LRW3E7FS0PC000017", b"\x28\xb5", headers))
    assert record.vin == "LRW3E7FS0PC000017"
    assert record.headers == {"gateway": "gw", "batch": "第1批"}
