#!/usr/bin/env python3
"""Measures Steward as an agent runtime, and OpenClaw and nanobot beside it with the same work.

Everything talks over the loopback of a network of its own, where the machine allows that. Changes nothing outside
target/ and STEWARD_BENCH_OUT.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

# Byte code beside the sources would be a stray folder in the project.
sys.dont_write_bytecode = True

from parts import processes, table
from parts.load import Deadline, OutOfTime
from parts.measure import measure
from parts.peers import Nanobot, OpenClaw
from parts.processes import Unavailable
from parts.steward import Steward

ROOT = Path(__file__).resolve().parent.parent
STEWARD_SECONDS = 180


def main():
    steward = Path(os.environ.get("STEWARD_BIN", ROOT / "target/release/steward"))
    scripted = Path(os.environ.get("STEWARD_SCRIPTED_MODEL", ROOT / "target/release/steward-scripted-model"))
    out = Path(os.environ.get("STEWARD_BENCH_OUT", ROOT / ".bench"))
    for program in (steward, scripted):
        if not program.is_file():
            sys.exit(f"{program} is not there: run `make bench`, or build it with cargo build --release")
    wanted = sys.argv[1:] or ["steward", "openclaw", "nanobot"]
    peers = [peer for peer in (OpenClaw, Nanobot) if peer.name.lower() in wanted]
    installed, results = install(peers)
    products = [(Steward(steward), STEWARD_SECONDS)] if "steward" in wanted else []
    products += [(peer, peer.seconds) for peer in installed]
    is_alone = processes.leave_network()
    with tempfile.TemporaryDirectory(prefix="steward-bench-", dir=target()) as folder:
        folder = Path(folder)
        machine = describe(folder, is_alone)
        measured = [measured_or_skipped(product, scripted, folder, seconds) for product, seconds in products]
    results = measured + results
    report = f"# Agent runtimes\n\n{sentences(machine)}\n\n{table.markdown(results)}\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "agent.md").write_text(report)
    (out / "agent.json").write_text(json.dumps({"machine": machine, "products": results}, indent=1))
    print(report)
    is_measured = all("skipped" not in result for result in results if result["name"] == Steward.name)
    sys.exit(0 if is_measured else 1)


def target():
    folder = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    folder.mkdir(exist_ok=True)
    return folder


def install(peers):
    """Those that could be installed, and a line for each that could not."""
    installed, skipped = [], []
    for kind in peers:
        peer = kind(target() / "bench-peers")
        say(f"{peer.name}: installing, unless it is there")
        try:
            peer.install()
            installed.append(peer)
        except Unavailable as reason:
            skipped.append(skip(peer.name, f"cannot be installed: {reason}"))
    return installed, skipped


def measured_or_skipped(product, scripted, folder, seconds):
    say(f"{product.name}: measuring, at most {seconds} s")
    try:
        return measure(product, scripted, folder / product.name.lower(), Deadline(seconds))
    except OutOfTime:
        return skip(product.name, f"did not get to its first answer within {seconds} s")
    except Unavailable as reason:
        return skip(product.name, str(reason))


def skip(name, reason):
    say(f"{name}: skipped: {reason}")
    return {"name": name, "skipped": reason}


def describe(folder, is_alone):
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": os.cpu_count(),
        "kernel": os.uname().release,
        "load_average": os.getloadavg(),
        "fdatasync_ms": fdatasync_ms(folder),
        "is_network_cut": is_alone,
    }


def fdatasync_ms(folder):
    """Median of 50 times 4 KiB: what any durable turn pays at least."""
    times = []
    with open(folder / "sync", "wb") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def sentences(machine):
    load = machine["load_average"][0]
    noise = "the machine was doing other work, so times are too high" if load > 0.5 else "the machine was quiet"
    network = "with only the loopback to reach" if machine["is_network_cut"] else "with the network within reach"
    return (
        f"{machine['at']}, {machine['processors']} processors, kernel {machine['kernel']}, {network}. "
        f"Load average at the beginning {load:.1f}: {noise}. "
        f"One fdatasync takes {machine['fdatasync_ms']:.1f} ms. The model answers at once, so a turn is all overhead. "
        "Times are from the client's side; RSS and CPU are of the server and all it started; starts are medians."
    )


def say(words):
    print(f"bench: {words}", flush=True)


if __name__ == "__main__":
    main()
