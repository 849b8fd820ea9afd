// How programs use it, as TypeScript sees it. Each line marked as an error must be one.
import { Contex, ContexError, NotFoundError, type Answer, type Update } from '../index.mjs';

const contex = new Contex({ url: 'http://localhost:8001', timeout: 1_000 });
const shop = contex.project('shop');

export async function use(): Promise<number> {
  const receipt = await shop.publish('tech', { db: 'LMDB' }, { metadata: { team: 'core' } });
  const answer: Answer = await shop.query('which database', { top_k: 3, filter: { 'metadata.team': 'core' }, mode: 'hybrid' });
  for await (const update of shop.agent('a').listen({ signal: new AbortController().signal })) {
    const told: Update = update;
    if (told.reason === 'deletion') break;
  }
  for (const outcome of await shop.publishMany([{ data_key: 'a', data: 1 }])) {
    if (outcome instanceof ContexError) throw outcome;
    else console.log(outcome.sequence.toFixed());
  }
  try {
    await shop.get('nothing');
  } catch (error) {
    if (error instanceof NotFoundError) console.log(error.code, error.requestId?.length, error.advice);
  }
  // @ts-expect-error: no such option
  await shop.query('x', { topk: 3 });
  // @ts-expect-error: no such mode
  await shop.query('x', { mode: 'psychic' });
  // @ts-expect-error: an item needs its key
  await shop.publishMany([{ data: 1 }]);
  // @ts-expect-error: a sequence is a number
  const text: string = receipt.sequence;
  return answer.matches[0].similarity + text.length;
}
