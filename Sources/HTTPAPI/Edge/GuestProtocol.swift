public import Service

/// A protocol of its own whose messages come by POST over this listener. Edges do not know each other: Assembly brings who speaks it.
///
/// What a request goes through before its body is read (host, origin, key, size, memory) the guest's messages have gone through too.
public struct GuestProtocol: Sendable {
    public struct Post: Sendable {
        public let body: [UInt8]
        public let headers: [(name: String, value: String)]
        public let caller: Caller
        /// After so long without anything to say a stream says that.
        public let comment: Duration
        /// Around waiting: others are worked on in its place.
        public let hold: @Sendable (@escaping @Sendable () async -> Void) async -> Void

        /// Every value of a header.
        public func values(_ name: String) -> [String] { headers.filter { HeaderName.areSame($0.name, name) }.map(\.value) }
    }

    public enum Reply: Sendable {
        /// JSON; no bytes: there is nothing to say.
        case answer(status: Int, [UInt8])
        /// Server-sent events, a message each, until nil; an empty one is a comment.
        case events(@Sendable () async throws -> [UInt8]?)
    }

    let answer: @Sendable (Post) async -> Reply

    public init(answer: @escaping @Sendable (Post) async -> Reply) { self.answer = answer }
}
