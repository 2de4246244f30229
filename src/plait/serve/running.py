"""The server's process: where it listens, what it logs, how it stops."""

from __future__ import annotations

import logging
import signal
import traceback
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from plait.serve.limits import Limits
from plait.types import DataError

logger = logging.getLogger("plait.serve")


def run(app: ASGIApp, host: str = "127.0.0.1", port: int = 8000, limits: Limits | None = None) -> None:
    """Serve until the process is asked to stop; then finish what is in flight and take nothing new.

    Args:
        app: what `create_app` gave.
        host: address to listen at; the default is reached from this machine only.
        port: number to listen at; 0 takes a free one.
        limits: of connections, and the seconds that requests in flight have to finish.

    Raises:
        DataError: if nobody can listen there.
        KeyboardInterrupt: when Ctrl-C stopped it; after a SIGTERM it returns.
    """
    limits = limits or Limits()
    config = uvicorn.Config(
        app,
        host,
        port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=max(1, round(limits.grace)),
    )
    log_without_texts()
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has stopped
    _Server(config).run()


class _Server(uvicorn.Server):
    """Says where it listens."""

    async def startup(self, sockets: list[Any] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as stop:
            where = f"{self.config.host}:{self.config.port}"
            message = f"cannot listen at {where}: it is taken, or not this machine's; choose another --host or --port"
            raise DataError(message) from stop
        for host, port in sorted({sock.getsockname()[:2] for server in self.servers for sock in server.sockets}):
            logger.info("serving at http://%s:%d", f"[{host}]" if ":" in host else host, port)


class WithoutTexts(logging.Formatter):
    """Lines of a log that say where something failed, but not with which values: they may be a client's."""

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        kind, _, trace = ei
        return "".join(traceback.format_tb(trace)) + (kind.__name__ if kind else "")


def log_without_texts() -> None:
    """Send the log of the server to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutTexts("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("plait.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        one = logging.getLogger(name)
        one.handlers, one.propagate = [handler], False
        one.setLevel(level)
