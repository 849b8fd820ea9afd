internal import Base

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
        self.init(error.category.row.exit, error.message)
    }

    /// What a server answered instead of success.
    /// - Parameter code: `X-Contex-Error`; nil or one that this build does not know: the status decides.
    init(httpStatus: Int, code: String?, message: String) {
        let category = code.flatMap(ErrorCode.init(rawValue:))?.category ?? ContexError.Category(httpStatus: httpStatus)
        self.init(category.row.exit, message)
    }
}
