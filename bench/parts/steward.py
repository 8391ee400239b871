"""Steward as one of the products: a fresh home, one provider which is the scripted model, one key."""

import json
import subprocess

from parts import processes
from parts.processes import Server, Unavailable

CONFIGURATION = """\
[providers.scripted]
dialect = "openai-chat"
base_url = "{base_url}"
api_key = "bench"

[models."scripted/scripted"]
input_usd_per_mtok = 1.0
output_usd_per_mtok = 1.0
context_tokens = 200000

[routes.default]
targets = [ {{ model = "scripted/scripted" }} ]
"""


class Steward:
    name = "Steward"
    tool_call = ("shell", {"command": "echo bench"})
    cold_starts = 5
    settle_seconds = 2

    def __init__(self, program):
        self.program = program
        self.server = None
        self.port = None
        self.key = None

    def version(self):
        return self.run(["--version"], None).strip()

    def prepare(self, folder, base_url, _deadline):
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "steward.toml").write_text(CONFIGURATION.format(base_url=base_url))
        created = self.run(["keys", "create", "bench", "--role", "member", "--json"], folder)
        self.key = json.loads(created)["key"]

    def size_bytes(self):
        return self.program.stat().st_size

    def start(self, deadline):
        words = [self.program, "serve", "--bind", "127.0.0.1:0"]
        self.server = Server(words, self.home.parent / "steward.log", self.environment(self.home.parent))
        line = self.server.wait_for_line("steward ready on ", min(30, deadline.left()))
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def headers(self):
        return {"authorization": f"Bearer {self.key}"}

    def body(self, session, text):
        return {"model": "agent/main", "user": session, "messages": [{"role": "user", "content": text}]}

    def environment(self, folder):
        more = {"STEWARD_HOME": str(folder / "home")} if folder else {}
        return processes.clean_environment(folder or "/nonexistent", **more)

    def run(self, words, folder):
        """Runs one command to its end and gives what it printed."""
        done = subprocess.run(
            [self.program, *words], capture_output=True, text=True, timeout=60, env=self.environment(folder), check=False
        )
        if done.returncode != 0:
            raise Unavailable(f"steward {' '.join(words)} failed: {done.stderr.strip()[:300]}")
        return done.stdout
