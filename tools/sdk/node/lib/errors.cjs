'use strict';
// What can go wrong: one class for each category of the catalogue (docs/errors.md), and one for when there is no answer.

const { BY_STATUS, CODES } = require('./catalogue.cjs');

/** @typedef {import('./index.cjs').ErrorDetails} ErrorDetails */

class ContexError extends Error {
  /** @param {string} message @param {ErrorDetails} [details] */
  constructor(message, details = {}) {
    const advice = details.code && CODES[details.code] ? CODES[details.code][1] : undefined;
    const about = [details.code, details.requestId && `request ${details.requestId}`].filter(Boolean).join(', ');
    super(message + (about ? ` [${about}]` : '') + (advice ? `: ${advice}` : ''), { cause: details.cause });
    this.name = new.target.name;
    this.detail = message;
    this.code = details.code ?? '';
    this.category = /** @type {typeof ContexError} */ (new.target).category;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
    this.oldestCursor = details.oldestCursor;
    this.fields = details.fields ?? [];
    this.candidates = details.candidates ?? [];
    this.requiredPermission = details.requiredPermission;
    this.role = details.role;
    this.advice = advice;
  }

  /**
   * Whether the same may go better another time.
   * @returns {boolean}
   */
  get isPassing() {
    return (this instanceof LimitedError || this instanceof UnavailableError) && this.code !== 'deadline_exceeded' && this.code !== 'request_cancelled';
  }
}
ContexError.category = '';

class InvalidError extends ContexError {}
InvalidError.category = 'invalid';
class BadRequestError extends ContexError {}
BadRequestError.category = 'badRequest';
class UnauthenticatedError extends ContexError {}
UnauthenticatedError.category = 'unauthenticated';
class ForbiddenError extends ContexError {}
ForbiddenError.category = 'forbidden';
class NotFoundError extends ContexError {}
NotFoundError.category = 'notFound';
class ConflictError extends ContexError {}
ConflictError.category = 'conflict';
class TooLargeError extends ContexError {}
TooLargeError.category = 'tooLarge';
class LimitedError extends ContexError {}
LimitedError.category = 'limited';
class UnavailableError extends ContexError {}
UnavailableError.category = 'unavailable';
class StorageFullError extends ContexError {}
StorageFullError.category = 'storageFull';
class DamagedError extends ContexError {}
DamagedError.category = 'damaged';
class ServerFaultError extends ContexError {}
ServerFaultError.category = 'bug';

class NoAnswerError extends UnavailableError {
  /** @param {string} message @param {{mayBeDone: boolean, timedOut?: boolean, cause?: unknown}} how */
  constructor(message, how) {
    super(message, { code: how.timedOut ? 'deadline_exceeded' : 'unavailable', cause: how.cause });
    this.mayBeDone = how.mayBeDone;
  }
}

const CLASSES = [
  InvalidError, BadRequestError, UnauthenticatedError, ForbiddenError, NotFoundError, ConflictError, TooLargeError, LimitedError,
  UnavailableError, StorageFullError, DamagedError, ServerFaultError,
];

/**
 * By the code; of one that is not known, by the status.
 * @param {string} message @param {ErrorDetails} details
 */
function errorOf(message, details) {
  const { code, status } = details;
  const known = code ? CODES[code] : undefined;
  const category = known ? known[0] : status === undefined ? '' : BY_STATUS[status] ?? (status < 500 ? 'badRequest' : 'bug');
  const Kind = CLASSES.find((kind) => kind.category === category) ?? ContexError;
  return new Kind(message, details);
}

module.exports = {
  ContexError, InvalidError, BadRequestError, UnauthenticatedError, ForbiddenError, NotFoundError, ConflictError, TooLargeError, LimitedError,
  UnavailableError, StorageFullError, DamagedError, ServerFaultError, NoAnswerError, errorOf,
};
