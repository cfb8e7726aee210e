"""Publishes one event: persistent, mandatory, confirmed.

    AMQP_URL=amqps://… python3 publish.py permesso-rinnovato.json

Needs pika 1.x (Debian: python3-pika).
"""

import json
import os
import sys

import pika

with open(sys.argv[1], encoding="utf-8") as file:
    event = json.load(file)

url = os.environ.get("AMQP_URL", "amqp://127.0.0.1:5672/%2f")
connection = pika.BlockingConnection(pika.URLParameters(url))
try:
    channel = connection.channel()
    channel.confirm_delivery()  # basic_publish now waits for the broker's confirm
    channel.basic_publish(
        exchange="promemoria.events",
        routing_key=f"{event['ente']}.{event['type']}",
        body=json.dumps(event, ensure_ascii=False).encode("utf-8"),
        properties=pika.BasicProperties(
            content_type="application/cloudevents+json",
            message_id=event["id"],
            delivery_mode=2,  # persistent
        ),
        mandatory=True,
    )
    print("confirmed")
except pika.exceptions.UnroutableError:
    sys.exit("returned: no queue takes it, the fleet's topology is not there")
except (pika.exceptions.NackError, pika.exceptions.AMQPError) as error:
    sys.exit(f"not confirmed, publish it again with the same id: {error!r}")
finally:
    if connection.is_open:
        connection.close()
