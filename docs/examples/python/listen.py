"""Listens to an ente's outcomes and says whom of your own cases each is about.

    AMQP_URL=amqps://… HASH_KEY_FILE=key python3 listen.py borgochiaro RSSMRA85T10A562S…

An outcome holds no fiscal code: its `data.destinatario` is a keyed hash that you compute too, with the
key that the fleet's operator gave your ente. Needs pika 1.x (Debian: python3-pika).
"""

import hashlib
import hmac
import json
import os
import sys

import pika

ente, *codes = sys.argv[1:]
with open(os.environ["HASH_KEY_FILE"], "rb") as file:
    key = file.read().rstrip()
known = {hmac.new(key, code.upper().encode(), hashlib.sha256).hexdigest(): code for code in codes}
seen = set()  # in your system: a table with the ids of the last weeks


def take(channel, method, _properties, body):
    outcome = json.loads(body)
    if outcome["id"] not in seen:  # outcomes are told at least once
        data = outcome["data"]
        about = data.get("messaggio") or data.get("timer") or data.get("codice")
        person = known.get(data.get("destinatario"), "unknown")
        print(outcome["type"], outcome["subject"], about, person, flush=True)
        seen.add(outcome["id"])
    channel.basic_ack(method.delivery_tag)  # after your own commit


url = os.environ.get("AMQP_URL", "amqp://127.0.0.1:5672/%2f")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
queue = f"{ente}.esiti"
channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
channel.queue_bind(queue, "promemoria.outcomes", routing_key=f"{ente}.#")
channel.basic_qos(prefetch_count=100)
channel.basic_consume(queue, take)
print("listening", flush=True)
channel.start_consuming()
