"""Checks docs/asyncapi.yaml, docs/schemas and the example events.

    contract.py DOCS_FOLDER DEFINITIONS_JSON

1. The document is AsyncAPI 3.0 with the AMQP binding 0.3.0, no unknown field in either.
2. Every $ref leads somewhere, in the document or in a file beside it.
3. Every schema is a JSON Schema, by 2020-12 (which it names) and by draft 07 (which AsyncAPI 3 asks for).
4. Every example of a message keeps the message's schemas, and every example event that of its type.
5. Every exchange and queue is declared in RabbitMQ's definitions, the same there.

Then it breaks the document in every one of these ways and sees that it notices. Prints each fault; exit 1
if there is one.
"""

import copy
import json
import sys
import warnings
from pathlib import Path

import yaml
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError
from pydantic import ValidationError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # asyncapi3 names a field `schema`, which pydantic dislikes
    from asyncapi3 import AsyncAPI3


def without_draft_words(schema):
    """The schema without the one word that names its draft, to be held against another."""
    return {name: value for name, value in schema.items() if name != "$schema"}


class Contract:
    """The document with the files that it may point to."""

    def __init__(self, document, schemas, definitions):
        self.document, self.schemas, self.definitions = document, schemas, definitions

    def faults(self):
        yield from self.model_faults()
        yield from self.reference_faults(self.document, "#")
        yield from self.schema_faults()
        yield from self.example_faults()
        yield from self.topology_faults()

    def model_faults(self):
        try:
            AsyncAPI3.model_validate(self.document)
        except ValidationError as error:
            for fault in error.errors():
                yield f"AsyncAPI: {'/'.join(map(str, fault['loc']))}: {fault['msg']}"

    def find(self, reference):
        """What a $ref leads to; KeyError if nothing."""
        if not reference.startswith("#/"):
            return self.schemas[reference.removeprefix("./")]
        found = self.document
        for word in reference[2:].split("/"):
            found = found[word.replace("~1", "/").replace("~0", "~")]
        return found

    def resolved(self, value):
        return self.find(value["$ref"]) if "$ref" in value else value

    def reference_faults(self, value, at):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                try:
                    self.find(value["$ref"])
                except (KeyError, TypeError):
                    yield f"{at}: $ref leads nowhere: {value['$ref']}"
            for name, member in value.items():
                yield from self.reference_faults(member, f"{at}/{name}")
        elif isinstance(value, list):
            for place, item in enumerate(value):
                yield from self.reference_faults(item, f"{at}/{place}")

    def schema_faults(self):
        for name, schema in self.schemas.items():
            for draft, text in [(Draft202012Validator, schema), (Draft7Validator, without_draft_words(schema))]:
                try:
                    draft.check_schema(text)
                except SchemaError as error:
                    yield f"{name}: no schema of {draft.__name__}: {error.message}"

    def example_faults(self):
        for name, message in self.document["components"]["messages"].items():
            examples = message.get("examples", [])
            if not examples and name != "unrouted":
                yield f"{name}: no example"
            for example in examples:
                for part in ("payload", "headers"):
                    if part in example and part in message:
                        try:
                            schema = self.resolved(message[part])
                        except (KeyError, TypeError):
                            continue  # told as a $ref that leads nowhere
                        yield from value_faults(f"{name}, example {part}", schema, example[part])

    def topology_faults(self):
        for name, channel in self.document["channels"].items():
            binding = channel["bindings"]["amqp"]
            kind = "exchange" if binding["is"] == "routingKey" else "queue"
            ours = dict(binding.get(kind, {}), arguments=channel[f"x-{kind}-arguments"])
            theirs = [it for it in self.definitions[f"{kind}s"] if it["name"] == ours.get("name")]
            if not theirs:
                yield f"{name}: definitions.json has no such {kind}"
                continue
            for field, other in [("durable", "durable"), ("autoDelete", "auto_delete"), ("type", "type"),
                                 ("vhost", "vhost"), ("arguments", "arguments")]:
                if field in ours and ours[field] != theirs[0][other]:
                    yield f"{name}: {field} is {ours[field]}, in definitions.json {theirs[0][other]}"


def value_faults(what, schema, value):
    for draft in (Draft202012Validator, Draft7Validator):
        validator = draft(without_draft_words(schema), format_checker=FormatChecker())
        for error in validator.iter_errors(value):
            yield f"{what}: {error.json_path}: {error.message}"


def event_faults(folder, schemas):
    """The example events, one a file or one a line."""
    files = sorted(folder.glob("*.json")) + sorted(folder.glob("*.jsonl"))
    if not files:
        yield f"{folder}: no example event"
    for path in files:
        text = path.read_text(encoding="utf-8")
        for document in [text] if path.suffix == ".json" else text.splitlines():
            event = json.loads(document)
            schema = schemas.get(f"schemas/events/{event['type']}.json")
            if schema is None:
                yield f"{path.name}: unknown type {event['type']}"
            else:
                yield from value_faults(f"{path.name}, {event['id']}", schema, event)


def unnoticed(contract):
    """The names of planted faults that the check does not see."""
    def action(it):
        it.document["operations"]["takeEvent"]["action"] = "take"

    def binding(it):
        exchange = it.document["channels"]["events"]["bindings"]["amqp"]["exchange"]
        exchange["autodelete"] = exchange.pop("autoDelete")

    def pointer(it):
        it.document["channels"]["events"]["messages"]["permesso-rinnovato"]["$ref"] += "x"

    def file(it):
        del it.schemas["schemas/outcomes/messaggio.inviato.json"]

    def schema(it):
        it.schemas["schemas/events/permesso.rinnovato.json"]["type"] = "oggetto"

    def payload(it):
        message = it.document["components"]["messages"]["messaggio-inviato"]
        message["examples"][0]["payload"]["data"]["livello"] = "PREMIUM"

    def instant(it):
        message = it.document["components"]["messages"]["permesso-rinnovato"]
        message["examples"][0]["payload"]["time"] = "2027-01-18T10:00:00"

    def headers(it):
        message = it.document["components"]["messages"]["dead"]
        message["examples"][0]["headers"]["x-promemoria-code"] = 1

    def exchange(it):
        it.document["channels"]["outcomes"]["bindings"]["amqp"]["exchange"]["type"] = "fanout"

    def arguments(it):
        it.document["channels"]["dead"]["x-queue-arguments"]["x-queue-type"] = "classic"

    for plant in [action, binding, pointer, file, schema, payload, instant, headers, exchange, arguments]:
        broken = copy.deepcopy(contract)
        plant(broken)
        if not any(broken.faults()):
            yield plant.__name__


def main(docs, definitions):
    docs = Path(docs)
    document = yaml.safe_load((docs / "asyncapi.yaml").read_text(encoding="utf-8"))
    paths = sorted((docs / "schemas").rglob("*.json"))
    schemas = {path.relative_to(docs).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in paths}
    contract = Contract(document, schemas, json.loads(Path(definitions).read_text(encoding="utf-8")))
    # The two drafts mostly find the same.
    faults = list(dict.fromkeys([*contract.faults(), *event_faults(docs / "examples", schemas)]))
    if not faults:
        faults = [f"a planted fault is not noticed: {name}" for name in unnoticed(contract)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    messages = document["components"]["messages"]
    print(f"contract: {len(messages)} messages, {len(schemas)} schemas, every reference and example: good")


main(*sys.argv[1:])
