"""The scripted model: answers at once, asks for a tool call where it is told to, and tells what it was asked."""

import json
from pathlib import Path

from parts.processes import Server, clean_environment

HELLO = "hello"
USE_THE_TOOL = "use the tool"
ANSWER = "Hello. What can I do for you?"
TOOL_ANSWER = "The tool has answered."


class Model:
    """One scripted model on a fixed port, so that another can take its place."""

    def __init__(self, program, folder, port):
        self.program, self.folder, self.port = program, Path(folder), port
        self.record_file = self.folder / "record.jsonl"
        self.server = None

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self, script, is_recording=False):
        """Takes the place of the one before. A recording model makes each request durable first: time nothing against it."""
        self.stop()
        script_file = self.folder / "script.json"
        script_file.write_text(json.dumps(script))
        words = [self.program, "--port", self.port, "--script", script_file]
        if is_recording:
            words += ["--record", self.record_file]
        self.server = Server(words, self.folder / "model.log", clean_environment(self.folder))
        self.server.wait_for_line("scripted model ready on ", 10)

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def recorded(self):
        """The largest recorded request: its bytes and tools."""
        lines = [json.loads(line) for line in self.record_file.read_text().splitlines()]
        asked = [line for line in lines if line["event"] == "asked"]
        if not asked:
            return None
        largest = max(asked, key=lambda line: line["body_bytes"])
        return {"bytes": largest["body_bytes"], "tools": len(largest["body"].get("tools") or [])}


class Direct:
    """The model itself as an endpoint: what a turn costs without anybody between."""

    def __init__(self, port):
        self.port = port

    def headers(self):
        return {}

    def body(self, session, text):
        return {"model": "scripted", "user": session, "messages": [{"role": "user", "content": text}]}


def plain_script():
    return {"models": ["scripted"], "replies": [{"text": ANSWER}]}


def tool_script(tool_call, turns):
    """A call, then a text, and so on: some products add words of their own behind the person's, so only the order is sure."""
    name, arguments = tool_call
    one_turn = [{"tool_calls": [{"name": name, "arguments": arguments}]}, {"text": TOOL_ANSWER}]
    return {"mode": "sequential", "models": ["scripted"], "replies": one_turn * turns}
