"""The forms of answers: JSON that any browser reads, and errors as JSON."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
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
