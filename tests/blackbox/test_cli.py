"""The command line as a person meets it: help, problems with file, line and hint, lists for programs, exit codes."""

import json
import re
import shutil

import pytest
from harness import PROJECTS, SHOP, run

COMMANDS = ["up", "chat", "init", "check", "runs", "sessions", "keys", "doctor", "completions"]


def test_help_lists_every_command_with_examples_and_exit_codes():
    shown = run("--help")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", shown.stdout, re.M), command
    assert "Examples:" in shown.stdout and "Exit codes:" in shown.stdout
    assert run().returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    shown = run(command, "--help")
    assert shown.returncode == 0 and "Usage:" in shown.stdout and not shown.stderr


def test_version():
    assert re.fullmatch(r"bedplate \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell):
    shown = run("completions", shell)
    assert shown.returncode == 0 and "bedplate" in shown.stdout and "doctor" in shown.stdout


def test_a_wrong_argument_is_exit_code_2():
    for arguments in (["fly"], ["up", "--moon"], ["keys", "create"], ["runs", "list", "--limit", "0"]):
        assert run(*arguments).returncode == 2, arguments


# -- init and check ---------------------------------------------------------------------------------------------------


def test_init_makes_a_project_that_checks_and_answers(tmp_path):
    folder = tmp_path / "shop"
    made = run("init", folder)
    assert made.returncode == 0 and "bedplate.toml" in made.stdout and f"bedplate up {folder}" in made.stdout
    checked = run("check", folder)
    assert checked.returncode == 0 and "0 problems" in checked.stdout
    said = run("chat", folder, "--model", "rehearsal", "--message", "What is 25 * 47?")
    assert said.returncode == 0, said.stderr
    assert "1175" in said.stdout.replace(",", "") and "no foundation model" in said.stdout
    again = run("init", folder)
    assert again.returncode == 1 and "hint:" in again.stderr


def test_the_example_has_no_problem():
    checked = run("check", SHOP)
    assert checked.returncode == 0 and "0 problems" in checked.stdout, checked.stdout
    assert json.loads(run("check", SHOP, "--json").stdout) == {"problems": []}


def test_check_names_every_problem_with_file_line_and_hint(tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(PROJECTS / "broken", folder)
    checked = run("check", folder)
    assert checked.returncode == 3
    found = [problem for problem in json.loads(run("check", folder, "--json").stdout)["problems"]]
    by_file = {}
    for problem in found:
        by_file.setdefault(str(problem["file"]), []).append(problem)
        assert problem["line"] >= 1 and problem["code"] and problem["message"]
    # One problem at least in each file that has one, all in one go.
    assert set(by_file) >= {"bedplate.toml", "agents/one.md", "tools/broken.toml", "tools/unsafe.toml"}, checked.stdout
    [misspelt] = [problem for problem in by_file["agents/one.md"] if "calculat" in problem["message"]]
    assert misspelt["line"] == 3 and "calculate" in misspelt["hint"]
    [route] = [problem for problem in by_file["bedplate.toml"] if "claud" in problem["message"]]
    assert route["line"] == 13 and "claude" in route["hint"]
    assert any("read" in problem["message"].lower() for problem in by_file["tools/unsafe.toml"])
    # The same on the terminal: file:line, and the hint below.
    assert re.search(r"agents/one\.md:3", checked.stdout) and "hint" in checked.stdout


def test_a_project_with_problems_does_not_start(tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(PROJECTS / "broken", folder)
    ended = run("up", folder, "--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    assert ended.returncode == 3 and "agents/one.md" in ended.stdout + ended.stderr


def test_a_folder_that_is_no_project_says_what_to_do(tmp_path):
    ended = run("check", tmp_path)
    assert ended.returncode == 3 and "bedplate.toml" in ended.stdout + ended.stderr


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def talked(scripted):
    """The scripted project after a few turns of its own user."""
    turns = [scripted.turn("plain", f"Number {n}", user_id="cli", session_id=f"cli-{n}") for n in range(3)]
    return scripted, turns


def test_runs_and_sessions_are_listed_for_people_and_programs(talked):
    server, turns = talked
    target = (server.project, "--data", server.data)
    for command in ("runs", "sessions"):
        listed = run(command, "list", *target, "--user", "cli")
        assert listed.returncode == 0 and "Number 2" in listed.stdout and turns[0]["run_id"] in listed.stdout
        rows = json.loads(run(command, "list", *target, "--user", "cli", "--json").stdout)
        assert [row["session_id"] for row in rows] == ["cli-2", "cli-1", "cli-0"]


def test_a_run_is_shown_replayed_and_forked(talked):
    server, turns = talked
    run_id, target = turns[0]["run_id"], (server.project, "--data", server.data)
    shown = run("runs", "show", run_id, *target)
    assert shown.returncode == 0 and "Hello." in shown.stdout
    assert json.loads(run("runs", "show", run_id, *target, "--json").stdout)
    replayed = run("runs", "replay", run_id, *target, "--json")
    assert replayed.returncode == 0 and json.loads(replayed.stdout)["same"] is True
    forked = run("runs", "fork", run_id, *target, "--session", "cli-fork", "--json")
    assert forked.returncode == 0, forked.stderr
    shown = run("sessions", "show", "cli-fork", *target, "--user", "cli")
    assert shown.returncode == 0 and "Number 0" in shown.stdout
    deleted = run("sessions", "delete", "cli-fork", *target, "--user", "cli")
    assert deleted.returncode == 0, deleted.stderr
    assert run("sessions", "show", "cli-fork", *target, "--user", "cli").returncode == 4


def test_what_is_not_there_is_exit_code_4(talked):
    server, _ = talked
    target = (server.project, "--data", server.data)
    missing = run("runs", "show", "0" * 32, *target)
    assert missing.returncode == 4 and "error:" in missing.stderr
    assert run("keys", "revoke", "000000000000", *target).returncode == 4


def test_keys_are_listed_without_their_secrets(start):
    server = start()
    target = (server.project, "--data", server.data)
    made = run("keys", "create", "backend", *target, "--user", "alice", "--agents", "mangaassist", "--expires", "30d")
    assert made.returncode == 0 and re.fullmatch(r"bp_[0-9A-Za-z]+_\S+\n", made.stdout) and "not shown again" in made.stderr
    [key] = json.loads(run("keys", "list", *target, "--json").stdout)
    assert (key["name"], key["user_id"], key["agents"]) == ("backend", "alice", ["mangaassist"]) and key["expires_at"]
    assert made.stdout.strip() not in json.dumps(key) and made.stdout.strip().rpartition("_")[2] not in json.dumps(key)
    listed = run("keys", "list", *target)
    assert "backend" in listed.stdout and "alice" in listed.stdout
    assert run("keys", "create", "bad", *target, "--expires", "soon").returncode == 2


def test_commands_work_without_a_running_server(start):
    server = start()
    server.turn("mangaassist", "Hello!", user_id="offline", session_id="s")
    server.stop()
    target = (server.project, "--data", server.data)
    [row] = json.loads(run("sessions", "list", *target, "--user", "offline", "--json").stdout)
    assert row["session_id"] == "s"


def test_chat_reads_questions_from_a_pipe_and_shows_tool_calls(tmp_path):
    said = run("chat", SHOP, "--data", tmp_path / "data", "--model", "rehearsal", "--user", "web-user",
               stdin="My name is Alice\nWhat is 25 * 47?\nWhat's my name?\n")
    assert said.returncode == 0, said.stderr
    assert "→ calculate" in said.stdout and "1175" in said.stdout.replace(",", "") and "Alice" in said.stdout.splitlines()[-1]


def test_chat_asks_before_money_moves(tmp_path):
    said = run("chat", SHOP, "--data", tmp_path / "data", "--model", "rehearsal", "--user", "web-user",
               "--message", "MA-10198 arrived damaged, I want to return it", stdin="n\n")
    assert "allow?" in said.stdout and "MA-10198" in said.stdout
    assert said.returncode == 0, said.stderr


def test_doctor_says_what_is_there_and_what_to_do(tmp_path):
    data = tmp_path / "data"
    shown = run("doctor", SHOP, "--data", data)
    assert shown.returncode == 0 and "rehearsal" in shown.stdout and "bedplate up" in shown.stdout
    assert not data.exists(), "looking must not make anything"
    found = json.loads(run("doctor", SHOP, "--data", data, "--json").stdout)
    assert found
    broken = run("doctor", PROJECTS / "broken", "--data", data)
    assert "bedplate check" in broken.stdout
