/// Frames out of bytes, wherever the network has cut these apart. Limits hold before memory is taken for what they bound.
public struct FrameDecoder: Sendable {
    /// Bytes of a payload.
    public var payloadMax: Int
    /// Whether payloads may be packed: both sides have agreed on it.
    public var takesPacked = false
    private var bytes: [UInt8] = []
    private var start = 0
    private var isPrefaceMissing: Bool
    private var fault: WireFault?

    /// An emptied buffer that grew beyond this is given back.
    private static let keptBytes = 64 << 10

    /// - Parameter preface: whether the other side begins with one: a client does.
    public init(payloadMax: Int, expectingPreface preface: Bool) {
        self.payloadMax = payloadMax
        isPrefaceMissing = preface
    }

    /// Bytes that no frame has been made of yet.
    public var bufferedBytes: Int { bytes.count - start }

    public mutating func feed(_ more: some Collection<UInt8>) {
        if start == bytes.count {
            bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytes)
            start = 0
        } else if start > Self.keptBytes, start > bytes.count / 2 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    /// The next whole frame, nil when more bytes are needed.
    /// - Throws: the same fault again and again once the bytes were not the protocol.
    /// - Complexity: O(bytes of the frame)
    public mutating func next() throws(WireFault) -> Frame? {
        if let fault { throw fault }
        do throws(WireFault) {
            if isPrefaceMissing, try !takePreface() { return nil }
            return try frame()
        } catch {
            fault = error
            throw error
        }
    }

    /// Whether it is there. A first byte that is another is enough: whoever speaks HTTP here waits for an answer.
    private mutating func takePreface() throws(WireFault) -> Bool {
        let preface = Frame.preface
        let come = bytes[start...].prefix(preface.count)
        guard come.elementsEqual(preface.prefix(come.count)) else { throw .preface }
        guard come.count == preface.count else { return false }
        start += preface.count
        isPrefaceMissing = false
        return true
    }

    private mutating func frame() throws(WireFault) -> Frame? {
        guard bufferedBytes >= Frame.headBytes else { return nil }
        let length = Int(number(at: start))
        guard length <= payloadMax else { throw .frameTooLarge(bytes: length, most: payloadMax) }
        // What will be refused is not waited for.
        guard let kind = Frame.Kind(rawValue: bytes[start + 4]) else { throw .unknownKind(bytes[start + 4]) }
        let flags = Frame.Flags(rawValue: bytes[start + 5])
        let stream = number(at: start + 6)
        let end = start + Frame.headBytes + length
        guard bytes.count >= end + Frame.tailBytes else { return nil }
        guard Frame.sum(bytes, start..<end) == number(at: end) else { throw .checksum }
        guard flags.isSubset(of: takesPacked ? .known.union(.packed) : .known) else { throw .unknownFlags(flags.rawValue) }
        guard kind.isOfConnection ? stream == 0 : stream > 0 || kind == .error else { throw .misplaced(kind) }
        guard flags.isDisjoint(with: [.more, .packed]) || kind.mayGoOn, !flags.contains(.open) || kind == .answer else { throw .unknownFlags(flags.rawValue) }
        defer { start = end + Frame.tailBytes }
        return Frame(kind, flags, stream: stream, payload: Array(bytes[start + Frame.headBytes..<end]))
    }

    private func number(at place: Int) -> UInt32 {
        UInt32(bytes[place]) << 24 | UInt32(bytes[place + 1]) << 16 | UInt32(bytes[place + 2]) << 8 | UInt32(bytes[place + 3])
    }
}

/// Whole messages out of frames: those of several streams may come mixed.
public struct MessageAssembler: Sendable {
    private struct Part {
        let kind: Frame.Kind
        var payload: [UInt8]
    }
    /// Bytes of one message.
    private let bytesMax: Int
    /// Messages that have begun and not ended.
    private let partialMax: Int
    private var parts: [UInt32: Part] = [:]
    /// Of messages that have not come to their end.
    public private(set) var bufferedBytes = 0

    public init(bytesMax: Int, partialMax: Int) {
        self.bytesMax = bytesMax
        self.partialMax = partialMax
    }

    /// The streams of messages that have begun.
    public var streams: some Swift.Sequence<UInt32> { parts.keys }

    /// A frame that has the whole message; nil when more are needed.
    public mutating func take(_ frame: Frame) throws(WireFault) -> Frame? {
        guard frame.kind.mayGoOn else { return frame }
        let isLast = !frame.flags.contains(.more)
        guard var part = parts[frame.stream] else {
            guard frame.payload.count <= bytesMax else { throw .messageTooLarge(most: bytesMax) }
            if isLast { return frame }
            guard parts.count < partialMax else { throw .tooManyPartial(most: partialMax) }
            parts[frame.stream] = Part(kind: frame.kind, payload: frame.payload)
            bufferedBytes += frame.payload.count
            return nil
        }
        guard part.kind == frame.kind else { throw .misplaced(frame.kind) }
        guard part.payload.count + frame.payload.count <= bytesMax else { throw .messageTooLarge(most: bytesMax) }
        parts[frame.stream] = nil
        part.payload += frame.payload
        bufferedBytes += frame.payload.count
        guard isLast else {
            parts[frame.stream] = part
            return nil
        }
        bufferedBytes -= part.payload.count
        return Frame(frame.kind, frame.flags, stream: frame.stream, payload: part.payload)
    }

    /// What has come of a message is not wanted any more.
    public mutating func forget(_ stream: UInt32) {
        if let part = parts.removeValue(forKey: stream) { bufferedBytes -= part.payload.count }
    }
}
