"""API and station page on a free port, for tests: `page_server.py DSN TOKEN` prints the address.

A process of its own, because NiceGUI's application is global to a process.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from console import api, pages
from console.config import ConsoleConfig
from model.clock import SystemClock
from store.database import open_pool


def main(dsn: str, token: str) -> None:
    pool = open_pool(dsn, 4)
    texts = {"ice.coolant.overtemp": {"zh": "冷却液温度过高", "en": "Coolant overheating"}}
    config = ConsoleConfig(SecretStr(token), texts)
    app = FastAPI()
    app.include_router(api.create_api(pool, SystemClock(), config))
    pages.mount(app, pool, SystemClock(), config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # connections wait until the server is up
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
