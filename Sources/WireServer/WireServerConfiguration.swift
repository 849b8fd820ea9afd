public import Base

/// Where the listener of the binary protocol listens and what it bears.
public struct WireServerConfiguration: Sendable {
    /// What the server calls itself.
    public var server: String
    /// Bytes of a message, as of a body over HTTP.
    public var messageBytesMax: Int
    public var bounds: Bounds

    public struct Bounds: Sendable {
        /// Bytes of a frame's payload that comes; longer messages come in several.
        public var frameBytesMax = 256 << 10
        /// Connections: in all, of one address or key, and of those that have yet to say who they are.
        public var connectionsMax = 20_000
        public var connectionsPerOwnerMax = 10_000
        public var strangersMax = 1_000
        public var strangersPerAddressMax = 100
        /// Requests that are worked on: of one connection, of one address, in all. A cancelled one counts until its work has ended.
        public var requestsPerConnectionMax = 256
        public var requestsPerAddressMax = 512
        public var requestsMax = 1_024
        public var subscriptionsPerConnectionMax = 256
        /// Messages of several frames that may be on their way at once on a connection.
        public var partialMessagesMax = 16
        /// A connection that has not said who it is after so long is closed.
        public var greetingSeconds = 10
        /// One that takes nothing of what waits for it, and one whose message does not come to its end, after so long.
        public var stallSeconds = 30
        /// How long a message may wait for memory.
        public var memoryWait = Duration.seconds(10)

        public init() {}
    }

    public init(server: String, messageBytesMax: Int = Limits.bodyBytes, bounds: Bounds = Bounds()) {
        self.server = server
        self.messageBytesMax = messageBytesMax
        self.bounds = bounds
    }
}
