"""Forwards the log records of the engine to `logging`: one thread for all engines of this process."""

from __future__ import annotations

import json
import logging
import threading

from . import _sutazai
from ._sutazai import Queue

LOGGERS = {name: logging.getLogger(f"sutazai.{name}") for name in ("engine", "store", "models", "http")}
# Levels of the engine, from errors to traces, which `logging` has no name for.
LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG, 5: 5}


def _emit(data: bytes) -> None:
    record = json.loads(data)
    logger = LOGGERS[record["logger"]]
    if record["dropped"]:
        logger.warning("%d log records dropped, because handlers are too slow", record["dropped"])
    level = LEVELS[record["level"]]
    if logger.isEnabledFor(level):
        fields, context = record["fields"], record["context"]
        text = " ".join([record["message"], *(f"{name}={value}" for name, value in fields.items())])
        extra = {
            "task_id": fields.get("task", context.get("task")),
            "agent": fields.get("agent", context.get("agent")),
            "trace_id": context.get("trace_id"),
            "fields": fields,
        }
        # The text may have percent signs, and no arguments.
        logger.log(level, "%s", text, extra=extra)


class Forwarder:
    """Counts the engines whose records are forwarded; the thread runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines = 0
        self._queue: Queue | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Forwards records at the levels that the loggers have now."""
        level = min(logger.getEffectiveLevel() for logger in LOGGERS.values())
        native_level = max((number for number, named in LEVELS.items() if named >= level), default=0)
        with self._lock:
            if self._queue is None:
                self._queue = Queue()
                self._thread = threading.Thread(target=self._run, args=(self._queue,), name="sutazai-log", daemon=True)
                self._thread.start()
            self._engines += 1
            _sutazai.forward_logs(self._queue, native_level)

    @staticmethod
    def _run(queue: Queue) -> None:
        # An empty record is the last one.
        while record := queue.next():
            assert isinstance(record, bytes)
            try:
                _emit(record)
            except Exception:
                # A handler of the program must not end the thread; `logging` has no handler for this.
                logging.getLogger("sutazai").exception("log record not emitted")

    def end(self, join_timeout: float) -> None:
        """Ends the thread behind the last engine, when it has emitted the records so far."""
        with self._lock:
            self._engines -= 1
            if self._engines or self._queue is None:
                return
            _sutazai.stop_logs(self._queue)
            queue, self._queue = self._queue, None
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(join_timeout)
        queue.close()


forwarder = Forwarder()


def in_child() -> None:
    """Begins with no thread in a forked process."""
    global forwarder
    forwarder = Forwarder()
