#!/usr/bin/env python3
"""Gives the ten tasks of a first day to the local model, through the real binary, and counts what comes out right.

Each run has a session of its own and a workspace with the same files. Fetches the model once, into target/bench-home. STEWARD_PROVE=1 runs
each task 20 times, --runs N as often as it says; --task WORD takes only tasks whose name holds the word.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Byte code beside the sources would be a stray folder in the project.
sys.dont_write_bytecode = True

from parts.first_day import Page, fill, tasks
from parts.processes import Server, Unavailable, clean_environment

ROOT = Path(__file__).resolve().parent.parent
MODEL = "smollm2-135m"
TURN_SECONDS = 120
PULL_SECONDS = 300
RUNS, SECONDS = 2, 15 * 60
RUNS_TO_PROVE, SECONDS_TO_PROVE = 20, 2 * 60 * 60


class House:
    """A running Steward with the local model and nothing else. Each run begins with the same files."""

    def __init__(self, program, folder, page):
        self.program, self.folder, self.page = program, folder, page
        self.home = folder / "home"
        self.server = None

    def command(self, words, seconds, home=None):
        environment = clean_environment(self.folder, STEWARD_HOME=str(home or self.home))
        return subprocess.run(
            [self.program, *words], capture_output=True, text=True, timeout=seconds, env=environment, stdin=subprocess.DEVNULL, check=False
        )

    def fetch_model(self, kept):
        """The model in the kept home; fetched when it is not there."""
        pulled = self.command(["models", "pull", MODEL], PULL_SECONDS, kept)
        if pulled.returncode != 0:
            raise Unavailable(f"the model cannot be pulled: {pulled.stderr.strip()[-300:]}")
        (self.home / "models").mkdir(parents=True)
        for file in (kept / "models").iterdir():
            if file.name.startswith(MODEL):
                os.link(file, self.home / "models" / file.name)

    def start(self):
        # The page lies on loopback, which nothing may fetch unless it is named.
        (self.home / "steward.toml").write_text(f'[sandbox]\nnetwork = {{ allow = ["{self.page}"] }}\n')
        environment = clean_environment(self.folder, STEWARD_HOME=str(self.home))
        self.server = Server([self.program, "serve", "--bind", "127.0.0.1:0"], self.folder / "steward.log", environment)
        self.server.wait_for_line("steward ready on ", 60)

    def stop(self):
        if self.server:
            self.server.stop()

    def run(self, task, number):
        """Seconds, whether the check was met, and what came back."""
        workspace = self.home / "workspaces" / "main"
        # Emptied in place: the server may hold the folder itself open.
        workspace.mkdir(parents=True, exist_ok=True)
        for entry in workspace.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        fill(workspace)
        session = f"{task.name.replace(' ', '-')}-{number}"
        began = time.perf_counter()
        try:
            done = self.command(["chat", "-m", task.message, "--session", session, "--json"], TURN_SECONDS)
            answer = json.loads(done.stdout or "{}")
        except subprocess.TimeoutExpired:
            self.stop_turns(session)
            answer = {"status": "over time", "text": ""}
        except ValueError:
            answer = {"status": "unreadable", "text": done.stdout[:300]}
        took = time.perf_counter() - began
        text = answer.get("text") or ""
        is_done = answer.get("status") == "done" and task.is_done(workspace, text)
        # Steward quotes what tools gave below the model's words: whether those alone are right is another question.
        begins_right = task.is_done(workspace, text.split("\n\n")[0]) if task.is_answer else None
        return {
            "seconds": took,
            "is_done": bool(is_done),
            "begins_right": begins_right,
            "status": answer.get("status") or done.stderr.strip()[:300],
            "text": text[:300],
            "calls": self.calls(answer.get("turn_id")),
        }

    def stop_turns(self, session):
        """A turn that takes too long must not slow down the next one."""
        listed = self.command(["turns", "list", "--session", session, "--json"], 30)
        turns = json.loads(listed.stdout or "[]")
        for turn in turns:
            self.command(["turns", "stop", turn["id"]], 30)

    def calls(self, turn):
        """The tools that the turn called, for whoever reads why it failed."""
        if not turn:
            return []
        shown = self.command(["turns", "show", turn, "--json"], 30)
        if shown.returncode != 0:
            return []
        steps = json.loads(shown.stdout)["steps"]
        return [f"{call['tool']} {json.dumps(call['args'])[:120]} {call['outcome']}" for step in steps for call in step["calls"]]


def main():
    is_proof = os.environ.get("STEWARD_PROVE") == "1"
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--runs", type=int, default=RUNS_TO_PROVE if is_proof else RUNS)
    reader.add_argument("--task", default="")
    options = reader.parse_args()
    program = Path(os.environ.get("STEWARD_BIN", ROOT / "target/release/steward"))
    out = Path(os.environ.get("STEWARD_BENCH_OUT", ROOT / ".bench"))
    if not program.is_file():
        sys.exit(f"{program} is not there: run `make bench`, or build it with cargo build --release")
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    target.mkdir(exist_ok=True)
    ends_at = time.perf_counter() + (SECONDS_TO_PROVE if is_proof else SECONDS)
    with tempfile.TemporaryDirectory(prefix="steward-bench-", dir=target) as folder, Page() as page:
        house = House(program, Path(folder), page.address)
        wanted = [task for task in tasks(f"http://{page.address}/") if options.task in task.name]
        try:
            house.fetch_model(target / "bench-home")
            house.start()
            results = {task.name: runs(house, task, options.runs, ends_at) for task in wanted}
        except (Unavailable, subprocess.TimeoutExpired) as reason:
            sys.exit(f"local_tasks: skipped: {reason}")
        finally:
            house.stop()
    report = f"# Ten tasks with the local model {MODEL}\n\n{sentences(options.runs)}\n\n{markdown(results)}\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "local_tasks.md").write_text(report)
    (out / "local_tasks.json").write_text(json.dumps(results, indent=1))
    print(report)


def runs(house, task, count, ends_at):
    done = []
    for number in range(count):
        if time.perf_counter() > ends_at:
            break
        outcome = house.run(task, number)
        mark = "done" if outcome["is_done"] else f"not done ({outcome['status']}: {outcome['text'][:80]!r})"
        print(f"bench: {task.name}, run {number + 1} of {count}: {mark}, {outcome['seconds']:.1f} s", flush=True)
        done.append(outcome)
    return done


def sentences(count):
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}, {os.cpu_count()} processors, load average at the end {load:.1f}. "
        f"{count} runs of each task; success is checked on the files and on the answer, "
        "where the fact may stand in the model's words or in a tool's output quoted below them; “first paragraph” asks for the former."
    )


def markdown(results):
    lines = ["| task | success | right in its first paragraph | median s | slowest s |", "|---|---|---|---|---|"]
    for name, outcomes in results.items():
        if not outcomes:
            lines.append(f"| {name} | not run, the time was over | – | – | – |")
            continue
        seconds = [outcome["seconds"] for outcome in outcomes]
        share = f"{sum(outcome['is_done'] for outcome in outcomes)} of {len(outcomes)}"
        begun = [outcome["begins_right"] for outcome in outcomes]
        first = "–" if None in begun else f"{sum(begun)} of {len(begun)}"
        lines.append(f"| {name} | {share} | {first} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")
    every = [outcome for outcomes in results.values() for outcome in outcomes]
    if every:
        lines.append(f"| all | {sum(outcome['is_done'] for outcome in every)} of {len(every)} | | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
