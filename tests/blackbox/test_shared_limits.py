"""Limits that two servers share through Redis: together they let no more through than one would."""

import concurrent.futures
import shutil
import socket
import subprocess
import time

import pytest
from harness import Bedplate, run
from test_bulk import Upstream

LIMIT = 40


class Redis:
    """Debian's redis-server on a free port of loopback; it keeps nothing on disk."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.process = folder, None

    def start(self):
        arguments = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        with open(self.folder / "redis.log", "ab") as log:
            self.process = subprocess.Popen(["redis-server", *arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as asked:
                    asked.sendall(b"PING\r\n")
                    if asked.recv(16).startswith(b"+PONG"):
                        return self
            except OSError:
                pass
            assert time.monotonic() < deadline, "redis-server did not answer"
            time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def redis(tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed: scripts/setup installs it")
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path, redis):
    upstream = Upstream(seconds=0.01)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "agents").mkdir()
    (folder / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: up\n---\nBe plain.\n")
    (folder / "bedplate.toml").write_text(
        f"""
[project]
name = "shared"
default_agent = "plain"
[ledger]
redis_url_env = "LEDGER_URL"
prefix = "test"
timeout_ms = 5000
[models.up]
provider = "openai"
model = "m"
base_url = "{upstream.url}"
[routes.up]
model = "up"
[prices.m]
input = 10.0
output = 10.0
[plans.small]
requests_per_day = {LIMIT}
[limits]
tenant = "small"
[budgets.all]
limit_usd = 100.0
period = "month"
"""
    )
    return folder, upstream


def ask(server, text="Hi"):
    body = {"model": "up", "max_tokens": 5, "messages": [{"role": "user", "content": text}]}
    return server.post("/v1/chat/completions", body)


@pytest.fixture
def two(project, redis, tmp_path):
    folder, _ = project
    url = f"redis://127.0.0.1:{redis.port}/0"
    servers = [Bedplate(folder, tmp_path / name, LEDGER_URL=url) for name in ("one", "two")]
    yield servers
    for server in servers:
        if server.process and server.process.poll() is None:
            server.stop()
        assert "panicked" not in server.output()


def test_two_servers_let_no_more_through_together_than_the_limit(two, redis, project):
    _, upstream = project
    redis.start()
    for server in two:
        server.start()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(two[n % 2], f"q {n}"), range(3 * LIMIT)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (LIMIT, 2 * LIMIT), statuses
    assert len(upstream.asked) == LIMIT, "the model was asked as often as the limit says"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1 and refused.json()["error"]["code"], refused.text
    assert answers[statuses.index(200)].headers["x-ratelimit-limit-requests"] == str(LIMIT)
    # What one server counts, the other shows: 40 calls of two tokens at 10 dollars a million.
    spent = [server.get("/v1/budgets", token=True).json()["budgets"][0]["spent_usd"] for server in two]
    assert spent[0] == spent[1] == pytest.approx(LIMIT * 2 * 10 / 1e6)


def test_without_the_ledger_calls_with_limits_are_refused_until_it_is_back(two, redis):
    server = two[0].start()
    assert ask(server).status_code == 503
    assert "shared ledger" in server.output() and "127.0.0.1" not in ask(server).text
    redis.start()
    deadline = time.monotonic() + 30
    while (answer := ask(server)).status_code != 200:
        assert answer.status_code == 503 and time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    redis.stop()
    assert ask(server).status_code == 503
    redis.start()
    deadline = time.monotonic() + 30
    while (answer := ask(server)).status_code != 200:
        assert answer.status_code == 503 and time.monotonic() < deadline, answer.text
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('redis_url = "http://user:hidden@x"', "is no address of Redis"),
        ('redis_url = "redis://"', "is no address of Redis"),
        ('redis_url = "redis://x"\nredis_url_env = "X"', "exclude each other"),
        ('redis_url = "redis://:hidden@x"', "does not belong in this file"),
        ("", "has no address"),
        ('redis_url = "redis://x"\nport = 5', "port"),
    ],
)
def test_a_ledger_that_cannot_be_reached_by_its_words_is_a_problem_of_the_project(project, line, says):
    config = project[0] / "bedplate.toml"
    config.write_text(config.read_text().replace('redis_url_env = "LEDGER_URL"', line))
    checked = run("check", project[0])
    said = checked.stdout + checked.stderr
    assert checked.returncode != 0 and says in said and "bedplate.toml:" in said and "hidden" not in said, said


def test_a_server_says_which_variable_lacks(project, tmp_path):
    ended = run("up", project[0], "--listen", "127.0.0.1:0", "--data", tmp_path / "d", "--model", "rehearsal")
    assert ended.returncode != 0 and "LEDGER_URL" in ended.stderr


def test_the_ledger_is_reached_through_tls_and_only_with_a_certificate_that_is_trusted(project, tmp_path):
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made += ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    if not shutil.which("openssl") or subprocess.run(made, capture_output=True).returncode != 0:
        pytest.skip("openssl makes no certificate here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    command += ["--tls-cert-file", tmp_path / "cert.pem", "--tls-key-file", tmp_path / "key.pem", "--tls-auth-clients", "no"]
    with open(tmp_path / "tls.log", "wb") as log:
        redis = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while b"Ready to accept connections" not in (tmp_path / "tls.log").read_bytes():
            if redis.poll() is not None:
                pytest.skip("this redis-server knows no TLS")
            assert time.monotonic() < deadline, "redis-server did not begin"
            time.sleep(0.05)
        url = f"rediss://localhost:{port}/0"
        trusting = Bedplate(project[0], tmp_path / "trusting", LEDGER_URL=url, SSL_CERT_FILE=str(tmp_path / "cert.pem"))
        doubting = Bedplate(project[0], tmp_path / "doubting", LEDGER_URL=url)
        try:
            assert ask(trusting.start()).status_code == 200, trusting.output()
            assert ask(doubting.start()).status_code == 503, "its certificate is nobody's that is trusted"
        finally:
            trusting.stop()
            doubting.stop()
    finally:
        redis.kill()
        redis.wait()
