// Requests of clients, byte by byte if need be: arrays of bulk strings, and lines of words for people with telnet. The
// result is the same wherever the network cuts the bytes apart. Limits hold before memory is taken for what they bound.

public struct RESPCommandLimits: Sendable {
    /// Arguments of one command, its name included.
    public var argumentsMax: Int
    public var bulkBytesMax: Int
    /// All arguments of one command together.
    public var commandBytesMax: Int
    /// A line: an inline command, or the count before an argument.
    public var lineBytesMax: Int
    /// Whether the peer has yet to authenticate, which only decides the text of errors.
    public var unauthenticated: Bool

    /// - Parameter argumentsMax: Room for ten thousand channels in one SUBSCRIBE.
    public init(
        argumentsMax: Int = 16_384, bulkBytesMax: Int = 1 << 20, commandBytesMax: Int = 2 << 20, lineBytesMax: Int = 64 << 10,
        unauthenticated: Bool = false
    ) {
        self.argumentsMax = argumentsMax
        self.bulkBytesMax = bulkBytesMax
        self.commandBytesMax = commandBytesMax
        self.lineBytesMax = lineBytesMax
        self.unauthenticated = unauthenticated
    }

    /// What Redis allows to strangers: ten arguments of 16 KiB, enough for HELLO and AUTH.
    public static let unauthenticated = RESPCommandLimits(argumentsMax: 10, bulkBytesMax: 16_384, unauthenticated: true)
}

public struct RESPCommandParser: Sendable {
    /// May change between two commands.
    public var limits: RESPCommandLimits
    private var buffer = RESPBuffer()
    private var arguments: [[UInt8]] = []
    private var missing = 0
    private var commandBytes = 0
    /// Of `arguments`, with what keeps them.
    private var argumentBytes = 0
    private var bulkLength: Int?
    private var failure: RESPProtocolError?

    private static let argumentOverhead = 48

    public init(limits: RESPCommandLimits = .init()) { self.limits = limits }

    /// Bytes that no command has been made of yet.
    public var bufferedBytes: Int { buffer.count + argumentBytes }

    public mutating func feed(_ bytes: some Collection<UInt8>) { buffer.append(bytes) }

    /// The next whole command, nil when more bytes are needed. Never an empty array.
    /// - Throws: The same error again and again once the bytes were not the protocol.
    /// - Complexity: O(bytes of the command), over all calls that it takes.
    public mutating func next() throws(RESPProtocolError) -> [[UInt8]]? {
        if let failure { throw failure }
        do throws(RESPProtocolError) {
            return try command()
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func command() throws(RESPProtocolError) -> [[UInt8]]? {
        while missing == 0 {
            guard let first = buffer.first else { return nil }
            if first == UInt8(ascii: "*") {
                guard let line = try line(orThrow: .multibulkCountTooBig) else { return nil }
                missing = try length(line.dropFirst())
            } else {
                guard let line = try line(orThrow: .inlineTooBig) else { return nil }
                let words = try RESPInlineCommand.words(RESPBuffer.content(line) ?? line)
                if !words.isEmpty { return words }
            }
        }
        while missing > 0 {
            if bulkLength == nil {
                guard let line = try line(orThrow: .bulkCountTooBig) else { return nil }
                bulkLength = try bulkLength(of: line)
            }
            guard let length = bulkLength, let argument = try buffer.counted(length) else { return nil }
            arguments.append(argument)
            argumentBytes += argument.count + Self.argumentOverhead
            bulkLength = nil
            missing -= 1
        }
        defer {
            arguments = []
            (commandBytes, argumentBytes) = (0, 0)
        }
        return arguments
    }

    private mutating func line(orThrow error: RESPProtocolError) throws(RESPProtocolError) -> ArraySlice<UInt8>? {
        guard let line = buffer.line() else {
            if buffer.count > limits.lineBytesMax { throw error }
            return nil
        }
        if line.count > limits.lineBytesMax { throw error }
        return line
    }

    /// Arguments that follow; none for zero and less, as Redis has it.
    private func length(_ line: ArraySlice<UInt8>) throws(RESPProtocolError) -> Int {
        guard let content = RESPBuffer.content(line), let length = RESPBuffer.integer(content) else { throw .invalidMultibulkLength }
        guard length <= limits.argumentsMax else {
            throw limits.unauthenticated ? .unauthenticatedMultibulkLength : .invalidMultibulkLength
        }
        return max(0, Int(length))
    }

    private mutating func bulkLength(of line: ArraySlice<UInt8>) throws(RESPProtocolError) -> Int {
        guard line.first == UInt8(ascii: "$") else { throw .expectedBulk(got: line.first ?? 0x0A) }
        guard let content = RESPBuffer.content(line.dropFirst()), let length = RESPBuffer.integer(content), length >= 0
        else { throw .invalidBulkLength }
        guard length <= limits.bulkBytesMax else {
            throw limits.unauthenticated ? .unauthenticatedBulkLength : .invalidBulkLength
        }
        commandBytes += Int(length)
        guard commandBytes <= limits.commandBytesMax else { throw .commandTooBig }
        return Int(length)
    }
}
