// Listens to an ente's outcomes and says whom of your own cases each is about.
//
//     AMQP_URL=amqps://… HASH_KEY_FILE=key npx tsx listen.ts borgochiaro RSSMRA85T10A562S…
//
// An outcome holds no fiscal code: its data.destinatario is a keyed hash that you compute too.
// Needs amqplib 0.10 and @types/amqplib.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "amqplib";

interface Outcome {
  id: string;
  type: string;
  subject: string;
  data: { messaggio?: string; timer?: string; codice?: string; destinatario?: string };
}

async function main(ente: string, codes: string[]): Promise<void> {
  const key = readFileSync(process.env.HASH_KEY_FILE ?? "", "utf8").trimEnd();
  const hash = (code: string) => createHmac("sha256", key).update(code.toUpperCase()).digest("hex");
  const known = new Map(codes.map((code) => [hash(code), code]));
  const seen = new Set<string>(); // in your system: a table with the ids of the last weeks

  const connection = await connect(process.env.AMQP_URL ?? "amqp://127.0.0.1:5672/%2f");
  const channel = await connection.createChannel();
  const queue = `${ente}.esiti`;
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.bindQueue(queue, "promemoria.outcomes", `${ente}.#`);
  await channel.prefetch(100);
  await channel.consume(queue, (message) => {
    if (message === null) {
      throw new Error("the queue was deleted");
    }
    const outcome = JSON.parse(message.content.toString("utf8")) as Outcome;
    if (!seen.has(outcome.id)) { // outcomes are told at least once
      const { messaggio, timer, codice, destinatario } = outcome.data;
      const person = known.get(destinatario ?? "") ?? "unknown";
      console.log(outcome.type, outcome.subject, messaggio ?? timer ?? codice, person);
      seen.add(outcome.id);
    }
    channel.ack(message); // after your own commit
  });
  console.log("listening");
}

main(process.argv[2], process.argv.slice(3)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
