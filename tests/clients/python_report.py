"""What a Python program of this folder reports: one line of JSON a call, to the file that it is
given. A call that raises is reported as failed, with where and why, and the others still run.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

URL = os.environ["CROSSBILL_URL"]
KEY = os.environ["CROSSBILL_KEY"]
SOURCE = os.environ["CROSSBILL_SOURCE"]
OUT = os.environ["CROSSBILL_OUT"]

CALLS: dict[str, Callable[..., Any]] = {}


class Outcome(Exception):
    """Ends a call with something other than `works`."""

    def __init__(self, result: str, reason: str = ""):
        super().__init__(reason)
        self.result, self.reason = result, reason


def absent() -> Outcome:
    return Outcome("absent")


def refused(error: Exception, text: str) -> Outcome:
    """A call that the server turns down; the client's error must carry the server's sentence."""
    assert text in str(error), f"{text!r} is not in {error!r}"
    return Outcome("refused", text)


def differs(how: str) -> Outcome:
    return Outcome("differs", how)


def call(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        CALLS[name] = function
        return function

    return register


async def done(value: Any) -> Any:
    """The value of a call, whether the client is asynchronous or not."""
    return await value if inspect.isawaitable(value) else value


async def all_of(listing: Any) -> list[Any]:
    """What a generator of either kind yields."""
    listing = await done(listing)
    if hasattr(listing, "__aiter__"):
        return [one async for one in listing]
    return list(listing)


async def raised(value: Callable[[], Any]) -> Exception:
    """The error that a call must end with."""
    try:
        answer = await done(value())
    except Exception as error:
        return error
    raise AssertionError(f"an error was expected, and the answer is {answer!r}")


def run(world: Any) -> None:
    """Makes every registered call in order, and closes what the calls share."""

    async def every() -> None:
        for name, function in CALLS.items():
            line = {"call": name, "result": "works"}
            try:
                await done(function(world))
            except Outcome as outcome:
                line |= {"result": outcome.result}
                line |= {"reason": outcome.reason} if outcome.reason else {}
            except Exception:
                line |= {"result": "fails", "reason": traceback.format_exc(limit=-4)}
            with open(OUT, "a") as out:
                out.write(json.dumps(line) + "\n")
        await world.close()

    asyncio.run(every())
