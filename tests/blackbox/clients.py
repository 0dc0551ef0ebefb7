"""Clients that start work while the server is killed under them, and repeat a start until they know that it was taken."""

import random
import threading
import time

import requests


class Clients:
    """So many threads that each call `client` until they are told to stop."""

    def __init__(self, server, seed, count):
        self.server = server
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.repeats = 0
        # Answers that no start may have.
        self.faults = []
        self.threads = [threading.Thread(target=self.client, args=(random.Random(seed + n),)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def client(self, chance):
        raise NotImplementedError

    def insist(self, path, key, body):
        """Returns the answer of a start once it was taken; none when it was refused, or the end came before."""
        while True:
            try:
                answer = requests.post(f"{self.server.url}{path}", json=body, headers={"idempotency-key": key}, timeout=120)
            except requests.RequestException:
                # Killed: whether it was taken is not known, so it is sent again under the same key.
                self.repeats += 1
                if self.stopping.is_set() and self.server.process.poll() is not None:
                    return None
                time.sleep(0.01)
                continue
            if answer.status_code in (200, 202):
                return answer.json()
            if answer.status_code != 503:
                with self.lock:
                    self.faults.append((answer.status_code, answer.text))
                return None
            time.sleep(0.01)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(180)
            assert not thread.is_alive(), "a client still waits for an answer"
