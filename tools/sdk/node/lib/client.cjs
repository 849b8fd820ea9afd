'use strict';

const core = require('./core.cjs');
const { ContexError, UnavailableError, errorOf } = require('./errors.cjs');

/** @typedef {{path: string, body?: unknown, params?: Record<string, unknown>, again?: boolean, signal?: AbortSignal}} Call */

const API = '/api/v1';
const VERSION = '0.2.0';
const part = encodeURIComponent;
/** @param {any} value */
const same = (value) => value;

class Contex {
  /** @param {import('./index.cjs').ContexOptions | string} [options] */
  constructor(options = {}) {
    const given = typeof options === 'string' ? { url: options } : options;
    const environment = typeof process === 'undefined' ? {} : process.env;
    this.url = (given.url ?? environment.CONTEX_URL ?? 'http://localhost:8001').replace(/\/+$/, '');
    const key = given.apiKey ?? environment.CONTEX_API_KEY;
    /** @type {Record<string, string>} */
    this._headers = { Accept: core.ACCEPT, 'User-Agent': `contex-client-node/${VERSION}`, ...(key ? { 'X-API-Key': key } : {}) };
    this._timeout = given.timeout ?? 60_000;
    this._attempts = Math.max(1, given.attempts ?? 4);
    this._pause = given.pause ?? 100;
    this._fetch = given.fetch ?? globalThis.fetch;
  }

  /** @param {string} method @param {Call} call @returns {Promise<string>} */
  async _send(method, { path, body, params, again = true, signal }) {
    const url = this.url + core.target(path, params);
    const headers = body === undefined ? this._headers : { ...this._headers, 'Content-Type': 'application/json' };
    const text = body === undefined ? undefined : JSON.stringify(body);
    for (let attempt = 1; ; attempt++) {
      const controller = new AbortController();
      const stop = () => controller.abort(signal?.reason);
      if (signal?.aborted) throw signal.reason;
      signal?.addEventListener('abort', stop, { once: true });
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        controller.abort();
      }, this._timeout);
      let error;
      try {
        const response = await this._fetch(url, { method, headers, body: text, signal: controller.signal, redirect: 'manual' });
        const content = await response.text();
        if (response.status < 300) return content;
        error = core.refusal(response.status, response.headers, content);
      } catch (failure) {
        if (signal?.aborted) throw signal.reason;
        error = core.noAnswer(failure, late);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
      }
      const milliseconds = core.pause(attempt, error, this._pause);
      if (attempt >= this._attempts || milliseconds === undefined || !core.mayTryAgain(again, error)) throw error;
      await core.sleep(milliseconds, signal);
    }
  }

  /** @param {string} method @param {Call} call @returns {Promise<any>} */
  async _ask(method, call) {
    const text = await this._send(method, call);
    try {
      return JSON.parse(text);
    } catch (failure) {
      throw new ContexError(`what answered is no Contex server: ${text.slice(0, 200)}`, { code: 'answer_unreadable', cause: failure });
    }
  }

  /**
   * All items of a listing, which is read page by page as they are taken.
   * @param {string} path @param {string} member @param {Record<string, unknown>} params @param {(members: any) => any} shape
   * @returns {AsyncGenerator<any, void, undefined>}
   */
  async *_pages(path, member, params, shape) {
    /** @type {string | undefined} */
    let cursor;
    do {
      const answer = await this._ask('GET', { path, params: { ...params, cursor } });
      for (const item of answer[member]) yield shape(item);
      cursor = answer.next_cursor;
    } while (cursor !== undefined && cursor !== null);
  }

  /**
   * What an event stream brings, in the portions in which it comes. A stream that breaks goes on behind what it last brought.
   * @param {string} path @param {string | undefined} cursor @param {Record<string, unknown>} params @param {AbortSignal | undefined} signal
   * @returns {AsyncGenerator<any[], void, undefined>}
   */
  async *_stream(path, cursor, params, signal) {
    const headers = { ...this._headers, Accept: 'text/event-stream, application/problem+json' };
    for (let failures = 0; ; ) {
      const controller = new AbortController();
      const stop = () => controller.abort(signal?.reason);
      if (signal?.aborted) throw signal.reason;
      signal?.addEventListener('abort', stop, { once: true });
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const heard = () => {
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(), core.STREAM_SILENCE);
      };
      let error;
      // Whether a failure is the connection's: what the reader of this generator throws is not.
      let reading = true;
      try {
        heard();
        const response = await this._fetch(this.url + core.target(path, { ...params, cursor }), {
          headers, signal: controller.signal, redirect: 'manual',
        });
        if (response.status >= 300 || !response.body) throw core.refusal(response.status, response.headers, await response.text());
        const events = new core.EventStream();
        const reader = response.body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          heard();
          const items = [];
          for (const event of events.feed(value)) {
            if (event.name === 'refused') {
              const { code, detail, oldest_cursor: oldestCursor } = JSON.parse(event.data ?? '{}');
              throw errorOf(detail, { code, oldestCursor });
            }
            cursor = event.id ?? cursor;
            if (event.data !== undefined) items.push(core.numbered({ cursor, ...JSON.parse(event.data) }));
          }
          if (items.length) {
            failures = 0;
            clearTimeout(timer);
            reading = false;
            yield items;
            reading = true;
            heard();
          }
        }
      } catch (failure) {
        if (!reading) throw failure;
        if (signal?.aborted) throw signal.reason;
        if (failure instanceof ContexError) {
          if (!failure.isPassing) throw failure;
          error = failure;
        }
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        controller.abort();
      }
      failures++;
      await core.sleep(core.pause(failures, error, this._pause) ?? core.RETRY_AFTER_MAX * 1_000, signal);
    }
  }

  /** @param {string} method @param {string} path @param {{body?: unknown, params?: Record<string, unknown>, signal?: AbortSignal}} options */
  request(method, path, { body, params, signal } = {}) {
    return this._ask(method, { path: API + path, body, params, again: ['GET', 'HEAD', 'PUT'].includes(method), signal });
  }

  health() {
    return this._ask('GET', { path: `${API}/health` });
  }

  /** @param {string[]} texts @returns {Promise<number[][]>} */
  async embed(texts) {
    const answer = await this._ask('POST', { path: `${API}/embeddings`, body: { input: texts } });
    return answer.data.map((/** @type {{embedding: number[]}} */ item) => item.embedding);
  }

  /** @param {string} projectId */
  project(projectId) {
    return new Project(this, projectId);
  }

  projects({ page = 500 } = {}) {
    return this._pages(`${API}/projects`, 'projects', { limit: page }, core.numbered);
  }

  agents({ page = 500 } = {}) {
    return this._pages(`${API}/agents`, 'registrations', { limit: page }, same);
  }

  keys({ page = 500 } = {}) {
    return this._pages(`${API}/auth/keys`, 'keys', { limit: page }, same);
  }

  /** @param {string} name @param {{role?: string, projects?: string[]}} options */
  async createKey(name, { role, projects = [] } = {}) {
    const made = await this._ask('POST', { path: `${API}/auth/keys`, params: { name }, again: false });
    if (role !== undefined) await this._send('POST', { path: `${API}/auth/roles`, body: projects, params: { key_id: made.key_id, role } });
    return made;
  }

  /** @param {string} keyId */
  async revokeKey(keyId) {
    await this._send('DELETE', { path: `${API}/auth/keys/${part(keyId)}`, again: false });
  }
}

class Project {
  /** @param {Contex} client @param {string} projectId */
  constructor(client, projectId) {
    this._client = client;
    this.projectId = projectId;
    this._path = `${API}/projects/${part(projectId)}`;
    this._versions = `${API}/versions/projects/${part(projectId)}/data`;
  }

  /** @param {string} dataKey @param {unknown} data @param {import('./index.cjs').PublishOptions} options */
  async publish(dataKey, data, options = {}) {
    const body = { ...options, project_id: this.projectId, data_key: dataKey, data };
    return core.numbered(await this._client._ask('POST', { path: `${API}/data/publish`, body, again: false }));
  }

  /** @param {Iterable<import('./index.cjs').PublishItem>} items */
  async publishMany(items) {
    const body = Array.from(items, (item) => ({ ...item, project_id: this.projectId }));
    const answer = await this._client._ask('POST', { path: `${API}/batch/publish`, body, again: false });
    return answer.results.map(core.outcome);
  }

  /** @param {string} dataKey */
  async delete(dataKey) {
    return core.numbered(await this._client._ask('DELETE', { path: `${this._path}/data/${part(dataKey)}`, again: false }));
  }

  /** @param {string} dataKey @param {{as_of?: string | number}} options */
  async get(dataKey, { as_of } = {}) {
    return core.numbered(await this._client._ask('GET', { path: `${this._path}/data/${part(dataKey)}`, params: { as_of } }));
  }

  /** @param {{as_of?: string | number, page?: number}} options */
  nodes({ as_of, page = 500 } = {}) {
    return this._client._pages(`${this._path}/data`, 'data', { limit: page, as_of }, same);
  }

  /** @param {string | null} text @param {import('./index.cjs').QueryOptions & import('./index.cjs').Abortable} options */
  query(text, { signal, ...options } = {}) {
    return this._client._ask('POST', { path: `${this._path}/query`, body: { ...options, query: text ?? undefined, response_format: 'json' }, signal });
  }

  /** @param {string | null} text @param {import('./index.cjs').QueryOptions & {page?: number}} options @returns {AsyncGenerator<any, void, undefined>} */
  async *matches(text, { page = 100, ...options } = {}) {
    /** @type {string | undefined} */
    let cursor;
    do {
      const body = { ...options, query: text ?? undefined, response_format: 'json', limit: page, cursor };
      const answer = await this._client._ask('POST', { path: `${this._path}/query`, body });
      yield* answer.matches;
      cursor = answer.next_cursor;
    } while (cursor !== undefined && cursor !== null);
  }

  /** @param {Iterable<string | Record<string, unknown>>} questions @param {import('./index.cjs').QueryOptions} options */
  async queryMany(questions, options = {}) {
    const body = Array.from(questions, (question) => ({
      ...options, response_format: 'json', ...(typeof question === 'string' ? { query: question } : question), project_id: this.projectId,
    }));
    const answer = await this._client._ask('POST', { path: `${API}/batch/query`, body });
    return answer.results.map(core.outcome);
  }

  /** @param {string} text @param {import('./index.cjs').QueryOptions & {format?: string}} options */
  context(text, { format = 'toon', ...options } = {}) {
    return this._client._send('POST', { path: `${this._path}/query`, body: { max_tokens: 4_000, ...options, query: text, response_format: format } });
  }

  /** @param {{since?: number, page?: number}} options */
  events({ since = 0, page = 500 } = {}) {
    return this._client._pages(`${this._path}/events`, 'events', { since, limit: page }, core.logEvent);
  }

  /** @param {{after?: string, signal?: AbortSignal}} options @returns {AsyncGenerator<any, void, undefined>} */
  async *follow({ after, signal } = {}) {
    for await (const events of this._client._stream(`${this._path}/stream`, after, {}, signal)) yield* events;
  }

  /** @param {string} dataKey @param {{page?: number}} options */
  history(dataKey, { page = 100 } = {}) {
    return this._client._pages(`${this._versions}/${part(dataKey)}/history`, 'versions', { limit: page }, core.numbered);
  }

  /** @param {string} dataKey @param {number} sequence */
  async version(dataKey, sequence) {
    return core.numbered(await this._client._ask('GET', { path: `${this._versions}/${part(dataKey)}/version/${sequence}` }));
  }

  /** @param {string} dataKey @param {number} fromSequence @param {number} toSequence */
  async difference(dataKey, fromSequence, toSequence) {
    const params = { from_sequence: fromSequence, to_sequence: toSequence };
    return core.numbered(await this._client._ask('GET', { path: `${this._versions}/${part(dataKey)}/diff`, params }));
  }

  /** @param {string} dataKey @param {number} sequence @returns {Promise<number>} */
  async restore(dataKey, sequence) {
    const answer = await this._client._ask('POST', { path: `${this._versions}/${part(dataKey)}/restore/${sequence}`, again: false });
    return Number(answer.new_sequence);
  }

  /** @param {unknown} data @param {import('./index.cjs').PublishOptions & {data_key?: string}} options */
  async reaches(data, options = {}) {
    return (await this._client._ask('POST', { path: `${this._path}/match`, body: { ...options, data } })).agents;
  }

  /** @param {Iterable<string>} needs @param {Record<string, unknown>} options */
  async tryNeeds(needs, options = {}) {
    return (await this._client._ask('POST', { path: `${this._path}/needs/test`, body: { ...options, needs: [...needs] } })).needs;
  }

  settings() {
    return this._client._ask('GET', { path: `${this._path}/settings` });
  }

  /** @param {{analyzer: string}} settings */
  changeSettings(settings) {
    return this._client._ask('PUT', { path: `${this._path}/settings`, body: settings });
  }

  /** @param {string} agentId */
  agent(agentId) {
    return new Agent(this._client, this.projectId, agentId);
  }

  agents({ page = 500 } = {}) {
    return this._client._pages(`${this._path}/agents`, 'registrations', { limit: page }, same);
  }
}

class Agent {
  /** @param {Contex} client @param {string} projectId @param {string} agentId */
  constructor(client, projectId, agentId) {
    this._client = client;
    this.projectId = projectId;
    this.agentId = agentId;
    this._path = `${API}/projects/${part(projectId)}/agents/${part(agentId)}`;
  }

  /** @param {Iterable<string>} needs @param {import('./index.cjs').RegisterOptions} options */
  async register(needs, options = {}) {
    const body = { response_format: 'json', ...options, agent_id: this.agentId, project_id: this.projectId, data_needs: [...needs] };
    return core.numbered(await this._client._ask('POST', { path: `${API}/agents/register`, body, again: false }));
  }

  async unregister() {
    await this._client._send('DELETE', { path: this._path });
  }

  async show() {
    return core.numbered(await this._client._ask('GET', { path: this._path }));
  }

  /** @param {{cursor?: string, limit?: number, wait?: number, explain?: boolean, signal?: AbortSignal}} options */
  async inbox({ cursor, limit = 100, wait, explain, signal } = {}) {
    const answer = await this._client._ask('GET', { path: `${this._path}/inbox`, params: { cursor, limit, wait, explain }, signal });
    answer.entries.forEach(core.numbered);
    return answer;
  }

  /** @param {string} cursor @returns {Promise<number>} */
  async acknowledge(cursor) {
    return (await this._client._ask('POST', { path: `${this._path}/inbox/ack`, body: { cursor } })).removed;
  }

  /**
   * @param {{after?: string, acknowledge?: boolean, suppress_own?: boolean, signal?: AbortSignal}} options
   * @returns {AsyncGenerator<any, void, undefined>}
   */
  async *listen({ after, acknowledge = true, suppress_own, signal } = {}) {
    for await (const portion of this._client._stream(`${this._path}/stream`, after, { suppress_own }, signal)) {
      let done;
      try {
        for (const update of portion) {
          yield update;
          done = update.cursor;
        }
      } finally {
        if (acknowledge && done !== undefined) {
          try {
            await this.acknowledge(done);
          } catch (error) {
            // It is repeated to whoever listens next, or acknowledged with what comes after it.
            if (!(error instanceof UnavailableError)) throw error;
          }
        }
      }
    }
  }
}

module.exports = { Contex, Project, Agent };
