"""Routes of this API over the same rows with FastAPI, uvicorn and asyncpg, as their documentation advises.

`DATABASE_URL` is a database that `sutazai migrate up` has migrated, `JWT_SECRET_KEY` the key that signs tokens.
"""

import os
import time
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import Annotated, Any

import asyncpg
import jwt
import orjson
import uuid_utils.compat
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.responses import ORJSONResponse
from pydantic import BaseModel, ConfigDict, Field

SECRET = os.environ["JWT_SECRET_KEY"]
BEGAN = time.monotonic()
COLUMNS = """id, owner, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at,
    idempotency_key, status::text, attempt, failures, result, error, parent_id AS parent, cancel_requested,
    created_at, updated_at, started_at, finished_at"""
INSERT_TASK = """INSERT INTO tasks (id, owner, agent, title, description, payload, priority, timeout_seconds,
    max_attempts, run_at, idempotency_key, created_at, updated_at, awaited)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, false)"""
INSERT_EVENT = "INSERT INTO task_events (task_id, sequence, at, kind) VALUES ($1, 1, $2, $3)"
PENDING = {"type": "status", "status": "pending", "attempt": 0}


class NewTask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agent: str = Field(min_length=1, max_length=100)
    payload: dict[str, Any] = {}
    title: str = Field("", max_length=200)
    description: str = Field("", max_length=4000)
    priority: int = Field(5, ge=0, le=9)
    timeout_seconds: int = Field(300, ge=1, le=86400)
    max_attempts: int = Field(3, ge=1, le=100)
    run_at: datetime | None = None
    idempotency_key: str | None = Field(None, min_length=1, max_length=200)


async def prepare(connection: asyncpg.Connection) -> None:
    def binary(name, encoder, decoder):
        return connection.set_type_codec(
            name, encoder=encoder, decoder=decoder, schema="pg_catalog", format="binary"
        )

    await binary("jsonb", lambda value: b"\x01" + orjson.dumps(value), lambda data: orjson.loads(data[1:]))
    # orjson does not support asyncpg's UUID class.
    await binary("uuid", lambda value: value.bytes, lambda data: uuid.UUID(bytes=bytes(data)))


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=10, init=prepare) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan, default_response_class=ORJSONResponse)


def caller(authorization: Annotated[str, Header()] = "") -> uuid.UUID:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "a bearer token is needed")
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.PyJWTError:
        raise HTTPException(401, "the access token is invalid or expired") from None
    if claims.get("type", "access") != "access":
        raise HTTPException(401, "the access token is invalid or expired")
    return uuid.UUID(claims["sub"])


Caller = Annotated[uuid.UUID, Depends(caller)]


def reply(data: Any, status: int = 200) -> ORJSONResponse:
    return ORJSONResponse({"success": True, "data": data, "trace_id": uuid.uuid4().hex}, status)


@app.get("/health")
async def health():
    return reply({"status": "healthy", "version": "0.1.0", "uptime_seconds": int(time.monotonic() - BEGAN)})


@app.post("/api/v1/tasks", status_code=202)
async def create(request: Request, new: NewTask, user: Caller):
    now = datetime.now(timezone.utc)
    task_id = uuid_utils.compat.uuid7()
    run_at = new.run_at or now
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            INSERT_TASK, task_id, user, new.agent, new.title, new.description, new.payload, new.priority,
            new.timeout_seconds, new.max_attempts, run_at, new.idempotency_key, now,
        )
        await connection.execute(INSERT_EVENT, task_id, now, PENDING)
    task = {
        "id": task_id, "owner": user, **new.model_dump(), "run_at": run_at, "status": "pending", "attempt": 0,
        "failures": 0, "result": None, "error": None, "parent": None, "cancel_requested": False,
        "created_at": now, "updated_at": now, "started_at": None, "finished_at": None,
    }
    return reply(task, 202)


@app.get("/api/v1/tasks/{task_id}")
async def show(request: Request, task_id: uuid.UUID, user: Caller):
    row = await request.app.state.pool.fetchrow(f"SELECT {COLUMNS} FROM tasks WHERE id = $1", task_id)
    if row is None or row["owner"] != user:
        raise HTTPException(404, f"task {task_id} not found")
    return reply(dict(row))


@app.get("/api/v1/tasks")
async def page(request: Request, user: Caller, limit: Annotated[int, Query(ge=1, le=100)] = 20):
    rows = await request.app.state.pool.fetch(
        f"SELECT {COLUMNS} FROM tasks WHERE owner = $1 ORDER BY id DESC LIMIT $2", user, limit + 1
    )
    more = len(rows) > limit
    items = [dict(row) for row in rows[:limit]]
    return reply({"items": items, "next_cursor": str(items[-1]["id"]) if more else None})
