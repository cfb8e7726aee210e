// What the examples use of amqplib 0.10, since Debian has neither it nor its types.
declare module "amqplib" {
  interface PublishOptions {
    contentType?: string;
    messageId?: string;
    persistent?: boolean;
    mandatory?: boolean;
  }
  interface Message {
    content: Buffer;
  }
  interface Channel {
    assertQueue(queue: string, options: { durable: boolean; arguments: Record<string, string> }): Promise<unknown>;
    bindQueue(queue: string, exchange: string, pattern: string): Promise<unknown>;
    prefetch(count: number): Promise<unknown>;
    consume(queue: string, take: (message: Message | null) => void): Promise<unknown>;
    ack(message: Message): void;
  }
  interface ConfirmChannel extends Channel {
    on(event: "return", listener: () => void): this;
    publish(exchange: string, routingKey: string, body: Buffer, options: PublishOptions): boolean;
    waitForConfirms(): Promise<void>;
  }
  interface Connection {
    createChannel(): Promise<Channel>;
    createConfirmChannel(): Promise<ConfirmChannel>;
    close(): Promise<void>;
  }
  export function connect(url: string): Promise<Connection>;
}
