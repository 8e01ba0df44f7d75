// Generated from operations.js and the schema: `node tests/clients/codegen.mjs`

/** A document as text that knows what it answers with, and what variables it takes. */
export type TypedDocument<Data, Variables> = string & {
  __apiType?: (variables: Variables) => Data;
};

/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type BrokerQueryVariables = Exact<{ [key: string]: never; }>;


export type BrokerQuery = { broker: { version: string, node: string, engine: string, startedAt: string } };

export type FiguresSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type FiguresSubscription = { stats: { connections: number, subscriptions: number, topics: number, keptBytes: number, publishedPerSecond: number, deliveredPerSecond: number, droppedPerSecond: number, deliveryP50Ms: number, deliveryP99Ms: number } };

export type PublishMutationVariables = Exact<{
  topic: string;
  payload: any;
  key?: string | null | undefined;
  id?: string | null | undefined;
}>;


export type PublishMutation = { publish: { cursor: string, publishedAt: string } };

export type TailSubscriptionVariables = Exact<{
  topics: Array<string> | string;
}>;


export type TailSubscription = { messages: { topic: string, cursor: string, publishedAt: string, key: string | null, headers: any, payload: any } };

export type TopicsQueryVariables = Exact<{
  match: string;
  first: number;
}>;


export type TopicsQuery = { topics: { nodes: Array<{ name: string, type: string | null, messages: number, bytes: number, subscribers: number, publishedPerSecond: number, deliveredPerSecond: number }>, pageInfo: { hasNextPage: boolean } } };

export const BROKER: TypedDocument<BrokerQuery, BrokerQueryVariables>;
export const FIGURES: TypedDocument<FiguresSubscription, FiguresSubscriptionVariables>;
export const PUBLISH: TypedDocument<PublishMutation, PublishMutationVariables>;
export const TAIL: TypedDocument<TailSubscription, TailSubscriptionVariables>;
export const TOPICS: TypedDocument<TopicsQuery, TopicsQueryVariables>;
