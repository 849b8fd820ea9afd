// The error catalogue: one struct, split by what the caller can do about it.

/// What went wrong, for a caller who must decide what to do. A struct over private storage, so that it can grow.
public struct ContexError: Error, Sendable, CustomStringConvertible {
    /// Decides HTTP status, exit code, words of the protocols and whether a retry can help: `Category.row` is the only such table.
    public enum Category: String, Sendable, CaseIterable {
        /// The request is malformed: mend it.
        case invalid
        /// The request is understood and refused as it stands (an import of the wrong project).
        case badRequest
        /// No or wrong credentials.
        case unauthenticated
        /// Valid credentials without the right.
        case forbidden
        case notFound
        /// The state does not allow it now.
        case conflict
        /// Over a size limit.
        case tooLarge
        /// Over a rate or quota.
        case limited
        /// The server cannot now: starting, stopping, queue full. Retry.
        case unavailable
        /// The disk or the map is full: reads go on.
        case storageFull
        /// Stored bytes fail their seal or contradict each other; `contex check` tells more.
        case damaged
        /// A bug of ours; text only in the log.
        case bug
    }

    public let code: ErrorCode
    public var category: Category { code.category }
    /// For the person who reads it: what was wrong, where, and what to do.
    public let message: String
    /// With `.invalid`: the field, FastAPI's error type, and what more the adapter shows.
    public let field: String?
    public let kind: String?
    /// With `.forbidden`: the permission that was missing and the role that was there.
    public let requiredPermission: String?
    public let role: String?
    /// With `.damaged`: the project whose data it is.
    public let project: String?
    /// With `.conflict`: what the caller may have meant, some of it.
    public let candidates: [String]
    /// With a cursor that no longer works: the oldest one that does.
    public let oldestCursor: String?
    /// With `.rateLimited`: what the caller's rate is, and when there is room again.
    public var standing: RateStanding? = nil
    /// With `.quotaExceeded`: which one, and when there is more of it.
    public var quota: QuotaStanding? = nil
    /// Whether audit and meter have seen it: an adapter that meets it on its way out must not tell them again.
    public var isRecorded = false

    public init(
        _ code: ErrorCode, _ message: String, field: String? = nil, kind: String? = nil,
        requiredPermission: String? = nil, role: String? = nil, project: String? = nil, candidates: [String] = [], oldestCursor: String? = nil
    ) {
        self.code = code
        self.message = message
        self.field = field
        self.kind = kind
        self.requiredPermission = requiredPermission
        self.role = role
        self.project = project
        self.candidates = candidates
        self.oldestCursor = oldestCursor
    }

    public static func invalid(
        _ code: ErrorCode = .invalid, field: String, kind: String, message: String, oldestCursor: String? = nil
    ) -> ContexError {
        ContexError(code, message, field: field, kind: kind, oldestCursor: oldestCursor)
    }
    public static func notFound(_ message: String) -> ContexError { ContexError(.notFound, message) }
    public static func badRequest(_ message: String) -> ContexError { ContexError(.badRequest, message) }
    public static func damaged(_ message: String) -> ContexError { ContexError(.damaged, message) }

    /// Damage, with the project that it was met in; any other error as it is.
    public func damage(in project: Name) -> ContexError {
        category == .damaged && self.project == nil ? ContexError(code, "project '\(project)': \(message)", project: project.text) : self
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
