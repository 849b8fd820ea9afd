/** Whether the request may be given up; the promise is rejected with the signal's reason. */
export interface Abortable {
  signal?: AbortSignal;
}

export interface ContexOptions {
  /** Where the server is; `CONTEX_URL`, else `http://localhost:8001`, when not given. */
  url?: string;
  /** `CONTEX_API_KEY` when not given. */
  apiKey?: string;
  /** Milliseconds that one attempt may take: 60,000. */
  timeout?: number;
  /** How often a request is made at most: 4. */
  attempts?: number;
  /** Milliseconds before the second attempt, 100; each further pause is twice as long. */
  pause?: number;
  /** Another `fetch`, for proxies and certificates. */
  fetch?: typeof fetch;
}

export interface Page {
  /** Items that are read at once. */
  page?: number;
}

export type JSONObject = Record<string, any>;

export interface PublishOptions {
  /** Found out when not given. */
  data_format?: string;
  /** What filters can ask of it. */
  metadata?: JSONObject;
  /** A vector of your own: the data is then one node, and its text is not embedded. */
  vector?: number[];
  event_type?: string;
}

export interface PublishItem extends PublishOptions {
  data_key: string;
  data: unknown;
}

/** A publish or a deletion that is on the disk, in every index. */
export interface Receipt {
  project_id: string;
  data_key: string;
  /** Its place in the project's log. */
  sequence: number;
  /** The key held exactly this already: nothing was written, nobody is told. */
  unchanged?: boolean;
}

/** How a question is asked: docs/query-syntax.md, filters.md, packing.md, passages.md. */
export interface QueryOptions {
  /** Matches at most: 1 to 50, 5 when not given. */
  top_k?: number;
  /** Least similarity, 0 to 1. */
  threshold?: number;
  /** Bound of the data of all matches, in cl100k tokens. */
  max_tokens?: number;
  mode?: 'hybrid' | 'semantic' | 'keyword';
  /** Only data that passes is searched. */
  filter?: JSONObject;
  /** The asker's own vector. */
  query_vector?: number[];
  syntax?: 'signs' | 'plain';
  fusion?: 'calibrated' | 'convex' | 'rrf';
  weights?: { semantic?: number; keyword?: number };
  diversity?: number;
  /** Keys that come first, whatever their similarity. */
  pinned?: string[];
  explain?: boolean;
  /** Keys of which the answer says whether they are matches, and if not, why. */
  explain_keys?: string[];
  /** As the project was after this event, or at this time. */
  as_of?: string | number;
  ef_search?: number;
  recall?: number;
  group_by?: 'document';
  nodes_per_document?: number;
}

/** What of a long node answers: characters `start` to `end` of the text at `path`, or several `nodes` together. */
export interface Passage {
  start?: number;
  end?: number;
  text?: string;
  path?: string;
  last_path?: string;
  nodes?: string[];
}

/** A node that answers a question. */
export interface Match {
  /** The key of the node: that of its document and a path in it. */
  data_key: string;
  similarity: number;
  data: JSONObject;
  description: string;
  token_count: number;
  preview: string;
  metadata?: JSONObject;
  tokens?: number;
  truncated?: boolean;
  pinned?: boolean;
  passage?: Passage;
  others?: Match[];
  explanation?: JSONObject;
}

export interface Packing {
  max_tokens?: number;
  tokens?: number;
  diversity: number;
  truncated: boolean;
  omitted: number;
  omitted_keys: string[];
  duplicates: { data_key: string; duplicate_of: string }[];
  pinned_missing?: string[];
}

/** Matches, best first. */
export interface Answer {
  query: string;
  matches: Match[];
  total_matches: number;
  packing?: Packing;
  filter?: { passing: number; nodes: number };
  explained?: JSONObject[];
  notes?: string[];
}

export interface Node {
  data_key: string;
  data: any;
  description: string;
  data_format: string;
  metadata?: JSONObject;
}

/** What a key holds, or held. */
export interface Document {
  project_id: string;
  data_key: string;
  sequence: number;
  timestamp: string;
  data: any;
  data_format: string;
  nodes: Node[];
  metadata?: JSONObject;
}

export interface Version {
  sequence: number;
  timestamp: string;
  data: any;
  data_format: string;
  description: string;
  event_type?: string;
  metadata?: JSONObject;
}

export interface Difference {
  from_sequence: number;
  to_sequence: number;
  from_data: any;
  to_data: any;
  changed: boolean;
}

export interface Publisher {
  key_id: string;
  name: string;
}

/** An event of a project's log. */
export interface Event {
  sequence: number;
  event_type: string;
  /** null for an imported event that does not say. */
  data_key: string | null;
  data: any;
  timestamp?: string;
  metadata?: JSONObject;
  published_by?: Publisher | null;
  /** Where to go on behind it; there when it was followed. */
  cursor?: string;
}

/** What an agent is told. */
export interface Update {
  /** Where to go on once it is dealt with. */
  cursor: string;
  sequence: number;
  data_key: string;
  reason: 'first_match' | 'update' | 'deletion';
  data?: any;
  /** The needs that it matches; none when it comes because the document is followed. */
  needs: string[];
  published_by?: Publisher | null;
  own?: boolean | null;
}

/** A page of what an agent was told and has not acknowledged. */
export interface Inbox {
  entries: Update[];
  cursor: string;
  has_more: boolean;
  /** Something was let go because it was old. */
  gap: boolean;
}

/** Settings of a registration, docs/needs.md. */
export interface RegisterOptions {
  last_seen_sequence?: string;
  response_format?: string;
  notification_method?: 'redis' | 'webhook';
  notification_channel?: string;
  webhook_url?: string;
  webhook_secret?: string;
  envelope?: 'plain' | 'full';
  max_tokens?: number;
  diversity?: number;
  pinned?: string[];
  min_similarity?: number;
  mode?: 'hybrid' | 'semantic' | 'keyword';
  filter?: JSONObject;
  top_k?: number;
}

export interface Registration {
  agent_id: string;
  project_id: string;
  caught_up_events: number;
  current_sequence: number;
  /** Of each need, how many nodes match it now. */
  matched_needs: Record<string, number>;
  notification_channel: string;
}

export interface AgentInfo {
  project_id: string;
  needs: string[];
  notification_method: string;
  response_format: string;
  channel: string;
  webhook_url: string | null;
  data_keys: string[];
  last_sequence: number;
  delivery?: JSONObject;
}

export interface AgentName {
  agent_id: string;
  project_id: string;
}

export interface ProjectInfo {
  project_id: string;
  documents: number;
  nodes: number;
  agents: number;
  last_sequence: number;
  created_at: string;
}

export interface APIKey {
  key_id: string;
  name: string;
  created_at: string;
  prefix?: string;
  /** The key itself: told once, when it is made. */
  key?: string;
  confirmed?: boolean;
}

export interface ListenOptions extends Abortable {
  /** Begin behind the cursor of an update, instead of with the oldest that is not acknowledged. */
  after?: string;
  /** false for programs that keep the cursor themselves. */
  acknowledge?: boolean;
  /** Leave out what was published with the key that the agent is registered with. */
  suppress_own?: boolean;
}

/**
 * A Contex server. What is the same twice and once is tried again when the server is busy or the connection breaks, after pauses that grow;
 * anything else only when it was certainly not done. Refusals are thrown as `ContexError`.
 */
export class Contex {
  constructor(options?: ContexOptions | string);
  readonly url: string;
  /** A project; a publish makes it when there is none. */
  project(projectId: string): Project;
  projects(options?: Page): AsyncIterableIterator<ProjectInfo>;
  /** The agents of all projects. */
  agents(options?: Page): AsyncIterableIterator<AgentName>;
  /** The API keys, without the keys themselves. */
  keys(options?: Page): AsyncIterableIterator<APIKey>;
  /** An API key; `key` is told only now. Without `role` it is readonly. */
  createKey(name: string, options?: { role?: string; projects?: string[] }): Promise<APIKey>;
  revokeKey(keyId: string): Promise<void>;
  /** Vectors of texts, by the server's model, in order. */
  embed(texts: string[]): Promise<number[][]>;
  health(): Promise<JSONObject>;
  /** Any route of the API that has no method here, for instance `request('GET', '/webhooks/endpoints')`. */
  request(method: string, path: string, options?: { body?: unknown; params?: JSONObject } & Abortable): Promise<any>;
}

/** A project: documents under keys, questions, agents, a log of events. */
export class Project {
  constructor(client: Contex, projectId: string);
  readonly projectId: string;
  /** Publishes data under a key, in place of what it held; who needs it is told. */
  publish(dataKey: string, data: unknown, options?: PublishOptions): Promise<Receipt>;
  /** Up to 10,000 publishes in one request. One outcome each, in order. */
  publishMany(items: Iterable<PublishItem>): Promise<(Receipt | ContexError)[]>;
  /** Removes what a key holds; its history stays. */
  delete(dataKey: string): Promise<Receipt>;
  /** What a key holds, or held after an event or at a time. */
  get(dataKey: string, options?: { as_of?: string | number }): Promise<Document>;
  /** All nodes of the project, of one moment. */
  nodes(options?: Page & { as_of?: string | number }): AsyncIterableIterator<Node>;
  /** What answers a question, best first; null with `query_vector` alone. */
  query(text: string | null, options?: QueryOptions & Abortable): Promise<Answer>;
  /** All matches of a question (10,000 at most), best first, read page by page out of one state of the project. */
  matches(text: string | null, options?: QueryOptions & Page): AsyncIterableIterator<Match>;
  /** Up to 100 questions in one request, all of one moment. One outcome each, in order. */
  queryMany(questions: Iterable<string | JSONObject>, options?: QueryOptions): Promise<(Answer | ContexError)[]>;
  /** What answers a question as a text for a model: at most `max_tokens` (4,000) of data, in TOON or another format. */
  context(text: string, options?: QueryOptions & { format?: string }): Promise<string>;
  /** The events of the log after `since`, oldest first, up to now. */
  events(options?: Page & { since?: number }): AsyncIterableIterator<Event>;
  /** The events as they come, without an end: behind a cursor, else from now on; `0-0` is the beginning. */
  follow(options?: { after?: string } & Abortable): AsyncIterableIterator<Event>;
  /** The versions of a key, newest first. */
  history(dataKey: string, options?: Page): AsyncIterableIterator<Version>;
  version(dataKey: string, sequence: number): Promise<Version>;
  difference(dataKey: string, fromSequence: number, toSequence: number): Promise<Difference>;
  /** Publishes an old version again; the number of the new event. */
  restore(dataKey: string, sequence: number): Promise<number>;
  /** Which agents a document would reach and by which needs, without publishing it. */
  reaches(data: unknown, options?: PublishOptions & { data_key?: string }): Promise<JSONObject[]>;
  /** What needs would have matched of the last events. */
  tryNeeds(needs: Iterable<string>, options?: JSONObject): Promise<JSONObject[]>;
  settings(): Promise<JSONObject>;
  changeSettings(settings: { analyzer: 'english' | 'simple' | 'code' }): Promise<JSONObject>;
  /** An agent of the project, registered or not. */
  agent(agentId: string): Agent;
  agents(options?: Page): AsyncIterableIterator<AgentName>;
}

/** An agent: what it needs, and what it is told. */
export class Agent {
  constructor(client: Contex, projectId: string, agentId: string);
  readonly projectId: string;
  readonly agentId: string;
  /** Registers what the agent needs, in plain words, in place of an earlier registration. From now on it is told of what matches. */
  register(needs: Iterable<string>, options?: RegisterOptions): Promise<Registration>;
  /** Forgets the agent, and its inbox. One that is not registered is no error. */
  unregister(): Promise<void>;
  show(): Promise<AgentInfo>;
  /** What the agent was told behind a cursor, else what it has not acknowledged; `wait`: seconds to wait when there is nothing. */
  inbox(options?: { cursor?: string; limit?: number; wait?: number; explain?: boolean } & Abortable): Promise<Inbox>;
  /** Everything up to a cursor is dealt with and goes; how many updates that were. */
  acknowledge(cursor: string): Promise<number>;
  /**
   * What concerns the agent, as it comes, in order and without an end; each update at least once, whatever breaks between. An update counts as
   * dealt with when the loop asks for the next one, and is then acknowledged.
   */
  listen(options?: ListenOptions): AsyncIterableIterator<Update>;
}

export interface ErrorDetails {
  code?: string;
  status?: number;
  requestId?: string;
  retryAfter?: number;
  oldestCursor?: string;
  fields?: JSONObject[];
  candidates?: any[];
  requiredPermission?: string;
  role?: string;
  cause?: unknown;
}

/** A refusal of the server, or no answer at all. Act by the class, or exactly by `code`, which never changes its meaning. */
export class ContexError extends Error {
  constructor(message: string, details?: ErrorDetails);
  readonly detail: string;
  readonly code: string;
  readonly category: string;
  readonly status?: number;
  /** Finds the request in the server's log. */
  readonly requestId?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Of a cursor that does not work any more: the oldest one that does. */
  readonly oldestCursor?: string;
  /** Of a request with wrong fields: where (`loc`) and what (`msg`). */
  readonly fields: JSONObject[];
  readonly candidates: any[];
  readonly requiredPermission?: string;
  readonly role?: string;
  /** What to do about it. */
  readonly advice?: string;
  /** Whether the same may go better another time. */
  get isPassing(): boolean;
}
/** 422 */
export class InvalidError extends ContexError {}
/** 400 */
export class BadRequestError extends ContexError {}
/** 401 */
export class UnauthenticatedError extends ContexError {}
/** 403 */
export class ForbiddenError extends ContexError {}
/** 404 */
export class NotFoundError extends ContexError {}
/** 409, 410 */
export class ConflictError extends ContexError {}
/** 413 */
export class TooLargeError extends ContexError {}
/** 429 */
export class LimitedError extends ContexError {}
/** 503 */
export class UnavailableError extends ContexError {}
/** 507 */
export class StorageFullError extends ContexError {}
/** 500: stored data is damaged. */
export class DamagedError extends ContexError {}
/** 500 */
export class ServerFaultError extends ContexError {}
/** The server could not be reached, or the connection broke before the answer was there. */
export class NoAnswerError extends UnavailableError {
  constructor(message: string, how: { mayBeDone: boolean; timedOut?: boolean; cause?: unknown });
  /** The request was sent, so a write may have been done all the same. */
  readonly mayBeDone: boolean;
}
