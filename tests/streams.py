#!/usr/bin/env python3
"""What RabbitMQ confirms to a channel that publishes to two streams, and what of it is there afterwards.

Three nodes of the rabbitmq-server that is installed, on loopback; each publishes for one client, about 60 messages a
second to each stream. The node that leads the stream is killed (kill -9), started again and waited for, then each other
one, ROUNDS times. In the end the stream is read and held against the confirms. Exit code 1 if a confirmed message is
not there: docs/ARCHITECTURE.md, "A channel for each stream".

    tests/streams.py one|each [ROUNDS]      both streams on one channel, or each on its own; 2 rounds take two minutes

Needs Debian's rabbitmq-server and python3-pika (deploy/setup.sh test), run with Debian's python3.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pika

NODES = 3
PORT, BETWEEN_NODES = 26500, 26600
PERSISTENT = pika.BasicProperties(delivery_mode=2)
# Between two messages of a client, s; unconfirmed at most; how long a killed node stays away, s.
PACE, WINDOW, AWAY = 0.016, 500, 5
STREAM = {"x-queue-type": "stream"}
WHOLE = """
    [] = rabbit_quorum_queue:list_with_minimum_quorum(), Copies = rabbit_stream_queue:status(<<"/">>, <<"st">>),
    3 = length(Copies), [_] = lists:usort([proplists:get_value(epoch, C) || C <- Copies]),
    Ends = lists:usort([proplists:get_value(offset, C) || C <- Copies]), true = lists:last(Ends) - hd(Ends) < 50, ok."""
LEADER = """
    {ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"st">>)),
    atom_to_list(node(maps:get(leader_pid, amqqueue:get_type_state(Q))))."""
# RabbitMQ 3.10 writes down up to a second late which Raft servers a node has (docs/kubernetes.md).
WRITE_DOWN = "[ok = dets:sync(Table) || Table <- dets:all()], ok."


class Nodes:
    def __init__(self, home):
        self.home = home
        cookie = home / ".erlang.cookie"
        cookie.write_text("TRIAL")
        cookie.chmod(0o400)
        for node in range(NODES):
            self.start(node)
        for node in range(NODES):
            self.wait(node)
        for node in range(1, NODES):
            self.ask(node, "rabbit:stop(), ok = rabbit_mnesia:join_cluster('s0@localhost', disc), ok = rabbit:start().")
            self.wait(node)

    def start(self, node):
        folder = self.home / str(node)
        for name in ("database", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{PORT + node}\nnet_ticktime = 15\n"
            "cluster_partition_handling = pause_minority\nlog.console = true\nlog.file = false\n"
        )
        environment = {
            "HOME": self.home, "RABBITMQ_NODENAME": f"s{node}@localhost",
            "RABBITMQ_DIST_PORT": str(BETWEEN_NODES + node), "RABBITMQ_MNESIA_BASE": folder / "database",
            "RABBITMQ_LOG_BASE": folder / "log", "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins", "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
        }
        with open(folder / "server.log", "ab") as log:
            subprocess.Popen(
                ["/usr/lib/rabbitmq/bin/rabbitmq-server"], env={**os.environ, **environment},
                stdout=log, stderr=log, start_new_session=True,
            )

    def kill(self, node):
        os.kill(int((self.home / str(node) / "pid").read_text()), signal.SIGKILL)

    def wait(self, node):
        while True:
            try:
                return connection(node).close()
            except pika.exceptions.AMQPError:
                time.sleep(0.2)

    def ask(self, node, words):
        call = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", f"s{node}@localhost", "eval", words]
        said = subprocess.run(call, env={**os.environ, "HOME": self.home}, capture_output=True, text=True, check=False)
        return said.stdout.strip()

    def leader(self):
        return next(node for asked in range(NODES) for node in range(NODES) if f's{node}@' in self.ask(asked, LEADER))

    def kill_in_turn(self):
        first = self.leader()
        for node in [first, *(node for node in range(NODES) if node != first)]:
            print(f"kill -9 of node {node}; the stream's leader is {self.leader()}", flush=True)
            self.kill(node)
            time.sleep(AWAY)
            self.start(node)
            self.wait(node)
            while self.ask(node, WHOLE) != "ok":
                time.sleep(0.2)


def parameters(node):
    return pika.ConnectionParameters("127.0.0.1", PORT + node, socket_timeout=3, heartbeat=10)


def connection(node):
    return pika.BlockingConnection(parameters(node))


class Client(threading.Thread):
    """Publishes by one node, by the next when that one goes; `confirmed` holds what counts as safe."""

    def __init__(self, number, is_one, over):
        super().__init__(daemon=True)
        self.number, self.is_one, self.over = number, is_one, over
        self.confirmed, self.count = set(), 0

    def run(self):
        node = self.number
        while not self.over.is_set():
            try:
                self.session(node)
            except (pika.exceptions.AMQPError, OSError):
                pass
            node = (node + 1) % NODES
            time.sleep(0.1)

    def session(self, node):
        waiting, channels, tag = {}, [], 0

        def heard(frame):
            last = frame.method.delivery_tag
            tags = [it for it in waiting if it <= last] if frame.method.multiple else [last]
            names = [waiting.pop(it, None) for it in tags]
            if isinstance(frame.method, pika.spec.Basic.Ack):
                self.confirmed.update(name for name in names if name)

        def publish():
            nonlocal tag
            if self.over.is_set():
                return link.close()
            if len(channels) == (1 if self.is_one else 2) and len(waiting) < WINDOW:
                for stream in ("st", "other"):
                    channel = channels[-1] if stream == "other" else channels[0]
                    name = f"{self.number}-{self.count}"
                    channel.basic_publish("", stream, name.encode() + b" " * 300, PERSISTENT, mandatory=True)
                    if channel is channels[0]:
                        tag += 1
                        waiting[tag] = name if stream == "st" else None
                self.count += 1
            link.ioloop.call_later(PACE, publish)

        def ready(channel):
            channel.add_on_close_callback(lambda *_: link.is_open and link.close())
            first = not channels
            channels.append(channel)
            channel.confirm_delivery(heard if first else lambda _: None)
            if first:
                publish()

        def opened(_):
            for _channel in range(1 if self.is_one else 2):
                link.channel(on_open_callback=ready)

        def end(*_):
            link.ioloop.stop()

        link = pika.SelectConnection(parameters(node), opened, on_open_error_callback=end, on_close_callback=end)
        link.ioloop.start()


def read():
    found, last = set(), time.monotonic()

    def take(channel, method, _, body):
        nonlocal last
        found.add(body.split()[0].decode())
        last = time.monotonic()
        channel.basic_ack(method.delivery_tag)

    with connection(0) as link:
        channel = link.channel()
        channel.basic_qos(prefetch_count=1000)
        channel.basic_consume("st", take, arguments={"x-stream-offset": "first"})
        while time.monotonic() - last < 4:
            link.process_data_events(time_limit=0.5)
    return found


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in ("one", "each"):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) == 3 else 2
    with tempfile.TemporaryDirectory(prefix="promemoria-streams-", ignore_cleanup_errors=True) as home:
        nodes = Nodes(Path(home))
        try:
            with connection(0) as link:
                for stream in ("st", "other"):
                    link.channel().queue_declare(stream, durable=True, arguments=STREAM)
            for node in range(NODES):
                nodes.ask(node, WRITE_DOWN)
            over = threading.Event()
            clients = [Client(number, sys.argv[1] == "one", over) for number in range(NODES)]
            for client in clients:
                client.start()
            time.sleep(3)
            for _ in range(rounds):
                nodes.kill_in_turn()
            over.set()
            for client in clients:
                client.join(10)
            confirmed, found = set().union(*(client.confirmed for client in clients)), read()
        finally:
            for node in range(NODES):
                nodes.kill(node)
    print(f"{len(confirmed)} confirmed, {len(confirmed - found)} of them not there")
    sys.exit(1 if confirmed - found else 0)


main()
