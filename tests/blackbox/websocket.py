"""A WebSocket client of a few lines (RFC 6455), which can also say what no client should."""

import base64
import json
import os
import socket
import struct
from urllib.parse import urlsplit


class Refused(Exception):
    """The server did not switch protocols."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class WebSocket:
    """One connection; messages are JSON."""

    def __init__(self, url, path="/v1/ws", headers=None, timeout=20):
        host = urlsplit(url).netloc
        self.socket = socket.create_connection(host.split(":"), timeout=timeout)
        lines = {"host": host, "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
                 "sec-websocket-key": base64.b64encode(os.urandom(16)).decode()} | (headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.pending = b""
        while b"\r\n\r\n" not in self.pending:
            self.pending += self._receive()
        answer, self.pending = self.pending.split(b"\r\n\r\n", 1)
        self.head = answer.decode()
        status = int(self.head.split()[1])
        if status != 101:
            raise Refused(status, self.head + self.pending.decode(errors="replace"))

    def _receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the server hung up")
        return more

    def _take(self, count):
        while len(self.pending) < count:
            self.pending += self._receive()
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def send_frame(self, payload, opcode=1, final=True, masked=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        bit = 0x80 if masked else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        if masked:
            repeated = (mask * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
            head += mask
        self.socket.sendall(head + payload)

    def send(self, **message):
        self.send_frame(json.dumps(message).encode())

    def frame(self):
        """Returns the next frame's opcode and payload."""
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        return first & 0x0F, self._take(size)

    def receive(self):
        """Returns the next message; none when the server closes."""
        while True:
            opcode, payload = self.frame()
            if opcode == 1:
                return json.loads(payload)
            if opcode == 8:
                return None
            if opcode == 9:
                self.send_frame(payload, opcode=10)

    def until(self, condition):
        """Returns all messages up to and with the first for which `condition` holds."""
        said = []
        while True:
            message = self.receive()
            assert message is not None, said
            said.append(message)
            if condition(message):
                return said

    def close(self):
        self.socket.close()
