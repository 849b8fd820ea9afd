public import Base

/// When published data ends by itself, as requests say it.
public enum DataEnd {
    /// - Parameters:
    ///   - lifetime: seconds from now on, at least one.
    ///   - end: ISO 8601.
    /// - Throws: `.invalid` for both of them, and for a text that is no time.
    public static func time(lifetime: Int?, end: String?, at now: Timestamp) throws(ContexError) -> Timestamp? {
        switch (lifetime, end) {
        case (nil, nil): return nil
        case (let seconds?, nil): return Timestamp(rawValue: now.rawValue + Int64(seconds) * 1_000_000)
        case (nil, let text?):
            guard case .time(let time)? = Moment(text) else {
                throw .invalid(field: "expires_at", kind: "value_error", message: "Value error, expires_at must be a time (ISO 8601)")
            }
            return time
        case (_?, _?):
            throw .invalid(field: "expires_at", kind: "value_error", message: "Value error, give ttl_seconds or expires_at, not both")
        }
    }
}
