"""The forms of answers: JSON that any browser reads, errors as JSON, and how many are made at
once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response


def json_response(value: Any, status: int = 200, request: Request | None = None) -> Response:
    """Returns `value` as JSON; numbers that JSON has no words for are null.

    With `request` the answer has an ETag, and is empty (304) where the browser has it already.
    """
    try:
        body = to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:  # a text with half a character in it
        body = json.dumps(_printable(value)).encode()
    headers = {"cache-control": "no-store"}
    if request is not None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"cache-control": "no-cache", "etag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")


def _printable(value: Any) -> Any:
    """Returns it with escapes for what is no character, and None for what is no finite number."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_printable(name): _printable(part) for name, part in value.items()}
        case list() | tuple():
            return [_printable(part) for part in value]
        case _:
            return value


def error_response(text: str, status: int) -> Response:
    """Returns `{"error": text}`."""
    return json_response({"error": text}, status)


def limited(
    most: int,
) -> Callable[[Callable[[Request], Response]], Callable[[Request], Awaitable[Response]]]:
    """Returns what has the handlers that it is given run in threads, together `most` at once.

    Whoever waits for their turn takes no thread from others, and whoever has gone meanwhile is
    left out: what one page asks for, however long it takes, keeps no other kind of answer back.
    """
    free = asyncio.Semaphore(most)

    def decorate(
        handler: Callable[[Request], Response],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            async with free:
                if await request.is_disconnected():
                    return Response(status_code=499)  # which nobody receives
                return await run_in_threadpool(handler, request)

        return answer

    return decorate
