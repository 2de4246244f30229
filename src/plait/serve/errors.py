"""Errors as OpenAI's clients read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from plait.types import PlaitError

INVALID = "invalid_request_error"
SERVER = "server_error"


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: of HTTP.
        message: what came, what was expected, what to do.
        code: short and fixed, for programs.
        param: the field of the request that is at fault.
        wait: seconds after which to try again.
    """

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None, wait: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.wait = status, message, code, param, wait

    @property
    def kind(self) -> str:
        """OpenAI's ``type``."""
        if self.code == "overloaded":
            return "rate_limit_error"
        return INVALID if self.status < 500 else SERVER

    @property
    def headers(self) -> dict[str, str]:
        """What stands beside the body."""
        found = {} if self.wait is None else {"retry-after": str(self.wait)}
        return found | ({"www-authenticate": "Bearer"} if self.status == 401 else {})

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()

    def response(self) -> Response:
        """The whole answer."""
        return Response(self.body, self.status, self.headers, "application/json")


async def on_api_error(_: Request, error: Exception) -> Response:
    """An error of our own."""
    assert isinstance(error, ApiError)
    return error.response()


async def on_plait_error(_: Request, error: Exception) -> Response:
    """A recipe, model or index that cannot do what was asked: the message says how to mend it."""
    return ApiError(400, str(error)).response()


async def on_http_error(_: Request, error: Exception) -> Response:
    """No such path, no such method."""
    assert isinstance(error, HTTPException)
    hint = {404: "there is nothing at this path; see /openapi.json", 405: "this path takes another method"}
    answer = ApiError(error.status_code, hint.get(error.status_code, str(error.detail))).response()
    answer.headers.update(error.headers or {})
    return answer


async def on_invalid(_: Request, error: Exception) -> Response:
    """A body that is no JSON, or has wrong types; what it held is not repeated."""
    assert isinstance(error, RequestValidationError)
    first: Mapping[str, object] = error.errors()[0]
    where = first["loc"]
    assert isinstance(where, Sequence)
    if first["type"] == "json_invalid":
        return ApiError(400, "the body is no valid JSON", "invalid_json").response()
    param = ".".join(str(part) for part in where[1:])
    if not param:
        message = "the body is no JSON object; send one, with Content-Type: application/json"
    else:
        message = f"{param}: {str(first['msg']).removeprefix('Value error, ')}"
    return ApiError(400, message, "invalid_value", param or None).response()


async def on_failure(_: Request, error: Exception) -> Response:
    """Anything else: a defect, or a machine at its end."""
    return ApiError(500, "the server failed; its log says where", "internal_error").response()


HANDLERS: dict[int | type[Exception], Callable[[Request, Exception], Coroutine[None, None, Response]]] = {
    ApiError: on_api_error,
    PlaitError: on_plait_error,
    HTTPException: on_http_error,
    RequestValidationError: on_invalid,
    Exception: on_failure,
}
