"""A TCP proxy on loopback, between hyperhive and a mongod, that loses replies and goes silent.

Of MongoDB's wire protocol it knows what it takes to tell one message from the next, which request a
reply answers, and what command a request is.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import socket
import struct
import threading
from collections import Counter
from typing import Any, Callable, Iterator, Mapping

import bson

Command = Mapping[str, Any]
"""The body of a command, of an ``update`` with what PyMongo sends beside it: its ``updates``."""
Drop = Callable[[Command], bool]

_HEADER = struct.Struct("<iiii")  # length, id, id of what it answers, kind of message
_OP_MSG = 2013
_BODY = _HEADER.size + 4 + 1  # behind the flags and the mark of a section that is a body


def kind(command: Command) -> str:
    """Return what a command is to hyperhive, ``claim`` say, or else its own name."""
    name, collection = next(iter(command.items()))
    if (name, collection) == ("insert", "jobs"):
        return "post"
    if (name, collection) == ("insert", "fs.chunks"):
        return "upload"
    if (name, collection) == ("update", "jobs"):
        changed = str(command["updates"][0]["u"])
        if "'issued': {" in changed:
            return "claim batch"
        return "finish batch" if "'winner': {" in changed else str(name)
    if (name, collection) != ("findAndModify", "jobs"):
        return str(name)
    changes = command["update"][0]["$set"]
    marks = {"issued": "claim", "winner": "finish", "late": "late", "rungs": "reach"}
    # What a claim and a heartbeat share comes last; a failure and its like set no progress.
    marks["progress"] = "heartbeat"
    return next((marks[mark] for mark in marks if mark in changes), str(name))


def _is(wanted: str, command: Command) -> bool:
    return kind(command) == wanted


claim: Drop = functools.partial(_is, "claim")
finish: Drop = functools.partial(_is, "finish")
heartbeat: Drop = functools.partial(_is, "heartbeat")
reach: Drop = functools.partial(_is, "reach")
claim_batch: Drop = functools.partial(_is, "claim batch")
finish_batch: Drop = functools.partial(_is, "finish batch")
post: Drop = functools.partial(_is, "post")
upload: Drop = functools.partial(_is, "upload")


def nothing(_: Command) -> bool:
    """Lose no reply."""
    return False


def anything(_: Command) -> bool:
    """Lose every reply."""
    return True


def at_random(generator: random.Random, share: float, among: Drop = anything) -> Drop:
    """Lose a share of the replies, or of those to the commands that ``among`` chooses."""
    return lambda command: among(command) and generator.random() < share


def every_second(among: Drop) -> Drop:
    """Lose the first reply of those that ``among`` chooses, not the second, and so on."""
    turns = itertools.cycle([True, False])
    return lambda command: among(command) and next(turns)


class Proxy:
    """Carries connections to a mongod on this machine while the context is open.

    A reply is lost as a broken network loses it: the server has done what it was asked for, and
    the client sees its connection end. ``dropped`` counts them by kind, ``carried`` counts all
    commands that were answered.

    Args:
        port: the mongod's.
        drop: given a command once the server has answered it, whether to lose the reply. Called
            from the proxy's threads, one call at a time; may be set anew at any time.
    """

    def __init__(self, port: int, drop: Drop = nothing) -> None:
        self.drop = drop
        self.dropped: Counter[str] = Counter()
        self.carried: Counter[str] = Counter()
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._ended = False
        self._choosing = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._connections: set[_Connection] = set()
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)

    @classmethod
    def of(cls, uri: str, drop: Drop = nothing) -> Proxy:
        """Return a proxy to the mongod on this machine that a URI names."""
        return cls(int(uri.rpartition("@")[2].partition("/")[0].rpartition(":")[2]), drop)

    def __enter__(self) -> Proxy:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        # Not every system wakes a thread whose listening socket is closed: a connection does.
        socket.create_connection(self._listener.getsockname()).close()
        self._acceptor.join()
        self._listener.close()
        self.resume()
        for connection in list(self._connections):
            connection.hang_up()
            connection.join()

    def uri(self, uri: str) -> str:
        """Return a URI of the mongod, led through the proxy."""
        host, through = (f"127.0.0.1:{port}/" for port in (self._server[1], self.port))
        assert host in uri
        return uri.replace(host, through)

    def go_silent(self) -> None:
        """Carry nothing either way, not even the end of a connection: they are all half-open."""
        self._flows.clear()

    def resume(self) -> None:
        """Carry on, with what was held back first: TCP sends it until the network is back."""
        self._flows.set()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Be silent while the context is open."""
        self.go_silent()
        try:
            yield
        finally:
            self.resume()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._ended:
                client.close()
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:  # the server is away, so the proxy is
                client.close()
                continue
            connection = _Connection(self, client, server)
            self._connections = {each for each in self._connections if each.is_alive()}
            self._connections.add(connection)
            connection.start()

    # -- for its connections --------------------------------------------------------------------

    def wait_to_flow(self) -> None:
        """Wait while the proxy is silent."""
        self._flows.wait()

    def loses(self, command: Command) -> bool:
        """Count a command that was answered; return whether the answer is lost."""
        with self._choosing:
            lost = self.drop(command)
            self.carried[kind(command)] += 1
            if lost:
                self.dropped[kind(command)] += 1
        return lost


class _Connection(threading.Thread):
    """A client's connection, and ours to the server. Carries requests; a thread carries replies."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        super().__init__(name="proxy requests", daemon=True)
        self._proxy = proxy
        self._client, self._server = client, server
        self._asked: dict[int, Command] = {}
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        replies = threading.Thread(
            target=self._carry, args=(self._replies,), name="proxy replies", daemon=True
        )
        replies.start()
        self._carry(self._requests)
        replies.join()
        self._client.close()
        self._server.close()

    def hang_up(self) -> None:
        """End the connection at both sides."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):  # it has ended already
                end.shutdown(socket.SHUT_RDWR)

    def _carry(self, pump: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):  # a side has ended
            pump()
        self._proxy.wait_to_flow()
        self.hang_up()

    def _requests(self) -> None:
        for message in _messages(self._client):
            _, number, _, opcode = _HEADER.unpack_from(message)
            if opcode == _OP_MSG:
                (length,) = struct.unpack_from("<i", message, _BODY)
                command = bson.decode(message[_BODY : _BODY + length])
                if next(iter(command)) == "update":
                    command["updates"] = _beside(message, _BODY + length)
                self._asked[number] = command
            self._proxy.wait_to_flow()
            self._server.sendall(message)

    def _replies(self) -> None:
        for message in _messages(self._server):
            _, _, answers, _ = _HEADER.unpack_from(message)
            command = self._asked.pop(answers, None)  # a server's unasked news answer nothing
            if command is not None and self._proxy.loses(command):
                return
            self._proxy.wait_to_flow()
            self._client.sendall(message)


def _beside(message: bytes, start: int) -> list[dict[str, Any]]:
    """Return the documents of the section that begins at ``start``, behind the body.

    It is: a byte for its kind, four for its length, its name up to a zero, the documents.
    """
    (length,) = struct.unpack_from("<i", message, start + 1)
    documents = message.index(b"\0", start + 5) + 1
    return bson.decode_all(message[documents : start + 1 + length])


def _messages(end: socket.socket) -> Iterator[bytes]:
    """Give the messages that come from one end, until it ends."""
    with end.makefile("rb") as stream:
        while True:
            header = stream.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            rest = _HEADER.unpack(header)[0] - _HEADER.size
            body = stream.read(rest)
            if len(body) < rest:
                return
            yield header + body
