// The same classes as for `require`, so that an error of the one is an error of the other.
import contex from './lib/index.cjs';

export const {
  Contex, Project, Agent, ContexError, InvalidError, BadRequestError, UnauthenticatedError, ForbiddenError, NotFoundError, ConflictError,
  TooLargeError, LimitedError, UnavailableError, StorageFullError, DamagedError, ServerFaultError, NoAnswerError,
} = contex;
