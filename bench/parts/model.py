"""The scripted model: answers at once, asks for one tool call where the message says so, and tells what it was asked."""

import json
from pathlib import Path

from parts.load import Client
from parts.processes import Server, clean_environment

HELLO = "hello"
USE_THE_TOOL = "use the tool"
ANSWER = "Hello. What can I do for you?"


class Model:
    """One scripted model on a fixed port, so that another can take its place."""

    def __init__(self, program, folder, port, tool_call):
        self.program, self.folder, self.port = program, Path(folder), port
        self.script = self.folder / "script.json"
        self.script.write_text(json.dumps(script(tool_call)))
        self.record_file = self.folder / "record.jsonl"
        self.server = None

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self, is_recording=False):
        """A recording model makes each request durable first: do not time anything against it."""
        words = [self.program, "--port", self.port, "--script", self.script]
        if is_recording:
            words += ["--record", self.record_file]
        self.server = Server(words, self.folder / "model.log", clean_environment(self.folder))
        self.server.wait_for_line("scripted model ready on ", 10)

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def recorded(self, text):
        """The largest recorded request whose last user text holds `text`: its bytes and tools."""
        lines = [json.loads(line) for line in self.record_file.read_text().splitlines()]
        asked = [line for line in lines if line["event"] == "asked" and text in line["last_user_text"]]
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


def script(tool_call):
    name, arguments = tool_call
    wants_tool = {"user_text": USE_THE_TOOL, "has_tool_result": False}
    return {
        "models": ["scripted"],
        "replies": [
            {"match": wants_tool, "tool_calls": [{"name": name, "arguments": arguments}]},
            {"match": {"has_tool_result": True}, "text": "The tool has answered."},
            {"text": ANSWER},
        ],
    }


def is_there(endpoint):
    return Client(endpoint).turn("probe", HELLO)[1]
