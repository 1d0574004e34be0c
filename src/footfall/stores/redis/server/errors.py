"""What the driver's exceptions and Redis's own error replies mean: the only place that turns them into ours.

An error inside a script reaches us as Redis's text around the text of the command that failed, and each version wraps it in
another way; so replies are known by what stands in them (https://redis.io/docs/latest/develop/reference/protocol-spec/).
"""

from __future__ import annotations

import errno
import os
import re
import socket

from redis import exceptions

from footfall.errors import StoreError, StoreUnavailable, StoreUnusable

#: What is found in a reply, which error of ours it is, and what to say; the first that fits. {} is where the server is.
_REPLIES: tuple[tuple[re.Pattern[str], type[StoreError], str], ...] = tuple(
    (re.compile(pattern), kind, words)
    for pattern, kind, words in (
        (
            r"OOM|maxmemory",
            StoreUnavailable,
            "Redis at {} has reached its maxmemory: raise it, or shorten the retentions; its maxmemory-policy must be noeviction",
        ),
        (
            r"LOADING|loading the dataset",
            StoreUnavailable,
            "Redis at {} is reading its data from disk and will answer when it has",
        ),
        (
            r"READONLY|read.only replica|replica instances",
            StoreUnavailable,
            "{} is a replica and takes no writes: name the primary in FOOTFALL_STORE, or Sentinels or a cluster that know it",
        ),
        (
            r"NOREPLICAS|good replicas",
            StoreUnavailable,
            "Redis at {} takes no writes: too few of its replicas keep up (min-replicas-to-write)",
        ),
        (
            r"MISCONF|errors trying to|writing to the AOF",
            StoreUnavailable,
            "Redis at {} takes no writes: it can't save to its disk; see its log",
        ),
        (
            r"\bASK\b|TRYAGAIN|non local key|Multiple keys request during rehashing|same slot",
            StoreUnavailable,
            "{} is moving the site's slot to another node; it takes its views when that is done",
        ),
        (
            r"CLUSTERDOWN|MASTERDOWN|[Cc]luster is down|not served",
            StoreUnavailable,
            "{} does not serve all its slots at the moment",
        ),
        (r"password_file is not UTF-8", StoreUnavailable, "the password_file for {} is not UTF-8"),
        (r"password_file", StoreUnavailable, "the password_file for {} is not there or not readable"),
        (r"BUSY", StoreUnavailable, "Redis at {} is busy with a script"),
        (r"UNKILLABLE|killed by user|SHUTDOWN", StoreUnavailable, "a script in Redis at {} was ended"),
        (r"FOOTFALLFORMAT", StoreUnusable, "the data at {} was written by a newer Footfall: upgrade this one"),
        (
            r"WRONGTYPE|wrong kind of value|FOOTFALLFOREIGN",
            StoreUnusable,
            "{} has keys named footfall:… that are not ours: use another database, or remove them",
        ),
        (r"cluster support disabled", StoreUnusable, "{} is no cluster: write redis:// in FOOTFALL_STORE"),
        (
            r"MOVED|cluster mode",
            StoreUnusable,
            "{} is a node of a cluster: write redis+cluster:// in FOOTFALL_STORE",
        ),
        (
            r"NOPERM|no permissions|can't run this command",
            StoreUnusable,
            "the user at {} may not do what Footfall needs: let it run scripts and reach the keys footfall:*",
        ),
        (
            r"NOAUTH|Authentication required",
            StoreUnusable,
            "{} wants a password: write it into FOOTFALL_STORE, or a password_file",
        ),
        (r"without any password", StoreUnusable, "{} has no password: take the one in FOOTFALL_STORE out, or set it there"),
        (r"WRONGPASS|invalid (username-)?password", StoreUnusable, "{} refused the user or password"),
        (r"DB index|Invalid Database", StoreUnusable, "{} has no such database: choose one that it has"),
        (
            r"unknown command",
            StoreUnusable,
            "{} does not know a command that Footfall needs: use Redis 6.2 or Valkey 7.2, or later",
        ),
    )
)

#: What is raised where Sentinels answer that they don't know the service.
UNKNOWN_SERVICE = "no Sentinel knows the service"

_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|[Hh]ostname mismatch|IP address mismatch")
_TLS = re.compile(r"SSL|TLS")
_ROUTE = re.compile(r"READONLY|MASTERDOWN|CLUSTERDOWN|replica instances|[Cc]luster is down")


def translate(error: BaseException, where: str) -> StoreError:
    """What an exception of the driver, or of the network, means to a caller; `where` names the server without secrets."""
    text = str(error)
    if isinstance(error, exceptions.ResponseError | exceptions.AuthenticationError | exceptions.BusyLoadingError):
        # The driver takes the error's code off the text of some; its class says the same.
        text = f"{_CODES.get(type(error).__name__, '')} {text}"
        for pattern, kind, words in _REPLIES:
            if pattern.search(text):
                return kind(words.format(where))
        return StoreUnusable(f"{where} answered with an error: {text.strip()}")
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return StoreUnavailable(f"no answer from {where} in time")
    if _CERTIFICATE.search(text):
        return StoreUnusable(
            f"the certificate of {where} is not trusted: name its authority in ssl_ca_certs, and the host as it does"
        )
    if _TLS.search(text):
        return StoreUnavailable(
            f"no TLS connection to {where}: does it serve TLS there, and does it want a client's certificate?"
        )
    if UNKNOWN_SERVICE in text:
        return StoreUnavailable(f"can't reach {where}: they answer, but know no service of this name")
    reason = _reason(error)
    if reason is None:
        return StoreUnavailable(f"the connection to {where} was lost")
    if reason.errno in (errno.EMFILE, errno.ENFILE):
        return StoreUnavailable(f"can't reach {where}: too many files are open; allow this process more")
    words = str(reason.strerror) if isinstance(reason, socket.gaierror) else os.strerror(reason.errno or 0)
    return StoreUnavailable(f"can't reach {where} ({words}): does it run, and is the address right?")


def _reason(error: BaseException | None) -> OSError | None:
    """What the system said, where it said anything: drivers raise their own errors from it."""
    while error is not None and not (isinstance(error, OSError) and error.errno):
        error = error.__cause__ or error.__context__
    return error


_CODES = {
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "ReadOnlyError": "READONLY",
    "AskError": "ASK",
    "MovedError": "MOVED",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "ClusterCrossSlotError": "same slot",
    "NoPermissionError": "NOPERM",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "ModuleError": "unknown command",
}


def is_about_the_route(reply: exceptions.ResponseError) -> bool:
    """Whether an error reply says that another server may have to be asked: a replica, or a cluster that is not whole."""
    text = f"{_CODES.get(type(reply).__name__, '')} {reply}"
    return _ROUTE.search(text) is not None
