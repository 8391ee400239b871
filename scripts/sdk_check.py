#!/usr/bin/env python3
"""Drives a server with the vendors' own SDKs and prints a PASS or FAIL line for each thing they could do.

Without arguments it starts `steward-scripted-model` and checks that: what tests lean on has to be right itself.
With `--base-url URL --key KEY --model MODEL` it checks a running Steward instead, whose target plays the script that
`--print-script` prints; `--only` and `--skip` choose among the checks.
It talks to loopback only and ends after a minute at the latest.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile

TEXT = "Grüße aus Porto, all is well."
TOOL = {
    "name": "list",
    "description": "Lists a folder.",
    "schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}
SCRIPT = {
    "replies": [
        {"match": {"has_tool_result": True}, "text": "I saw a.txt."},
        {"match": "plain", "text": TEXT, "usage": {"input": 40, "cached_input": 10, "output": 7}},
        {"match": "think", "thinking": "Let me see.", "text": TEXT},
        {"match": "sliced", "text": TEXT, "slice_bytes": 3},
        {"match": "tool", "text": "Looking.", "tool_calls": [{"name": "list", "arguments": {"path": "."}}]},
        {"match": "busy", "error": {"status": 429, "retry_after": "1"}},
        {"match": "broken", "text": TEXT, "error": {"status": 500, "after_events": 4}},
    ]
}
SECONDS_AT_MOST = 60


class Checks:
    """Counts what passed and what failed."""

    def __init__(self, skip):
        self.skip = skip
        self.passed = 0
        self.failed = 0

    def run(self, name, check):
        if any(word in name for word in self.skip):
            return
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is a failed check
            self.failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"PASS {name}", flush=True)


def expect(actual, wanted):
    if actual != wanted:
        raise AssertionError(f"got {actual!r}, wanted {wanted!r}")


def expect_error(kinds, act):
    try:
        act()
    except kinds:
        return
    raise AssertionError(f"no error of {kinds}")


def check_openai_chat(base_url, key, model, checks):
    import openai

    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    tools = [{"type": "function", "function": {"name": TOOL["name"], "description": TOOL["description"], "parameters": TOOL["schema"]}}]

    def create(word, **more):
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": f"{word} please"}], **more)

    def whole():
        answer = create("plain")
        expect(answer.choices[0].message.content, TEXT)
        expect(answer.usage.prompt_tokens, 50)
        expect(answer.usage.prompt_tokens_details.cached_tokens, 10)

    def stream(word):
        chunks = list(create(word, stream=True, stream_options={"include_usage": True}))
        expect("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), TEXT)
        if chunks[-1].usage is None:
            raise AssertionError("the last chunk has no usage")

    def tool_call():
        with client.chat.completions.stream(model=model, messages=[{"role": "user", "content": "tool please"}], tools=tools) as events:
            message = events.get_final_completion().choices[0].message
        call = message.tool_calls[0]
        expect((call.function.name, json.loads(call.function.arguments)), ("list", {"path": "."}))
        messages = [
            {"role": "user", "content": "tool please"},
            {"role": "assistant", "content": message.content, "tool_calls": [
                {"id": call.id, "type": "function", "function": {"name": "list", "arguments": call.function.arguments}}]},
            {"role": "tool", "tool_call_id": call.id, "content": "a.txt"},
        ]
        answer = client.chat.completions.create(model=model, messages=messages, tools=tools)
        expect(answer.choices[0].message.content, "I saw a.txt.")

    checks.run("openai chat: answer with usage", whole)
    checks.run("openai chat: stream", lambda: stream("plain"))
    checks.run("openai chat: stream in slices", lambda: stream("sliced"))
    checks.run("openai chat: tool call and result", tool_call)
    checks.run("openai chat: 429", lambda: expect_error(openai.RateLimitError, lambda: create("busy")))
    checks.run("openai chat: stream that fails", lambda: expect_error(openai.APIError, lambda: list(create("broken", stream=True))))


def check_openai_responses(base_url, key, model, checks):
    import openai

    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    tools = [{"type": "function", "name": TOOL["name"], "description": TOOL["description"], "parameters": TOOL["schema"], "strict": False}]

    def create(word, **more):
        return client.responses.create(model=model, input=f"{word} please", **more)

    def stream(word):
        with client.responses.stream(model=model, input=f"{word} please") as events:
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            final = events.get_final_response()
        expect(text, TEXT)
        expect(final.output_text, TEXT)

    def thinking():
        kinds = [item.type for item in create("think").output]
        expect(kinds, ["reasoning", "message"])
        stream("think")

    def tool_call():
        with client.responses.stream(model=model, input="tool please", tools=tools) as events:
            list(events)
            output = events.get_final_response().output
        call = next(item for item in output if item.type == "function_call")
        expect((call.name, json.loads(call.arguments)), ("list", {"path": "."}))
        conversation = [
            {"role": "user", "content": "tool please"},
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "a.txt"},
        ]
        expect(client.responses.create(model=model, input=conversation, tools=tools).output_text, "I saw a.txt.")

    checks.run("openai responses: answer", lambda: expect(create("plain").output_text, TEXT))
    checks.run("openai responses: stream", lambda: stream("plain"))
    checks.run("openai responses: reasoning", thinking)
    checks.run("openai responses: tool call and result", tool_call)
    checks.run("openai responses: 429", lambda: expect_error(openai.RateLimitError, lambda: create("busy")))


def check_anthropic(base_url, key, model, checks):
    import anthropic

    client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
    tools = [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["schema"]}]

    def ask(word):
        return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": f"{word} please"}]}

    def whole():
        answer = client.messages.create(**ask("plain"))
        expect(answer.content[0].text, TEXT)
        expect((answer.usage.input_tokens, answer.usage.cache_read_input_tokens), (40, 10))

    def stream(word):
        with client.messages.stream(**ask(word)) as events:
            expect("".join(events.text_stream), TEXT)

    def thinking():
        with client.messages.stream(**ask("think")) as events:
            blocks = events.get_final_message().content
        expect([block.type for block in blocks], ["thinking", "text"])
        expect(blocks[0].thinking, "Let me see.")
        if not blocks[0].signature:
            raise AssertionError("the thinking has no signature")

    def tool_call():
        with client.messages.stream(tools=tools, **ask("tool")) as events:
            message = events.get_final_message()
        call = next(block for block in message.content if block.type == "tool_use")
        expect((call.name, call.input, message.stop_reason), ("list", {"path": "."}, "tool_use"))
        messages = [
            {"role": "user", "content": "tool please"},
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "a.txt"}]},
        ]
        answer = client.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
        expect(answer.content[0].text, "I saw a.txt.")

    def broken():
        with client.messages.stream(**ask("broken")) as events:
            list(events.text_stream)

    checks.run("anthropic: answer with usage", whole)
    checks.run("anthropic: stream", lambda: stream("plain"))
    checks.run("anthropic: stream in slices", lambda: stream("sliced"))
    checks.run("anthropic: thinking with its seal", thinking)
    checks.run("anthropic: tool call and result", tool_call)
    checks.run("anthropic: 429", lambda: expect_error(anthropic.RateLimitError, lambda: client.messages.create(**ask("busy"))))
    checks.run("anthropic: stream that fails", lambda: expect_error(anthropic.APIStatusError, broken))


def check_gemini(base_url, key, model, checks):
    from google import genai
    from google.genai import errors, types

    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url))
    declaration = types.FunctionDeclaration(name=TOOL["name"], description=TOOL["description"], parameters_json_schema=TOOL["schema"])
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declaration])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )

    def whole():
        answer = client.models.generate_content(model=model, contents="plain please")
        expect(answer.text, TEXT)
        usage = answer.usage_metadata
        expect((usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count), (50, 10, 7))

    def stream(word):
        chunks = client.models.generate_content_stream(model=model, contents=f"{word} please")
        expect("".join(chunk.text or "" for chunk in chunks), TEXT)

    def tool_call():
        asked = types.Content(role="user", parts=[types.Part(text="tool please")])
        chunks = list(client.models.generate_content_stream(model=model, contents=[asked], config=config))
        calls = [call for chunk in chunks for call in chunk.function_calls or []]
        expect([(call.name, call.args) for call in calls], [("list", {"path": "."})])
        contents = [
            asked,
            types.Content(role="model", parts=[types.Part(function_call=calls[0])]),
            types.Content(role="user", parts=[types.Part.from_function_response(name="list", response={"result": "a.txt"})]),
        ]
        expect(client.models.generate_content(model=model, contents=contents, config=config).text, "I saw a.txt.")

    def busy():
        try:
            client.models.generate_content(model=model, contents="busy please")
        except errors.ClientError as error:
            expect(error.code, 429)
        else:
            raise AssertionError("no error")

    def broken():
        list(client.models.generate_content_stream(model=model, contents="broken please"))

    checks.run("gemini: answer with usage", whole)
    checks.run("gemini: stream", lambda: stream("plain"))
    checks.run("gemini: stream in slices", lambda: stream("sliced"))
    checks.run("gemini: tool call and result", tool_call)
    checks.run("gemini: 429", busy)
    checks.run("gemini: stream that fails", lambda: expect_error(errors.APIError, broken))


def check_lists(base_url, key, model, checks):
    """What only a gateway has: lists of models, and counts of tokens by the provider behind it."""
    import anthropic
    import openai
    from google import genai
    from google.genai import types

    openai_client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    anthropic_client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
    google_client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url))

    def is_listed(names):
        if "default" not in names and "agent/main" not in names:
            raise AssertionError(f"neither a route nor an agent in {names}")

    def counted(count):
        if not 1 <= count <= 100:
            raise AssertionError(f"{count} tokens for a short text")

    def anthropic_count():
        asked = {"model": model, "messages": [{"role": "user", "content": "plain please"}]}
        counted(anthropic_client.messages.count_tokens(**asked).input_tokens)

    checks.run("lists: openai", lambda: is_listed([item.id for item in openai_client.models.list()]))
    checks.run("lists: openai, one", lambda: expect(openai_client.models.retrieve("agent/main").id, "agent/main"))
    checks.run("lists: anthropic", lambda: is_listed([item.id for item in anthropic_client.models.list()]))
    checks.run("lists: gemini", lambda: is_listed([item.name.removeprefix("models/") for item in google_client.models.list()]))
    checks.run("counts: anthropic", anthropic_count)
    def embedded(vectors, wanted=2):
        expect([len(vector) for vector in vectors], [3] * wanted)

    texts = ["two words", "a"]
    if not model.endswith("anthropic"):
        checks.run("embeddings: openai", lambda: embedded(
            [item.embedding for item in openai_client.embeddings.create(model=model, input=texts).data]))
        # Google's client makes one text of all where the model's name speaks of Gemini.
        checks.run("embeddings: gemini", lambda: embedded(
            [item.values for item in google_client.models.embed_content(model=model, contents=texts).embeddings],
            wanted=1 if "gemini" in model else 2))
    checks.run("counts: gemini", lambda: counted(google_client.models.count_tokens(model=model, contents="plain please").total_tokens))


SETS = {
    "openai-chat": check_openai_chat,
    "openai-responses": check_openai_responses,
    "anthropic": check_anthropic,
    "gemini": check_gemini,
    "lists": check_lists,
}


def words(text):
    return [word for word in text.split(",") if word]


def start_scripted(binary, folder):
    script = os.path.join(folder, "script.json")
    with open(script, "w", encoding="utf-8") as file:
        json.dump(SCRIPT, file)
    server = subprocess.Popen([binary, "--script", script], stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline().strip()
    return server, line.rsplit(" ", 1)[-1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default="target/debug/steward-scripted-model", help="the scripted model server")
    parser.add_argument("--base-url", help="a running server to check instead, without a path")
    parser.add_argument("--key", default="sk-scripted")
    parser.add_argument("--model", default="scripted")
    parser.add_argument("--only", default="", help="sets of checks, with commas: " + ",".join(SETS))
    parser.add_argument("--skip", default="", help="leave out checks whose names hold one of these words, with commas")
    parser.add_argument("--print-script", action="store_true", help="print the script that the checks expect, and end")
    return parser.parse_args()


def main():
    asked = arguments()
    if asked.print_script:
        print(json.dumps(SCRIPT))
        return 0
    signal.alarm(SECONDS_AT_MOST)
    checks = Checks(words(asked.skip))
    with tempfile.TemporaryDirectory() as folder:
        server, base_url = (None, asked.base_url) if asked.base_url else start_scripted(asked.binary, folder)
        try:
            for name in words(asked.only) or (SETS if asked.base_url else [name for name in SETS if name != "lists"]):
                SETS[name](base_url, asked.key, asked.model, checks)
        finally:
            if server:
                server.kill()
                server.wait()
    print(f"{checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
