"""Sessions and runs as people look at them: pages, time travel, deletion."""

import json

import pytest
from harness import error_code, name


def pages(server, path, what):
    """Returns every item of a paged list, and how many pages it took."""
    found = server.pages(path, what)
    return [item for page in found for item in page], len(found)


def test_sessions_come_in_pages_latest_first_and_none_twice(scripted):
    user = name("pager")
    made = [scripted.turn("plain", f"Number {n}", user_id=user, session_id=f"s{n}")["session_id"] for n in range(7)]
    sessions, count = pages(scripted, f"/v1/sessions?user_id={user}&limit=3", "sessions")
    assert [session["session_id"] for session in sessions] == made[::-1] and count == 3
    assert {session["agent"] for session in sessions} == {"plain"} and sessions[0]["title"] == "Number 6"
    runs, _ = pages(scripted, f"/v1/runs?user_id={user}&limit=2", "runs")
    assert [run["session_id"] for run in runs] == made[::-1]


def test_sessions_can_be_searched_and_narrowed(scripted):
    user = name("finder")
    scripted.turn("plain", "About cats", user_id=user, session_id="one")
    scripted.turn("cut", "About dogs", user_id=user, session_id="two")
    found = scripted.get(f"/v1/sessions?user_id={user}&q=cats").json()["sessions"]
    assert [session["session_id"] for session in found] == ["one"]
    found = scripted.get(f"/v1/sessions?user_id={user}&agent=cut").json()["sessions"]
    assert [session["session_id"] for session in found] == ["two"]
    assert scripted.get(f"/v1/sessions?user_id={user}&q=%25").json()["sessions"] == []
    assert len(scripted.get(f"/v1/sessions?user_id={user}&status=idle").json()["sessions"]) == 2


def test_messages_come_in_pages_oldest_first(scripted):
    session = name("s")
    for n in range(5):
        scripted.turn("plain", f"Number {n}", session_id=session)
    messages, count = pages(scripted, f"/v1/sessions/{session}/messages?limit=3", "messages")
    assert count == 4 and [message["role"] for message in messages] == ["user", "assistant"] * 5
    said = [message["content"][0]["text"] for message in messages if message["role"] == "user"]
    assert said == [f"Number {n}" for n in range(5)]
    assert [message["seq"] for message in messages] == sorted({message["seq"] for message in messages})


def test_a_session_of_nobody_is_a_404(scripted):
    for path in ("/v1/sessions/none", "/v1/sessions/none/messages"):
        answer = scripted.get(path)
        assert answer.status_code == 404 and error_code(answer) == "session_not_found"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=-1", "limit=x", "cursor=%00", "cursor=rubbish", "status=nice"])
def test_a_page_that_cannot_be_is_refused(scripted, query):
    assert scripted.get(f"/v1/sessions?{query}").status_code == 400
    assert scripted.get(f"/v1/runs?{query}").status_code == 400


def test_a_journal_tells_what_happened_and_what_the_model_saw(scripted):
    turn = scripted.turn("parallel", "Go", session_id=name("s"))
    run = turn["run_id"]
    journal = scripted.events(run)
    kinds = [event["type"] for event in journal]
    assert kinds[:3] == ["run_started", "turn_started", "model_called"] and kinds[-1] == "turn_ended"
    assert kinds.count("tool_requested") == 3 == kinds.count("tool_returned")
    calls = [event["seq"] for event in journal if event["type"] == "model_called"]
    first, second = (scripted.get(f"/v1/runs/{run}/calls/{call}/request").json() for call in calls)
    assert first["messages"] == second["messages"][:1] and len(second["messages"]) == 3
    assert {tool["name"] for tool in first["tools"]} == {"calculate", "current_time"}
    assert "You answer from a script." in json.dumps(first["system"])
    answer = scripted.get(f"/v1/runs/{run}/calls/{journal[-1]['seq']}/request")
    assert answer.status_code == 404 and error_code(answer) == "call_not_found"


def test_a_view_of_the_past_shows_the_past(scripted):
    session = name("s")
    first = scripted.turn("plain", "One", session_id=session)
    scripted.turn("plain", "Two", session_id=session)
    run = first["run_id"]
    end = [event["seq"] for event in scripted.events(run) if event["type"] == "turn_ended"][0]
    past = scripted.get(f"/v1/runs/{run}?at={end}").json()
    assert past["at"] == end and len(past["turns"]) == 1
    assert len(scripted.get(f"/v1/runs/{run}").json()["turns"]) == 2
    beyond = scripted.get(f"/v1/runs/{run}?at=100000")
    assert beyond.status_code == 404 and error_code(beyond) == "position_not_found"


def test_a_replay_decides_the_same(shop):
    conversation = name("c")
    for text in ("What is 25 * 47?", "Where is order MA-10208?", "My name is Alice"):
        shop.agent(text, user_id="web-user", conversation_id=conversation)
    run = shop.get(f"/v1/sessions/{conversation}?user_id=web-user").json()["run_id"]
    replay = shop.get(f"/v1/runs/{run}/replay").json()
    assert replay["same"] is True and replay["differences"] == [] and replay["events"] == len(shop.events(run))


def test_a_fork_shares_the_past_and_nothing_after_it(shop):
    conversation, forked = name("c"), name("fork")
    shop.agent("My name is Alice", user_id="web-user", conversation_id=conversation)
    run = shop.get(f"/v1/sessions/{conversation}?user_id=web-user").json()["run_id"]
    made = shop.post(f"/v1/runs/{run}/fork", {"session_id": forked})
    assert made.status_code == 201 and made.json()["session_id"] == forked
    shop.agent("My name is Carol", user_id="web-user", conversation_id=forked)
    ids = {"user_id": "web-user"}
    assert "Alice" in shop.agent("What's my name?", conversation_id=conversation, **ids)["response"]
    assert "Carol" in shop.agent("What's my name?", conversation_id=forked, **ids)["response"]
    again = shop.post(f"/v1/runs/{run}/fork", {"session_id": forked})
    assert again.status_code == 409 and error_code(again) == "session_exists"


def test_a_fork_in_the_past_forgets_what_came_after(scripted):
    session = name("s")
    first = scripted.turn("plain", "One", session_id=session)
    scripted.turn("plain", "Two", session_id=session)
    end = [event["seq"] for event in scripted.events(first["run_id"]) if event["type"] == "turn_ended"][0]
    fork = scripted.post(f"/v1/runs/{first['run_id']}/fork", {"at": end}).json()
    kept = scripted.get(f"/v1/sessions/{fork['session_id']}/messages").json()["messages"]
    assert [message["content"][0]["text"] for message in kept] == ["One", "Hello."]


def test_deleting_a_session_removes_its_words_from_the_data_folder(start):
    server = start()
    # Letters that nothing else says, and that no compression could hide.
    secret = "xylophonist-quagmire-9731"
    ids = {"user_id": "web-user", "conversation_id": "gone"}
    server.agent(f"My name is {secret}", **ids)
    server.agent("My name is Robin", user_id="web-user", conversation_id="kept")
    deleted = server.delete("/v1/sessions/gone?user_id=web-user")
    assert deleted.status_code == 200 and deleted.json()["runs"] == 1
    assert server.get("/v1/sessions/gone?user_id=web-user").status_code == 404
    assert server.delete("/v1/sessions/gone?user_id=web-user").status_code == 404
    assert len(server.get("/v1/sessions/kept/messages?user_id=web-user").json()["messages"]) == 2
    assert server.stop() == 0
    for file in server.data.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def test_deleting_a_user_removes_all_of_theirs_and_only_theirs(scripted):
    gone, stays = name("gone"), name("stays")
    for session in ("a", "b", "c"):
        scripted.turn("plain", "Hi", user_id=gone, session_id=session)
    scripted.turn("hangs", "Hi", user_id=gone, session_id="d", background=True)
    scripted.turn("plain", "Hi", user_id=stays, session_id="a")
    deleted = scripted.delete(f"/v1/users/{gone}")
    assert deleted.status_code == 200 and deleted.json()["runs"] == 4
    assert scripted.get(f"/v1/runs?user_id={gone}").json()["runs"] == []
    assert len(scripted.get(f"/v1/runs?user_id={stays}").json()["runs"]) == 1
