// What a category is at every door: the one table of HTTP statuses, exit codes, error words of the Redis protocol and codes of the wire.
// No adapter has a table of its own.

/// What a command of the command line ends with, for scripts.
public enum ExitStatus: Int32, Sendable {
    case done = 0
    case failed = 1
    case usage = 2
    case notFound = 3
    case conflict = 4
    case refused = 5
    case unreachable = 6
}

extension ContexError.Category {
    public struct Row: Sendable {
        public let httpStatus: Int
        public let exit: ExitStatus
        /// The first word of an error reply: one of those that Redis's clients know.
        public let respWord: String
        /// Of the binary protocol. Never given again to another category.
        public let wireCode: UInt8
        /// What `Retry-After` says; nil: the same again brings the same answer.
        public let retrySeconds: Int?
    }

    public var row: Row {
        switch self {
        case .invalid: Row(httpStatus: 422, exit: .usage, respWord: "ERR", wireCode: 1, retrySeconds: nil)
        case .badRequest: Row(httpStatus: 400, exit: .usage, respWord: "ERR", wireCode: 2, retrySeconds: nil)
        case .unauthenticated: Row(httpStatus: 401, exit: .refused, respWord: "NOAUTH", wireCode: 3, retrySeconds: nil)
        case .forbidden: Row(httpStatus: 403, exit: .refused, respWord: "NOPERM", wireCode: 4, retrySeconds: nil)
        case .notFound: Row(httpStatus: 404, exit: .notFound, respWord: "ERR", wireCode: 5, retrySeconds: nil)
        case .conflict: Row(httpStatus: 409, exit: .conflict, respWord: "ERR", wireCode: 6, retrySeconds: nil)
        case .tooLarge: Row(httpStatus: 413, exit: .failed, respWord: "ERR", wireCode: 7, retrySeconds: nil)
        case .limited: Row(httpStatus: 429, exit: .failed, respWord: "ERR", wireCode: 8, retrySeconds: 60)
        case .unavailable: Row(httpStatus: 503, exit: .failed, respWord: "ERR", wireCode: 9, retrySeconds: 1)
        case .storageFull: Row(httpStatus: 507, exit: .failed, respWord: "ERR", wireCode: 10, retrySeconds: nil)
        case .damaged: Row(httpStatus: 500, exit: .failed, respWord: "ERR", wireCode: 11, retrySeconds: nil)
        case .bug: Row(httpStatus: 500, exit: .failed, respWord: "ERR", wireCode: 12, retrySeconds: nil)
        }
    }

    /// The code of whatever has no narrower one.
    public var generalCode: ErrorCode {
        switch self {
        case .invalid: .invalid
        case .badRequest: .badRequest
        case .unauthenticated: .keyMissing
        case .forbidden: .forbidden
        case .notFound: .notFound
        case .conflict: .conflict
        case .tooLarge: .tooLarge
        case .limited: .limited
        case .unavailable: .unavailable
        case .storageFull: .storageFull
        case .damaged: .damaged
        case .bug: .bug
        }
    }

    /// The category that a code of the binary protocol stands for.
    public init?(wireCode: UInt64) {
        guard let category = Self.allCases.first(where: { UInt64($0.row.wireCode) == wireCode }) else { return nil }
        self = category
    }

    /// The category that a status stands for, when nothing says more: of an answer that came through a proxy, say.
    public init(httpStatus: Int) {
        let own = ErrorCode.allCases.first { $0.ownHTTPStatus == httpStatus }?.category
        self = own ?? Self.allCases.first { $0.row.httpStatus == httpStatus } ?? (httpStatus < 500 ? .badRequest : .unavailable)
    }
}

extension ErrorCode {
    /// Where HTTP has a status for exactly this.
    public var ownHTTPStatus: Int? {
        switch self {
        case .methodNotAllowed: 405
        case .matchesGone, .cursorExpired, .historyTrimmed: 410
        case .targetTooLong: 414
        case .mediaTypeUnsupported, .codingUnsupported: 415
        case .hostUnknown: 421
        case .upgradeRequired: 426
        case .headersTooLarge: 431
        case .transferCodingUnsupported: 501
        default: nil
        }
    }

    public var httpStatus: Int { ownHTTPStatus ?? category.row.httpStatus }
}

extension ContexError {
    /// As an error reply of the Redis protocol says it.
    public var respText: String { "\(category.row.respWord) \(message)" }
}
