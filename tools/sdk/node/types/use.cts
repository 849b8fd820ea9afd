import { Contex, NoAnswerError } from '../lib/index.cjs';

export async function health(): Promise<boolean> {
  try {
    return (await new Contex().health()).status === 'healthy';
  } catch (error) {
    return error instanceof NoAnswerError && error.mayBeDone;
  }
}
