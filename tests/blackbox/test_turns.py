"""Turns through the native API: keys, policies, outcomes, cancel, and that each user's conversation is their own."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import error_code, name


def test_a_turn_says_what_it_did(scripted):
    turn = scripted.turn("parallel", "What is 6 * 7?", session_id=name("s"))
    assert turn["status"] == "completed" and turn["output"]["text"] == "Here you are."
    assert (turn["iterations"], turn["tool_calls"], turn["joined"]) == (2, 3, False)
    assert turn["model"]["foundation_model"] is False and turn["error"] is None and turn["questions"] == []
    kept = scripted.get(f"/v1/sessions/{turn['session_id']}/messages").json()["messages"]
    assert [message["role"] for message in kept] == ["user", "assistant", "user", "assistant"]
    results = kept[2]["content"]
    assert [block["type"] for block in results] == ["tool_result"] * 3
    assert [block["tool_use_id"] for block in results] == [b["id"] for b in kept[1]["content"] if b["type"] == "tool_use"]
    assert "42" in json.dumps(results[0]) and "4" in json.dumps(results[2])


def test_a_session_without_a_name_gets_one(scripted):
    one, two = scripted.turn("plain", "Hi"), scripted.turn("plain", "Hi")
    assert one["session_id"] and one["session_id"] != two["session_id"]


def test_two_users_with_one_conversation_id_share_nothing(shop):
    conversation = name("shared")
    shop.agent("My name is Alice", user_id="alice", conversation_id=conversation)
    said = shop.agent("What's my name?", user_id="bob", conversation_id=conversation)
    assert "alice" not in said["response"].lower()
    of_bob = shop.get(f"/v1/sessions/{conversation}/messages?user_id=bob").json()["messages"]
    assert "My name is Alice" not in json.dumps(of_bob)
    assert len(shop.get(f"/v1/sessions/{conversation}/messages?user_id=alice").json()["messages"]) == 2


def test_a_repeated_key_joins_the_turn_and_pays_once(scripted):
    session, key = name("s"), name("key")
    first = scripted.turn("plain", "Hi", key, session_id=session)
    again = scripted.turn("plain", "Hi", key, session_id=session)
    assert (first["joined"], again["joined"]) == (False, True)
    assert again["turn"] == first["turn"] and again["output"] == first["output"]
    assert len(scripted.get(f"/v1/runs/{first['run_id']}").json()["turns"]) == 1


def test_a_repeated_key_finds_the_turn_when_no_session_was_named(scripted):
    key = name("key")
    first, again = scripted.turn("plain", "Hi", key), scripted.turn("plain", "Hi", key)
    assert again["joined"] and again["run_id"] == first["run_id"] and again["session_id"] == first["session_id"]


def test_a_repeated_key_joins_a_turn_that_is_under_way(scripted):
    session, key = name("s"), name("key")
    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(lambda _: scripted.turn("slow", "Hi", key, session_id=session), range(8)))
    assert len({turn["turn"] for turn in turns}) == 1 and [turn["joined"] for turn in turns].count(False) == 1
    assert {turn["output"]["text"] for turn in turns} == {"Finally."}


def test_a_key_with_another_request_is_refused(scripted):
    session, key = name("s"), name("key")
    scripted.turn("plain", "Hi", key, session_id=session)
    other = scripted.invoke("plain", "Something else", key, session_id=session)
    assert other.status_code == 409 and error_code(other) == "idempotency_key_reused"


def test_the_documents_contract_honours_the_key_too(shop):
    key, conversation = name("key"), name("c")
    for _ in range(2):
        answer = shop.post("/agent", {"query": "Hello!", "conversation_id": conversation}, headers={"idempotency-key": key})
        assert answer.status_code == 200
    assert len(shop.get(f"/v1/sessions/{conversation}").json()["turns"]) == 1


def test_a_key_still_joins_after_a_restart(start, scripted):
    server = start(scripted.project)
    first = server.turn("plain", "Hi", "key-1", session_id="s")
    server.kill()
    server.start()
    again = server.turn("plain", "Hi", "key-1", session_id="s")
    assert again["joined"] and again["turn"] == first["turn"] and again["output"] == first["output"]


# -- a second turn on a session ---------------------------------------------------------------------------------------


def test_enqueue_waits_and_names_what_it_waits_for(scripted):
    session = name("s")
    first = scripted.turn("slow", "One", session_id=session, background=True)
    second = scripted.turn("slow", "Two", session_id=session, background=True)
    assert first["status"] == "running" and second["status"] == "queued" and second["queued_behind"] == first["turn"]
    view = scripted.wait_for(
        "both turns did not end", first["run_id"],
        lambda view: view["status"] == "idle" and len(view["turns"]) == 2)
    assert [turn["status"] for turn in view["turns"]] == ["completed", "completed"]
    kept = scripted.get(f"/v1/sessions/{session}/messages").json()["messages"]
    assert [message["content"][0]["text"] for message in kept] == ["One", "Finally.", "Two", "Finally."]


def test_reject_refuses_at_once(scripted):
    session = name("s")
    scripted.turn("slow", "One", session_id=session, background=True)
    busy = scripted.invoke("slow", "Two", session_id=session, session_policy="reject")
    assert busy.status_code == 409 and error_code(busy) == "session_busy"


def test_interrupt_ends_the_one_under_way_and_the_history_stays_well_formed(scripted):
    session = name("s")
    first = scripted.turn("hangs", "One", session_id=session, background=True)
    second = scripted.invoke("hangs", "Two", session_id=session, session_policy="interrupt", background=True).json()
    view = scripted.wait_for(
        "the first turn did not end", first["run_id"],
        lambda view: view["turns"][0]["status"] == "interrupted" and len(view["turns"]) == 2)
    assert view["turns"][1]["status"] == "running" and second["run_id"] == first["run_id"]
    assert scripted.post(f"/v1/runs/{first['run_id']}/cancel", {}).json() == {"cancelled": True}


def test_many_turns_at_once_on_one_session_lose_and_mix_nothing(scripted):
    session = name("s")
    with ThreadPoolExecutor(16) as pool:
        turns = list(pool.map(lambda n: scripted.turn("plain", f"Turn {n}", session_id=session), range(32)))
    assert all(turn["status"] == "completed" for turn in turns)
    kept = scripted.get(f"/v1/sessions/{session}/messages?limit=200").json()["messages"]
    assert [message["role"] for message in kept] == ["user", "assistant"] * 32
    said = {message["content"][0]["text"] for message in kept if message["role"] == "user"}
    assert said == {f"Turn {n}" for n in range(32)}


# -- how turns end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "fields", "status", "http"),
    [
        ("endless", {}, "max_iterations", 422),
        ("broken", {}, "model_failed", 502),
        ("hangs", {"timeout_seconds": 1}, "timeout", None),
        ("cut", {}, "max_tokens", 200),
    ],
)
def test_an_outcome_is_said_and_is_never_taken_for_an_answer(scripted, agent, fields, status, http):
    turn = scripted.turn(agent, "Go", **fields)
    assert turn["status"] == status
    if status == "max_tokens":
        assert turn["error"] is None and turn["output"]["text"] == "This is all that fi"
    else:
        assert turn["error"]["code"] == status and turn["error"]["message"]
    if http:
        flat = scripted.post("/agent", {"query": "Go", "agent_type": agent})
        assert flat.status_code == http
        assert ("response" in flat.json()) == (http == 200)


def test_an_ended_turn_leaves_a_history_that_the_next_turn_can_use(scripted):
    session = name("s")
    assert scripted.turn("endless", "Go", session_id=session)["status"] == "max_iterations"
    kept = scripted.get(f"/v1/sessions/{session}/messages").json()["messages"]
    uses = {block["id"] for message in kept for block in message["content"] if block["type"] == "tool_use"}
    results = {block["tool_use_id"] for message in kept for block in message["content"] if block["type"] == "tool_result"}
    assert uses == results
    assert scripted.turn("endless", "Go on", session_id=session)["status"] == "max_iterations"


def test_malformed_arguments_come_back_to_the_model_with_the_schema(scripted):
    turn = scripted.turn("malformed", "Go", session_id=name("s"))
    assert turn["status"] == "completed" and turn["output"]["text"] == "Two."
    returned = [event for event in scripted.events(turn["run_id"]) if event["type"] == "tool_returned"]
    assert [event["outcome"] for event in returned] == ["invalid_input", "invalid_input", "done"]
    assert "expression" in json.dumps(returned[1])


def test_cancel_ends_the_work(scripted):
    started = scripted.turn("hangs", "Go", session_id=name("s"), background=True)
    assert started["status"] == "running"
    assert scripted.post(f"/v1/runs/{started['run_id']}/cancel", {}).json() == {"cancelled": True}
    view = scripted.wait_for("it was not cancelled", started["run_id"], lambda view: view["status"] == "idle")
    assert view["turns"][0]["status"] == "cancelled"
    assert scripted.post(f"/v1/runs/{started['run_id']}/cancel", {}).json() == {"cancelled": False}


def test_a_waiting_client_hears_of_the_cancel(scripted):
    session, answers = name("s"), []
    waiting = threading.Thread(target=lambda: answers.append(scripted.turn("hangs", "Go", name("k"), session_id=session)))
    waiting.start()
    # The run is there as soon as the start is committed.
    found = None
    while found is None:
        view = scripted.get(f"/v1/sessions/{session}")
        found = view.json()["run_id"] if view.status_code == 200 else None
    scripted.post(f"/v1/runs/{found}/cancel", {})
    waiting.join(20)
    assert answers and answers[0]["status"] == "cancelled"


def test_an_unknown_agent_is_a_404(scripted):
    answer = scripted.invoke("nobody", "Hi")
    assert answer.status_code == 404 and error_code(answer) == "agent_not_found"
