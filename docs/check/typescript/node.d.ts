// What the examples use of Node.js, since Debian has no @types/node.
interface Buffer extends Uint8Array {
  toString(encoding?: "utf8"): string;
}
declare module "node:fs" {
  export function readFileSync(path: string): Buffer;
  export function readFileSync(path: string, encoding: "utf8"): string;
}
declare module "node:crypto" {
  interface Hmac {
    update(text: string): Hmac;
    digest(encoding: "hex"): string;
  }
  export function createHmac(algorithm: "sha256", key: string): Hmac;
}
declare const process: { argv: string[]; env: Record<string, string | undefined>; exitCode: number };
declare const console: { log(...what: unknown[]): void; error(...what: unknown[]): void };
