"""Starts servers, reads what they use from /proc, and ends them.

Ends only what it started, and what that started in turn.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


class Unavailable(Exception):
    """Something cannot be installed, started or asked; the message is one line for a person."""


class Server:
    """A started program. Its output goes to a file, so that it can never block on a full pipe."""

    def __init__(self, words, log, environment, folder=None):
        self.log = Path(log)
        self.output = open(self.log, "wb")
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )

    @property
    def pid(self):
        return self.process.pid

    def since_start(self):
        return time.perf_counter() - self.started_at

    def has_ended(self):
        return self.process.poll() is not None

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def wait_for_line(self, beginning, seconds):
        """The first line of its output that begins so."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(beginning) and line.endswith("\n"):
                    return line.strip()
            if self.has_ended():
                raise Unavailable(f"it ended: {self.last_words()}")
            time.sleep(0.002)
        raise Unavailable(f"it did not print {beginning!r} within {seconds:.0f} s")

    def wait_for_port(self, port, seconds):
        """Waits until something answers HTTP there, whatever it says."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            if answers_http(port):
                return
            if self.has_ended():
                raise Unavailable(f"it ended: {self.last_words()}")
            time.sleep(0.01)
        raise Unavailable(f"it did not answer within {seconds:.0f} s")

    def stop(self):
        family = family_of(self.pid)
        if not self.has_ended():
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)
        for pid, born_at in family.items():
            if pid != self.pid and birth_of(pid) == born_at:
                end(pid)
        self.output.close()


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def answers_http(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            return connection.recv(5).startswith(b"HTTP/")
    except OSError:
        return False


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def stat_of(pid):
    """Fields of /proc/PID/stat from the state on, or None when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def birth_of(pid):
    fields = stat_of(pid)
    return fields and fields[19]


def family_of(pid):
    """The process and everything it started that still runs: pid to time of birth, which tells apart pids used twice."""
    parents, births = {}, {}
    for entry in os.listdir("/proc"):
        fields = stat_of(entry) if entry.isdigit() else None
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(entry))
            births[int(entry)] = fields[19]
    found, queue = {}, [pid]
    while queue:
        member = queue.pop()
        if member in births:
            found[member] = births[member]
            queue.extend(parents.get(member, []))
    return found


def cpu_ms(pid):
    """Milliseconds of processor: of the processes that run now, and of children that have ended."""
    own = ended = 0
    for member in family_of(pid):
        fields = stat_of(member)
        if fields:
            own += int(fields[11]) + int(fields[12])
            ended += int(fields[13]) + int(fields[14])
    return own * 1000 / TICKS_PER_SECOND, ended * 1000 / TICKS_PER_SECOND


def rss_mib(pid):
    """Resident memory of the process and everything it started."""
    total_kib = 0
    for member in family_of(pid):
        try:
            status = Path(f"/proc/{member}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                total_kib += int(line.split()[1])
    return total_kib / 1024


def leave_network():
    """From now on this process and what it starts see only a loopback of their own. Tells whether that worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket() as handle:
        request = struct.pack("16sh", b"lo", IFF_UP)
        fcntl.ioctl(handle, SIOCSIFFLAGS, request)
    return True


def clean_environment(home, **more):
    """An environment without keys of providers, whose home is a folder of the bench."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), **more}
