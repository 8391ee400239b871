"""Does the same work with any product and gives the figures. Knows no product by name."""

import time

from parts import processes
from parts.load import Client, OutOfTime, at_once, one_by_one
from parts.model import HELLO, TOOL_ANSWER, USE_THE_TOOL, Direct, Model, plain_script, tool_script
from parts.processes import Unavailable

TURNS_IN_SERIES = 40
TURNS_WITH_TOOL = 20
WARM_UP_TURNS = 5
SESSIONS = 100
SESSIONS_AT_ONCE = 4
CROWD_TURNS = 300
CROWD_AT_ONCE = 32


def measure(product, scripted_model, folder, deadline):
    """All figures of a product. What its time did not allow for is absent, and `cut` says so."""
    folder.mkdir(parents=True)
    model = Model(scripted_model, folder, processes.free_port())
    model.start(plain_script())
    figures = {"name": product.name, "version": product.version(), "load_average_before": list_of_load()}
    try:
        product.prepare(folder, model.base_url, deadline)
        figures["size_bytes"] = product.size_bytes()
        figures["direct_p50_ms"] = one_by_one(Direct(model.port), [("probe", HELLO)] * 50, deadline).figures()["p50_ms"]
        figures["starts"] = [cold_start(product, deadline) for _ in range(product.cold_starts)]
        product.start(deadline)
        settled(product, model, figures, deadline)
    except OutOfTime:
        figures["cut"] = "its time was over before all was measured"
    finally:
        product.stop()
        model.stop()
        figures["load_average_after"] = list_of_load()
    return figures


def cold_start(product, deadline):
    """Seconds from the start of the process until it answers, and until a turn is answered."""
    product.start(deadline)
    ready = product.server.since_start()
    first_answer(product, deadline)
    answered = product.server.since_start()
    product.stop()
    return {"ready_s": ready, "first_answer_s": answered}


def first_answer(product, deadline):
    client = Client(product)
    while True:
        deadline.check()
        _, is_good, text = client.turn("first", HELLO)
        if is_good:
            return
        if product.server.has_ended():
            raise Unavailable(f"it ended: {product.server.last_words()}")
        if deadline.left() < 5 or product.server.since_start() > 90:
            raise Unavailable(f"no turn was answered: {text}")
        time.sleep(0.05)


def settled(product, model, figures, deadline):
    """Everything that is asked of a server that has run for a moment."""
    pid = product.server.pid
    time.sleep(product.settle_seconds)
    figures["rss_before_first_turn_mib"] = processes.rss_mib(pid)
    first_answer(product, deadline)
    figures["rss_after_first_turn_mib"] = processes.rss_mib(pid)
    one_by_one(product, [(f"warm-{number}", HELLO) for number in range(WARM_UP_TURNS)], deadline)

    def series(name, send, jobs):
        deadline.check()
        before = processes.cpu_ms(pid)
        done = send(jobs)
        after = processes.cpu_ms(pid)
        figures[name] = with_cpu(done, before, after)

    def in_turn(jobs):
        return one_by_one(product, jobs, deadline)

    def with_tool(jobs):
        return one_by_one(product, jobs, deadline, wanted=TOOL_ANSWER)

    new = [(f"new-{number}", HELLO) for number in range(TURNS_IN_SERIES)]
    series("new_session", in_turn, new)
    series("same_session", in_turn, [("same", HELLO)] * TURNS_IN_SERIES)
    sessions = [f"crowd-{number}" for number in range(SESSIONS)]
    each_once = [(session, HELLO) for session in sessions]
    series("sessions", lambda jobs: at_once(product, jobs, SESSIONS_AT_ONCE, deadline), each_once)
    figures["rss_after_sessions_mib"] = processes.rss_mib(pid)
    crowd = each_once * (CROWD_TURNS // SESSIONS)
    series("crowd", lambda jobs: at_once(product, jobs, CROWD_AT_ONCE, deadline), crowd)
    model.start(tool_script(product.tool_call, TURNS_WITH_TOOL + 1))
    # The first one pays for connections that the model before has closed.
    with_tool([("tool-warm", USE_THE_TOOL)])
    series("tool", with_tool, [(f"tool-{number}", USE_THE_TOOL) for number in range(TURNS_WITH_TOOL)])
    figures["hello"] = hello(product, model)


def hello(product, model):
    """What a fresh session sends to the model, as a model that records it saw it on the same port."""
    model.start(plain_script(), is_recording=True)
    client = Client(product)
    for number in range(3):
        client.turn(f"recorded-{number}", HELLO)
        seen = model.recorded()
        if seen:
            return seen
    return None


def with_cpu(series, before, after):
    figures = series.figures()
    turns = max(1, figures["turns"] + figures["failed"])
    figures["cpu_ms_per_turn"] = (after[0] - before[0]) / turns
    figures["children_cpu_ms_per_turn"] = (after[1] - before[1]) / turns
    return figures


def list_of_load():
    with open("/proc/loadavg") as file:
        return [float(word) for word in file.read().split()[:3]]
