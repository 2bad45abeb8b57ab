"""Who may use the console: one operator token for now."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

#: Who acts with the operator's token where a request names nobody.
OPERATOR = "operator"
_bearer = HTTPBearer(auto_error=False, description="The operator's token.")


def token_fits(expected: SecretStr | None, given: str) -> bool:
    """Whether `given` opens the console; compared in constant time."""
    if expected is None:
        return True
    return hmac.compare_digest(expected.get_secret_value().encode(), given.encode())


class Operator:
    """A FastAPI dependency: raises 401 unless the request carries the operator's token."""

    def __init__(self, expected: SecretStr | None) -> None:
        self._expected = expected

    def __call__(
        self, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> None:
        given = credentials.credentials if credentials else ""
        if not token_fits(self._expected, given):
            detail = "missing bearer token" if credentials is None else "wrong bearer token"
            raise HTTPException(401, detail, {"WWW-Authenticate": 'Bearer realm="roadcall"'})
