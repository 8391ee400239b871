"""The ten tasks of a first day: what lies in the workspace, what is asked, and how the outcome is checked.

A check looks at files and at the answer, never at how the agent got there.
"""

import datetime
import http.server
import re
import threading
from dataclasses import dataclass
from typing import Callable

FILES = {
    "notes.txt": "The meeting with Ana is on Tuesday at ten.\n",
    "todo.txt": "call the dentist\nwater the plants\nbuy bread\n",
    "data.csv": "day,amount\nmonday,3\ntuesday,5\nwednesday,8\nthursday,2\nfriday,9\nsaturday,1\n",
    "billing.txt": "The invoice of October has been paid.\n",
    "greeting.txt": "Hello Maria, welcome to the team.\n",
    "reports/north.md": "# North\nSales are up.\n",
    "reports/south.md": "# South\nSales are flat.\n",
}
PAGE = b"<html><head><title>Blue Heron Opening Hours</title></head><body><p>We open at nine.</p></body></html>"


@dataclass
class Task:
    """`is_done` gets the folder of the workspace and the answer. An answer is right when it holds the fact that was asked for,
    in the model's words or in a tool's output that Steward quotes; `is_answer` tells such tasks from those about files."""

    name: str
    message: str
    is_done: Callable
    is_answer: bool


def holds(folder, path, *texts):
    """Is there such a file, and has it all the texts?"""
    file = folder / path
    return file.is_file() and all(text in file.read_text(errors="replace") for text in texts)


def is_exactly(folder, path, text):
    """Is there such a file, and nothing else in it? Quotes and white space around it do not matter."""
    file = folder / path
    return file.is_file() and file.read_text(errors="replace").strip(" \t\n\"'`") == text


def tasks(page_url):
    at_top = [name for name in FILES if "/" not in name]
    year = str(datetime.datetime.now().year)
    rows = [
        (
            "list into a file",
            "List the files here and write their names to inventory.md",
            lambda folder, answer: holds(folder, "inventory.md", *at_top),
        ),
        (
            "read",
            "Read notes.txt and tell me on which day the meeting is.",
            lambda folder, answer: "tuesday" in answer.lower(),
        ),
        (
            "write",
            "Write the words good morning to hello.txt",
            lambda folder, answer: is_exactly(folder, "hello.txt", "good morning"),
        ),
        (
            "search",
            "Search the files for the word invoice and tell me which file has it.",
            lambda folder, answer: "billing.txt" in answer,
        ),
        (
            "edit",
            "In greeting.txt replace Hello with Goodbye",
            lambda folder, answer: is_exactly(folder, "greeting.txt", "Goodbye Maria, welcome to the team."),
        ),
        (
            "copy",
            "Read notes.txt and write the same text to copy.txt",
            lambda folder, answer: is_exactly(folder, "copy.txt", FILES["notes.txt"].strip()),
        ),
        (
            "look into a folder",
            "Which files are in the folder reports?",
            lambda folder, answer: "north.md" in answer and "south.md" in answer,
        ),
        (
            "run a command",
            "Run the command `wc -l data.csv` and tell me how many lines it counted.",
            lambda folder, answer: re.search(r"\b(7|seven)\b", answer, re.IGNORECASE) is not None,
        ),
        (
            "command into a file",
            "Run the command `date +%Y` and write its output to year.txt",
            lambda folder, answer: is_exactly(folder, "year.txt", year),
        ),
        (
            "fetch a page",
            f"Fetch {page_url} and tell me the title of the page.",
            lambda folder, answer: "Blue Heron" in answer,
        ),
    ]
    about_answers = {"read", "search", "look into a folder", "run a command", "fetch a page"}
    return [Task(*row, is_answer=row[0] in about_answers) for row in rows]


def fill(folder):
    for path, text in FILES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


class Page:
    """A web server on loopback with one page."""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PageHandler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        """Says nothing: the report is what counts."""
