// The scenario of all clients (tools/sdk/scenario.json) against a real server: CONTEX_URL says where.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { Contex, ContexError } from '@contex/client';

const AGENT = new Set(['register', 'unregister', 'show', 'inbox', 'acknowledge', 'listen']);
const CLIENT = new Set(['health', 'embed', 'request']);
// The arguments that a method takes by place; the others are its options.
const PLACES = {
  publish: ['data_key', 'data'], publish_many: ['items'], get: ['data_key'], delete: ['data_key'], query: ['text'], matches: ['text'], context: ['text'],
  query_many: ['questions'], embed: ['texts'], register: ['needs'], acknowledge: ['cursor'], reaches: ['data'], try_needs: ['needs'],
  history: ['data_key'], version: ['data_key', 'sequence'], difference: ['data_key', 'from_sequence', 'to_sequence'], restore: ['data_key', 'sequence'],
  request: ['method', 'path'],
};

function difference(expected, found, at = 'answer') {
  if (expected !== null && typeof expected === 'object' && !Array.isArray(expected)) {
    if (expected.any === true) return found !== null && found !== undefined ? undefined : `${at}: nothing there`;
    if ('least' in expected) return found >= expected.least ? undefined : `${at}: ${found}`;
    if ('count' in expected) return (found ?? []).length === expected.count ? undefined : `${at}: ${(found ?? []).length} items`;
    if ('has' in expected) return String(found).includes(expected.has) ? undefined : `${at}: ${found}`;
    for (const [name, value] of Object.entries(expected)) {
      const problem = difference(value, found?.[name], `${at}.${name}`);
      if (problem) return problem;
    }
    return undefined;
  }
  if (Array.isArray(expected)) {
    if (expected.length !== (found ?? []).length) return `${at}: ${(found ?? []).length} items, not ${expected.length}`;
    for (const [place, value] of expected.entries()) {
      const problem = difference(value, found[place], `${at}[${place}]`);
      if (problem) return problem;
    }
    return undefined;
  }
  return expected === (found ?? null) ? undefined : `${at}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`;
}

function told(value) {
  if (value instanceof ContexError) {
    const { code, category, status, requestId, advice, fields, oldestCursor } = value;
    return { error: { code, category, status, request_id: requestId, advice, fields, oldest_cursor: oldestCursor } };
  }
  return Array.isArray(value) ? value.map(told) : value;
}

function filled(value, names) {
  if (typeof value === 'string') return value.replace(/\{(\w+)\}/g, (whole, name) => names[name] ?? whole);
  if (Array.isArray(value)) return value.map((item) => filled(item, names));
  if (value !== null && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, names)]));
  return value;
}

test('the scenario', async () => {
  const { steps } = JSON.parse(await readFile(new URL('../../scenario.json', import.meta.url), 'utf8'));
  const client = new Contex();
  const names = { project: `node-${Math.random().toString(36).slice(2)}` };
  const project = client.project(names.project);
  for (const step of steps) {
    const { agent, ...given } = filled(step.with ?? {}, names);
    const target = CLIENT.has(step.call) ? client : AGENT.has(step.call) ? project.agent(agent) : project;
    const places = PLACES[step.call] ?? [];
    const options = Object.fromEntries(Object.entries(given).filter(([name]) => !places.includes(name)));
    const parameters = [...places.map((name) => given[name]), ...(Object.keys(options).length ? [options] : [])];
    const method = step.call.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    let found;
    let problem;
    try {
      found = target[method](...parameters);
      if (found[Symbol.asyncIterator]) {
        const items = [];
        const wanted = (step.items ?? []).length + (step.whole ? 1 : 0);
        for await (const item of found) if (items.push(item) === wanted) break;
        found = items;
      } else found = await found;
      problem = step.error ? `no error but ${JSON.stringify(found)}` : step.items ?? step.answer ? difference(step.items ?? step.answer, told(found)) : undefined;
    } catch (error) {
      if (!(error instanceof ContexError) || !step.error) throw new Error(step.name, { cause: error });
      problem = difference(step.error, told(error).error, 'error');
    }
    assert.equal(problem, undefined, `${step.name}: ${problem}`);
    for (const [name, path] of Object.entries(step.save ?? {})) names[name] = path.reduce((value, part) => value[part], found);
  }
});
