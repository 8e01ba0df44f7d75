// What browsers have and TypeScript's library does not know yet: JSON.parse with source text.

interface JSON {
  parse(text: string, reviver: (key: string, value: any, context?: { source: string }) => any): any;
  rawJSON?(text: string): unknown;
  isRawJSON?(value: unknown): boolean;
}
