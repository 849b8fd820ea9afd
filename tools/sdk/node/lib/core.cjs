'use strict';
// What needs no server: refusals, when to try again, event streams, shapes of answers.

const { ContexError, NoAnswerError, errorOf } = require('./errors.cjs');

const ACCEPT = 'application/json, application/problem+json';
/** The server says every 15 s that a stream is there; three of these missed, and it is not. */
const STREAM_SILENCE = 45_000;
/** Of a line of an event stream, in characters: several times what a document may have. */
const LINE_MAX = 64 * 1024 * 1024;
/** Refused before anything was done, so that a write may be sent again. */
const NOT_DONE = new Set(['server_busy', 'rate_limited', 'limit_reached', 'logins_limited']);
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);
const PAUSE_MAX = 5_000;
/** What the server asks to be waited for longer than this is told to the caller instead. */
const RETRY_AFTER_MAX = 20;

/** @param {string} path @param {Record<string, unknown>} [params] */
function target(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `${path}?${given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}` : path;
}

/** @param {number} status @param {Headers} headers @param {string} text */
function refusal(status, headers, text) {
  /** @type {any} */
  let members = {};
  try {
    members = JSON.parse(text) ?? {};
  } catch {
    // What is no JSON is told as it is.
  }
  const detail = members.detail ?? members.message ?? (text.slice(0, 200) || `status ${status}`);
  const fields = members.errors ?? (Array.isArray(detail) ? detail : []);
  const after = Number(headers.get('retry-after') ?? NaN);
  return errorOf(typeof detail === 'string' ? detail : JSON.stringify(detail), {
    code: members.code ?? headers.get('x-contex-error') ?? '', status, requestId: members.request_id ?? headers.get('x-request-id') ?? undefined,
    retryAfter: Number.isNaN(after) ? undefined : after,
    oldestCursor: members.oldest_cursor ?? fields.map((/** @type {any} */ field) => field.ctx?.oldest_cursor).find(Boolean),
    fields, candidates: members.candidates, requiredPermission: members.required_permission, role: members.your_role,
  });
}

/** @param {unknown} failure @param {boolean} timedOut */
function noAnswer(failure, timedOut) {
  const cause = /** @type {any} */ (failure)?.cause;
  const notSent = !timedOut && NOT_SENT.has(cause?.code);
  const what = timedOut ? 'no answer in time' : notSent ? 'no connection to the server' : 'the connection to the server was lost';
  return new NoAnswerError(`${what}: ${cause?.message || cause?.code || failure}`, { mayBeDone: !notSent, timedOut, cause: failure });
}

/** @param {boolean} again twice is the same as once @param {ContexError} error */
function mayTryAgain(again, error) {
  if (!error.isPassing) return false;
  return again || (error instanceof NoAnswerError ? !error.mayBeDone : NOT_DONE.has(error.code));
}

/**
 * Milliseconds until the next attempt, shortened at random so that clients that failed together do not come again together.
 * @param {number} attempt @param {ContexError | undefined} error @param {number} first
 */
function pause(attempt, error, first) {
  const asked = error?.retryAfter ?? 0;
  if (asked > RETRY_AFTER_MAX) return undefined;
  return Math.max(Math.min(PAUSE_MAX, first * 2 ** Math.min(16, attempt - 1)) * (0.5 + Math.random() / 2), asked * 1_000);
}

/** @param {number} milliseconds @param {AbortSignal} [signal] @returns {Promise<void>} */
function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Reads server-sent events out of pieces of bytes. */
class EventStream {
  constructor() {
    this.decoder = new TextDecoder();
    this.rest = '';
    /** @type {{name: string, id: string | undefined, data: string[]}} */
    this.event = { name: '', id: undefined, data: [] };
  }

  /** @param {Uint8Array} piece */
  feed(piece) {
    /** @type {{name: string, id: string | undefined, data: string | undefined}[]} */
    const events = [];
    const text = this.decoder.decode(piece, { stream: true });
    this.rest += text;
    if (this.rest.length > LINE_MAX) throw new ContexError('a line of the event stream is longer than any document', { code: 'answer_unreadable' });
    if (!text.includes('\n')) return events;
    const lines = this.rest.split('\n');
    this.rest = /** @type {string} */ (lines.pop());
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        const { name, id, data } = this.event;
        if (id !== undefined || data.length) events.push({ name, id, data: data.length ? data.join('\n') : undefined });
        this.event = { name: '', id: undefined, data: [] };
        continue;
      }
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
      if (name === 'data') this.event.data.push(value);
      else if (name === 'id') this.event.id = value;
      else if (name === 'event') this.event.name = value;
    }
    return events;
  }
}

const NUMBERS = ['sequence', 'current_sequence', 'last_sequence', 'from_sequence', 'to_sequence', 'restored_from', 'new_sequence'];

/**
 * Numbers of events, which are texts on the wire, as numbers.
 * @param {any} members @returns {any}
 */
function numbered(members) {
  for (const name of NUMBERS) if (typeof members[name] === 'string') members[name] = Number(members[name]);
  return members;
}

/**
 * An event in the shape of the log: the data under its key.
 * @param {any} members
 */
function logEvent(members) {
  const names = Object.keys(members.data ?? {});
  return numbered({ ...members, ...(names.length === 1 ? { data_key: names[0], data: members.data[names[0]] } : { data_key: null }) });
}

/**
 * One of a batch.
 * @param {any} members
 */
function outcome(members) {
  return members.status === 'failed' ? errorOf(String(members.error), { code: members.code }) : numbered(members);
}

module.exports = { ACCEPT, STREAM_SILENCE, RETRY_AFTER_MAX, EventStream, target, refusal, noAnswer, mayTryAgain, pause, sleep, numbered, logEvent, outcome };
