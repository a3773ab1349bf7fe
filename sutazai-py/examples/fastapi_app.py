"""A web service with FastAPI, for any ASGI server. Nothing starts before the lifespan of the app, so servers that load the
app before they fork can use it."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

import sutazai


@sutazai.agent
async def crawl(urls: list[str]) -> int:
    """Visits pages."""
    for _ in urls:
        await asyncio.sleep(0.01)
    return len(urls)


engine = sutazai.AsyncEngine(os.environ.get("APP_DATABASE", ":memory:"), agents=[crawl])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
    async with engine:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/crawls", status_code=202)
async def begin(urls: list[str]) -> dict[str, str]:
    return {"task": (await engine.submit(crawl.task(urls))).id}


@app.get("/crawls/{id}")
async def result(id: str) -> dict[str, int]:
    try:
        return {"pages": await engine.tasks.handle(id, int).result(timeout=5)}
    except sutazai.NotFoundError as e:
        raise HTTPException(404, str(e)) from e
