"""An event loop: a coroutine as agent, its progress as it happens, and a cancellation."""

import asyncio

import sutazai


@sutazai.agent(timeout=60)
async def crawl(urls: list[str], pause: float = 0.01) -> int:
    """Visits pages."""
    context = sutazai.current_async()
    for done, url in enumerate(urls, 1):
        await asyncio.sleep(pause)  # A cancellation of the task is raised here.
        context.progress(done / len(urls), url)
    return len(urls)


async def main() -> None:
    async with sutazai.AsyncEngine(":memory:", agents=[crawl]) as engine:
        task = await engine.submit(crawl.task(["a", "b"]))
        async for event in task.events():
            match event:
                case sutazai.ProgressEvent(fraction=fraction, message=message):
                    print(f"{fraction:.0%} {message}")
                case sutazai.StatusEvent(status=status):
                    print(status)
                case _:
                    pass
        print(await task.result(), "pages")

        endless = await engine.submit(crawl.task(["a"], pause=3600))
        await endless.cancel()
        print((await endless.wait()).status)


if __name__ == "__main__":
    asyncio.run(main())
