// What an application writes: documents in calls of `graphql`, whose types are generated.

import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import type { QuoteInput } from "./gql/graphql.js";
import { graphql } from "./gql/index.js";

const Watch = graphql(`
  subscription Watch($symbols: [ID!], $above: Float!) {
    quote(symbol: $symbols, last: 1, where: { bid: { gt: $above } }) {
      symbol bid last session
      book { side price size }
      _message { cursor }
    }
  }
`);

const Publish = graphql(`
  mutation Publish($quote: QuoteInput!) {
    publishQuote(quote: $quote) { topic }
  }
`);

const Write = graphql(`
  mutation Write($edit: EditInput!) {
    publishEdit(edit: $edit) { topic }
  }
`);

const client = createClient({ url: process.argv[2] ?? "", webSocketImpl: WebSocket });

async function* follow<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): AsyncGenerator<Data> {
  for await (const result of client.iterate<Data>({ query: print(document), variables })) {
    if (result.errors) throw new AggregateError(result.errors, JSON.stringify(result.errors));
    if (result.data) yield result.data;
  }
}

async function ask<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  for await (const data of follow(document, variables)) return data;
  throw new Error("completed without a result");
}

const book: QuoteInput["book"] = [{ side: "BUY", price: 189.5, size: 100 }];
const quote: QuoteInput = { symbol: "BRK.B", bid: 1, ask: 189.6, session: "REGULAR", book };
await ask(Publish, { quote });
await ask(Publish, { quote: { ...quote, bid: 189.5, last: "189.50" } });

const insert = { at: 0, text: "Minutes" };
const edit = { document: "minutes", revision: 1, author: "ada", operations: [{ insert }] };
const written = await ask(Write, { edit });
console.log(written.publishEdit.topic);

for await (const { quote } of follow(Watch, { symbols: ["BRK.B"], above: 100 })) {
  const shares: number = quote.book.reduce((sum, { size }) => sum + size, 0);
  console.log(`${quote.symbol} ${quote.bid} ${quote.session} ${shares} ${quote._message.cursor}`);
  break;
}
await client.dispose();
