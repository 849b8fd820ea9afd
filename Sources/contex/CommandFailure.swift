internal import Base

/// What a command ends with, for scripts.
enum ExitStatus: Int32 {
    case done = 0
    case failed = 1
    case usage = 2
    case notFound = 3
    case conflict = 4
    case refused = 5
    case unreachable = 6
}

/// Why a command did not do what it was told: one line for the person, a number for the script.
struct CommandFailure: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// What a part of the server threw in this process.
    init(_ error: any Error) {
        guard let error = error as? ContexError else {
            self.init(.failed, "\(error)")
            return
        }
        let status: ExitStatus =
            switch error.category {
            case .invalid, .badRequest: .usage
            case .notFound: .notFound
            case .conflict: .conflict
            // Forbidden by the system, as a port below 1024 is; nobody is asked for a key in the same process.
            case .unauthenticated, .forbidden, .tooLarge, .limited, .unavailable, .storageFull, .damaged, .bug: .failed
            }
        self.init(status, error.message)
    }

    /// What a server answered instead of success.
    init(httpStatus: Int, message: String) {
        let status: ExitStatus =
            switch httpStatus {
            case 401, 403: .refused
            case 404: .notFound
            case 409: .conflict
            default: .failed
            }
        self.init(status, message)
    }
}
