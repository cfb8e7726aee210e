// Publishes one event: persistent, mandatory, confirmed.
//
//     AMQP_URL=amqps://… npx tsx publish.ts permesso-rinnovato.json
//
// Needs amqplib 0.10 and @types/amqplib.
import { readFileSync } from "node:fs";
import { connect } from "amqplib";

interface Event {
  id: string;
  type: string;
  ente: string;
}

async function main(file: string): Promise<void> {
  const body = readFileSync(file);
  const event = JSON.parse(body.toString("utf8")) as Event;
  const connection = await connect(process.env.AMQP_URL ?? "amqp://127.0.0.1:5672/%2f");
  try {
    const channel = await connection.createConfirmChannel();
    let returned = false;
    channel.on("return", () => (returned = true));
    channel.publish("promemoria.events", `${event.ente}.${event.type}`, body, {
      contentType: "application/cloudevents+json",
      messageId: event.id,
      persistent: true,
      mandatory: true,
    });
    // Rejects if the broker refuses: publish it again then, with the same id. A return always comes
    // before its confirm.
    await channel.waitForConfirms();
    if (returned) {
      throw new Error("returned: the fleet's topology is not there");
    }
    console.log("confirmed");
  } finally {
    await connection.close();
  }
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
