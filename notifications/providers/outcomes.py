"""What an HTTP answer, or the lack of one, says about a message: the one classifier of all HTTP providers.

| what happened | outcome |
|---|---|
| no connection (refused, DNS, connect time-out, TLS handshake); 401 402 403 404 425 429 503; a redirect | not sent |
| read time-out, reset, cut off; any other 5xx | unknown |
| any other 4xx | refused for good |
| 2xx | sent |

The details made here hold no URL: in some the path is a secret.
"""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType

import botocore.exceptions
import requests
import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from notifications.providers.base import Ambiguous, NotSent, ProviderRefusal, RefusedForGood

LONGEST_RETRY_AFTER = 86_400.0  # seconds
NOT_SENT_STATUSES = frozenset({401, 402, 403, 404, 425, 429, 503})
_SECONDS = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)

_BEFORE_THE_REQUEST = (
    requests.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ClosedPoolError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.LocationValueError,
    botocore.exceptions.ConnectTimeoutError,
    botocore.exceptions.EndpointConnectionError,
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.NoRegionError,
    botocore.exceptions.InvalidRegionError,
    ConnectionRefusedError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
    UnicodeError,  # a credential that no header can hold
)
# Amazon says 400 to these as well, though it is the account or the moment that is wrong, not the message.
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
_ACCOUNT_ERRORS_OF_AWS = frozenset(
    {
        *("Throttling", "ThrottlingException", "Throttled", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "RequestLimitExceeded", "RequestExpired", "RequestTimeTooSkewed"),
        *("ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId"),
        *("InvalidSignatureException", "MissingAuthenticationToken", "NotAuthorized", "OptInRequired"),
        *("AccessDenied", "AccessDeniedException", "UnrecognizedClientException"),
    }
)
_READ_TIME_OUTS = (
    requests.ReadTimeout,
    urllib3.exceptions.ReadTimeoutError,
    botocore.exceptions.ReadTimeoutError,
    TimeoutError,
)
# All clients here (requests, botocore) connect in these two, the TLS handshake included.
_CONNECTING = frozenset({HTTPConnection.connect.__code__, HTTPSConnection.connect.__code__})


def refusal_for_status(
    status: int, detail: str, *, retry_after: float | None = None
) -> ProviderRefusal | None:
    """The refusal that an HTTP status means, None for 2xx. ``retry_after`` is in seconds and kept where trying
    again may help."""
    if 200 <= status < 300:
        return None
    if status in NOT_SENT_STATUSES or 300 <= status < 400:
        return NotSent(detail, retry_after=retry_after)
    if 400 <= status < 500:
        return RefusedForGood(detail)
    return Ambiguous(detail, retry_after=retry_after)


def refusal_for_exception(error: Exception) -> ProviderRefusal:
    """The refusal that a failed call means, for exceptions of requests, urllib3 and botocore.

    Whatever happened before the request went out means "not sent"; the rest is ambiguous, also what is unknown here.
    """
    if isinstance(error, ProviderRefusal):
        return error
    if isinstance(error, botocore.exceptions.ClientError):
        return _refusal_for_client_error(error)
    if isinstance(error, botocore.exceptions.ParamValidationError):
        return RefusedForGood("The message does not have the form that the provider demands.")
    chain = list(_linked(error))
    if any(isinstance(one, _BEFORE_THE_REQUEST) or _was_connecting(one.__traceback__) for one in chain):
        return NotSent(f"No connection: {_cause(chain)}")
    if any(isinstance(one, _READ_TIME_OUTS) for one in chain):
        return Ambiguous("No answer in time.")
    return Ambiguous(f"The connection broke before the answer: {_cause(chain)}")


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after ``Retry-After`` (RFC 9110, 10.2.3: seconds, or an HTTP date), from 0 to a day.

    None without the header and for what is neither.
    """
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if _SECONDS.fullmatch(given):
        return min(float(given), LONGEST_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(given)
    except (ValueError, TypeError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    seconds = (when - dt.datetime.now(dt.UTC)).total_seconds()
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER))


def refusal_for_aws(
    status: int, code: str, detail: str, *, retry_after: float | None = None
) -> ProviderRefusal | None:
    """``refusal_for_status`` for an answer of Amazon, where ``code`` says more than a 400."""
    if 400 <= status < 500 and code in _ACCOUNT_ERRORS_OF_AWS:
        return NotSent(detail, retry_after=retry_after)
    return refusal_for_status(status, detail, retry_after=retry_after)


def _refusal_for_client_error(error: botocore.exceptions.ClientError) -> ProviderRefusal:
    metadata, said = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
    status, code = int(metadata.get("HTTPStatusCode", 0)), str(said.get("Code", ""))
    detail = f"{status} {code}: {said.get('Message', '')}"
    wait = retry_after_seconds(metadata.get("HTTPHeaders", {}))
    return refusal_for_aws(status, code, detail, retry_after=wait) or Ambiguous(detail)


def _linked(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that led to it, each once: causes, contexts and those that clients wrap."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = [getattr(one, "reason", None), *one.args, *getattr(one, "kwargs", {}).values()]
        if not one.__suppress_context__:
            wrapped.append(one.__context__)
        wrapped.append(one.__cause__)
        waiting.extend(other for other in wrapped if isinstance(other, BaseException))


def _was_connecting(trace: TracebackType | None) -> bool:
    while trace is not None:
        if trace.tb_frame.f_code in _CONNECTING:
            return True
        trace = trace.tb_next
    return False


def _cause(chain: list[BaseException]) -> str:
    """What the operating system said, which names no URL; else the kind of the exception."""
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"{type(one).__name__}: {one.verify_message}"
        if isinstance(one, OSError) and not isinstance(one, requests.RequestException) and one.strerror:
            return f"{type(one).__name__}: {one.strerror}"
    return type(chain[-1]).__name__
