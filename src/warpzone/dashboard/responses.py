"""The forms of answers: JSON that any browser reads, and errors as JSON."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response


def json_response(value: Any, status: int = 200, request: Request | None = None) -> Response:
    """Returns `value` as JSON; numbers that JSON has no words for are null.

    With `request` the answer has an ETag, and is empty (304) where the browser has it already.
    """
    body = to_json(value, inf_nan_mode="null")
    headers = {"cache-control": "no-store"}
    if request is not None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"cache-control": "no-cache", "etag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")


def error_response(text: str, status: int) -> Response:
    """Returns `{"error": text}`."""
    return json_response({"error": text}, status)
