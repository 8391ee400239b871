"""Sends turns and times them from the client's side: one after the other, or several at once."""

import http.client
import json
import statistics
import threading
import time

TURN_TIMEOUT_SECONDS = 60


class OutOfTime(Exception):
    """The time for this product is over."""


class Deadline:
    def __init__(self, seconds):
        self.ends_at = time.perf_counter() + seconds

    def left(self):
        return self.ends_at - time.perf_counter()

    def check(self):
        if self.left() <= 0:
            raise OutOfTime


class Client:
    """One connection that is kept. `endpoint` says where and how: port, headers, body(session, text)."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.connection = None

    def turn(self, session, text):
        """Milliseconds, whether it succeeded, and the answer or the error."""
        body = json.dumps(self.endpoint.body(session, text)).encode()
        headers = {"content-type": "application/json", **self.endpoint.headers()}
        began = time.perf_counter()
        try:
            status, answer = self.exchange(body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            return elapsed_ms(began), False, f"{type(error).__name__}: {error}"
        took = elapsed_ms(began)
        if status != 200:
            return took, False, f"HTTP {status}: {answer[:200].decode(errors='replace')}"
        try:
            return took, True, json.loads(answer)["choices"][0]["message"]["content"] or ""
        except (ValueError, KeyError, IndexError, TypeError):
            return took, False, f"not an answer: {answer[:200].decode(errors='replace')}"

    def exchange(self, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.endpoint.port, timeout=TURN_TIMEOUT_SECONDS)
        self.connection.request("POST", "/v1/chat/completions", body, headers)
        response = self.connection.getresponse()
        return response.status, response.read()


class Series:
    """Turns that were sent: their times, those that failed, and how long all took."""

    def __init__(self):
        self.times_ms = []
        self.errors = []
        self.seconds = 0.0

    def take(self, outcome):
        took, is_good, text = outcome
        if is_good:
            self.times_ms.append(took)
        else:
            self.errors.append(text)

    def per_second(self):
        return len(self.times_ms) / self.seconds if self.times_ms else 0.0

    def figures(self):
        return {
            "turns": len(self.times_ms),
            "failed": len(self.errors),
            "first_error": self.errors[0] if self.errors else None,
            "p50_ms": quantile(self.times_ms, 0.5),
            "p90_ms": quantile(self.times_ms, 0.9),
            "max_ms": max(self.times_ms, default=None),
            "seconds": self.seconds,
            "per_second": self.per_second(),
        }


def one_by_one(endpoint, jobs, deadline, wanted=""):
    """Sends each (session, text) after the one before has been answered. An answer without `wanted` has failed."""
    client, series = Client(endpoint), Series()
    began = time.perf_counter()
    for session, text in jobs:
        if deadline.left() <= 0:
            break
        took, is_good, answer = client.turn(session, text)
        series.take((took, is_good and wanted in answer, answer))
    series.seconds = time.perf_counter() - began
    return series


def at_once(endpoint, jobs, width, deadline):
    """Sends the jobs in their order, `width` of them at any time. At the deadline no more are begun."""
    waiting, series, lock = list(reversed(jobs)), Series(), threading.Lock()

    def work():
        client = Client(endpoint)
        while deadline.left() > 0:
            with lock:
                if not waiting:
                    return
                session, text = waiting.pop()
            outcome = client.turn(session, text)
            with lock:
                series.take(outcome)

    workers = [threading.Thread(target=work) for _ in range(width)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    series.seconds = time.perf_counter() - began
    return series


def quantile(values, share):
    if not values:
        return None
    if share == 0.5:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def elapsed_ms(began):
    return (time.perf_counter() - began) * 1000
