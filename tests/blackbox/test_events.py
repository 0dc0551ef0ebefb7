"""Live streams: everything once and in order, whenever a client comes, leaves and comes back."""

import itertools
import threading

import sse
from harness import error_code, name


def entries(events):
    return [event.data["seq"] for event in events if event.name == "entry"]


def test_a_streamed_turn_begins_flows_and_ends_with_the_same_answer(scripted):
    session = name("s")
    events = list(sse.invoke(scripted, "words", {"input": "Go", "session_id": session}))
    assert events[0].name == "started" and events[0].data["session_id"] == session
    assert events[-1].name == "done" and events[-1].data["status"] == "completed"
    text = "".join(event.data["text"] for event in events if event.name == "delta" and event.data["kind"] == "text")
    assert text == events[-1].data["output"]["text"] and text.startswith("word1 ") and text.endswith(" word200")
    # Deltas come one after another, not in one burst at the end.
    assert sum(event.name == "delta" for event in events) >= 100
    run = events[0].data["run_id"]
    assert entries(events) == [event["seq"] for event in scripted.events(run)][-len(entries(events)):]
    assert all(event.id == f"{run}:{event.data['seq']}" for event in events if event.name == "entry")
    assert all(event.id is None for event in events if event.name == "delta")


def test_a_stream_ends_also_when_the_turn_waits_for_a_person(scripted):
    events = list(sse.invoke(scripted, "pays", {"input": "Pay", "session_id": name("s"), "user_id": "streams"}))
    assert events[-1].name == "done" and events[-1].data["status"] == "waiting" and len(events[-1].data["questions"]) == 2


def test_the_whole_journal_can_be_followed_from_the_beginning(scripted):
    turn = scripted.turn("parallel", "Go", session_id=name("s"))
    journal = scripted.events(turn["run_id"])
    got = list(itertools.takewhile(lambda event: event.name != "caught_up", sse.follow(scripted, turn["run_id"])))
    assert [event.data for event in got if event.name == "entry"] == journal
    assert entries(got) == list(range(1, len(journal) + 1))


def test_resuming_after_every_event_misses_nothing_and_repeats_nothing(scripted):
    turn = scripted.turn("parallel", "Go", session_id=name("s"))
    run = turn["run_id"]
    journal = [event["seq"] for event in scripted.events(run)]
    for cut in range(len(journal)):
        last = f"{run}:{journal[cut]}"
        rest = itertools.takewhile(lambda event: event.name != "caught_up", sse.follow(scripted, run, last_event_id=last))
        assert entries(rest) == journal[cut + 1:]


def test_a_client_that_reconnects_in_mid_stream_gets_the_text_whole(scripted):
    started = scripted.turn("words", "Go", session_id=name("s"), background=True)
    run, seen, texts, last = started["run_id"], [], [], None
    # Leave after each 25 events and come back with the last id, as a browser does.
    for _ in range(100):
        text, ended = "", False
        for number, event in enumerate(sse.follow(scripted, run, last_event_id=last)):
            if event.id:
                last = event.id
            if event.name == "entry":
                seen.append(event.data["seq"])
                if event.data["type"] == "model_replied":
                    texts.append(event.data["message"]["content"][0]["text"])
                ended = event.data["type"] == "turn_ended"
            elif event.name == "partial":
                text = "".join(block.get("text", "") for block in event.data["message"]["content"])
            elif event.name == "restart":
                text = ""
            elif event.name == "delta":
                text += event.data["text"]
                # What a reader has on the screen is always a prefix of the answer.
                assert " ".join(f"word{n}" for n in range(1, 201)).startswith(text), text[-40:]
            if ended or number >= 25:
                break
        if ended:
            break
    assert ended and seen == [event["seq"] for event in scripted.events(run)]
    assert texts == [" ".join(f"word{n}" for n in range(1, 201))]


def test_many_readers_see_the_same(scripted):
    started = scripted.turn("words", "Go", session_id=name("s"), background=True)
    run, results = started["run_id"], []

    def read():
        got = []
        for event in sse.follow(scripted, run):
            if event.name == "entry":
                got.append(event.data["seq"])
                if event.data["type"] == "turn_ended":
                    break
        results.append(got)

    readers = [threading.Thread(target=read) for _ in range(12)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    journal = [event["seq"] for event in scripted.events(run)]
    assert results == [journal] * 12


def test_a_stream_that_was_cut_by_a_kill_goes_on_after_the_restart(start, scripted):
    server = start(scripted.project)
    started = server.turn("words", "Go", "k", session_id="s", background=True)
    run, last, seen = started["run_id"], None, []
    for event in sse.follow(server, run):
        if event.name == "entry":
            last = event.id
            seen.append(event.data["seq"])
        if event.name == "delta":
            break
    server.kill()
    server.start()
    for event in sse.follow(server, run, last_event_id=last):
        if event.name == "entry":
            seen.append(event.data["seq"])
            if event.data["type"] == "turn_ended":
                break
    assert seen == [event["seq"] for event in server.events(run)]
    assert server.get(f"/v1/runs/{run}").json()["turns"][0]["status"] == "completed"


def test_an_id_of_another_run_is_not_believed(scripted):
    turn = scripted.turn("parallel", "Go", session_id=name("s"))
    other = scripted.turn("parallel", "Go", session_id=name("s"))
    got = itertools.takewhile(
        lambda event: event.name != "caught_up",
        sse.follow(scripted, turn["run_id"], last_event_id=f"{other['run_id']}:5"))
    assert entries(got) == [event["seq"] for event in scripted.events(turn["run_id"])]


def test_a_stream_of_no_run_is_a_404(scripted):
    answer = scripted.get("/v1/runs/00000000000000000000000000000000/events", headers={"accept": "text/event-stream"})
    assert answer.status_code == 404 and error_code(answer) == "run_not_found"
