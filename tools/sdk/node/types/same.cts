// What is declared is what is there: the sources, as their own types say, must be assignable to the declarations.
import declared = require('../lib/index.cjs');
import client = require('../lib/client.cjs');
import errors = require('../lib/errors.cjs');

export const contex: new (options?: declared.ContexOptions | string) => declared.Contex = client.Contex;
export const project: declared.Project = new client.Project(new client.Contex(), 'p');
export const agent: declared.Agent = project.agent('a');
export const failures: (new (message: string, details?: declared.ErrorDetails) => declared.ContexError)[] = [
  errors.ContexError, errors.InvalidError, errors.BadRequestError, errors.UnauthenticatedError, errors.ForbiddenError, errors.NotFoundError,
  errors.ConflictError, errors.TooLargeError, errors.LimitedError, errors.UnavailableError, errors.StorageFullError, errors.DamagedError,
  errors.ServerFaultError,
];
export const lost: declared.NoAnswerError = new errors.NoAnswerError('x', { mayBeDone: true });
