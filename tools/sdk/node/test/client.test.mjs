// What the scenario does not say, against a real server: CONTEX_URL says where, CONTEX_KILL a file whose making has the server killed and
// started again (Tests/Conformance/test_sdk_others.py does it).
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as esm from '@contex/client';

const { Contex, ContexError, ForbiddenError, InvalidError, LimitedError, NoAnswerError, NotFoundError } = esm;
const unique = (name) => `${name}-${Math.random().toString(36).slice(2)}`;

test('import and require give the same classes', () => {
  const cjs = createRequire(import.meta.url)('@contex/client');
  assert.equal(cjs.ContexError, ContexError);
  assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort());
});

test('errors have code, class, request and advice', async () => {
  const shop = new Contex().project(unique('shop'));
  const error = await shop.get('nothing').catch((failure) => failure);
  assert.ok(error instanceof NotFoundError && error instanceof ContexError && error instanceof Error);
  assert.equal(error.code, 'data_not_found');
  assert.equal(error.name, 'NotFoundError');
  assert.match(error.message, /^Data key 'nothing' not found \[data_not_found, request \w+\]: publish it first/);
  await assert.rejects(shop.query('x', { top_k: 0 }), (refused) => refused instanceof InvalidError && refused.fields[0].loc.join('.') === 'body.top_k');
  assert.ok(!(error instanceof ForbiddenError) && !(error instanceof LimitedError) && !error.isPassing);
});

test('nobody there', async () => {
  const gone = net.createServer();
  await new Promise((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const { port } = gone.address();
  await new Promise((resolve) => gone.close(resolve));
  const client = new Contex({ url: `http://127.0.0.1:${port}`, attempts: 2, pause: 1 });
  await assert.rejects(client.project('p').publish('k', 1), (error) => error instanceof NoAnswerError && !error.mayBeDone);
});

/** Before the real server: cuts the first connections when so many bytes of an answer have come through. */
async function door(cuts, after) {
  const { hostname, port } = new URL(new Contex().url);
  const state = { opened: 0, cuts, after };
  const server = net.createServer((near) => {
    let bound = state.opened++ < state.cuts ? state.after : Infinity;
    const far = net.connect(Number(port), hostname);
    for (const side of [near, far]) side.on('error', () => {});
    near.on('data', (data) => far.write(data));
    near.on('close', () => far.destroy());
    far.on('data', (data) => {
      near.write(data.subarray(0, Math.min(bound, data.length)));
      bound -= data.length;
      if (bound <= 0) near.destroySoon();
    });
    far.on('end', () => near.end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { state, url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

for (const after of [0, 100, 700]) {
  test(`a read is tried again when the answer breaks after ${after} bytes, a publish is not`, async () => {
    const name = unique('door');
    await new Contex().project(name).publish('tech', { db: 'PostgreSQL', notes: 'x'.repeat(500) });
    const between = await door(2, after);
    const client = new Contex({ url: between.url, pause: 1 });
    assert.equal((await client.project(name).get('tech')).data.db, 'PostgreSQL');
    assert.ok(between.state.opened >= 3);
    Object.assign(between.state, { opened: 0, cuts: 1_000, after: 0 });
    const fresh = await door(1_000, 0);
    await assert.rejects(new Contex({ url: fresh.url, pause: 1 }).project(name).publish('tech', 1), (error) => error instanceof NoAnswerError && error.mayBeDone);
    assert.equal(fresh.state.opened, 1);
    between.close();
    fresh.close();
  });
}

test('time runs out, and a signal ends what waits', async () => {
  const agent = new Contex({ timeout: 200 }).project(unique('time')).agent('a');
  await agent.register(['what never comes']);
  await assert.rejects(agent.inbox({ wait: 30 }), (error) => error instanceof NoAnswerError && error.code === 'deadline_exceeded');
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 50);
  await assert.rejects(async () => {
    for await (const update of agent.listen({ signal: controller.signal })) assert.fail(JSON.stringify(update));
  }, /enough/);
  await assert.rejects(agent.inbox({ wait: 30, signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' });
});

test('listening goes on where it was when the server is killed', { skip: process.env.CONTEX_KILL ? false : 'nobody kills the server' }, async () => {
  const name = unique('kills');
  const client = new Contex({ pause: 50, attempts: 8 });
  const shop = client.project(name);
  await shop.agent('a').register(['release notes of the payment service']);
  const total = 45;
  const heard = [];
  const listening = (async () => {
    while (heard.at(-1) !== total) {
      for await (const update of shop.agent('a').listen()) {
        if (!heard.includes(update.sequence)) heard.push(update.sequence);
        if (update.sequence === total || Math.random() < 0.1) break;
      }
    }
  })();
  for (let n = 1; n <= total; ) {
    try {
      await shop.publish(`k${n}`, { text: 'release notes of the payment service', n });
      n++;
    } catch (error) {
      assert.ok(error instanceof NoAnswerError, error);
      await sleep(50);
    }
    if (n === 20) {
      writeFileSync(process.env.CONTEX_KILL, '');
      while (existsSync(process.env.CONTEX_KILL)) await sleep(10);
      n++;
      await shop.publish('k20', { text: 'release notes of the payment service', n: 20 });
    }
  }
  await listening;
  assert.deepEqual(heard, Array.from({ length: total }, (_, n) => n + 1));
});

test('what a loop went on from is acknowledged, what it broke off at is not', async () => {
  const shop = new Contex().project(unique('dealt'));
  const agent = shop.agent('a');
  await agent.register(['colour: red'], { mode: 'keyword' });
  for (let n = 0; n < 5; n++) await shop.publish(`c${n}`, { colour: 'red', n });
  const left = async () => (await agent.inbox()).entries.map((update) => update.data.n);
  for await (const update of agent.listen({ acknowledge: false })) if (update.data.n === 3) break;
  assert.deepEqual(await left(), [0, 1, 2, 3, 4]);
  for await (const update of agent.listen()) if (update.data.n === 2) break;
  assert.deepEqual(await left(), [2, 3, 4]);
  await assert.rejects(async () => {
    for await (const update of agent.listen()) if (update.data.n === 3) throw new RangeError('mine');
  }, RangeError);
  assert.deepEqual(await left(), [3, 4]);
});

test('a loop that throws closes its stream and hands the error on', async () => {
  const shop = new Contex().project(unique('throw'));
  await shop.publish('a', 1);
  await assert.rejects(async () => {
    for await (const event of shop.follow({ after: '0-0' })) throw new TypeError(`mine ${event.sequence}`);
  }, /mine 1/);
});
