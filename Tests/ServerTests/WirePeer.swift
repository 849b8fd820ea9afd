// A client of the binary protocol that sends what it is told, frame by frame or byte by byte. Blocking: used off the pool (`offPool`).

import Assembly
import Base
import Foundation
import TestSupport
import Wire

final class WirePeer {
    let raw: RawConnection
    private var decoder = FrameDecoder(payloadMax: 1 << 20, expectingPreface: false)
    private var assembler = MessageAssembler(bytesMax: 64 << 20, partialMax: 1_000)

    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter greets: says HELLO and waits for the answer.
    init(_ address: Server.Address, apiKey: String? = nil, greets: Bool = true, receiveBytes: Int? = nil) throws {
        raw = try RawConnection(port: address.port, receiveBytes: receiveBytes)
        guard greets else { return }
        raw.send(Self.hello(apiKey: apiKey))
        let welcome = try next()
        guard welcome.kind == .welcome else { throw Missing(description: "a \(welcome.kind) instead of WELCOME") }
    }

    static func hello(apiKey: String? = nil, versions: ClosedRange<UInt64> = 1...1) -> [UInt8] {
        var hello = WireHello()
        (hello.versionMin, hello.versionMax, hello.apiKey, hello.client) = (versions.lowerBound, versions.upperBound, apiKey, "tests")
        var bytes = Frame.preface
        Frame.append(.hello, stream: 0, hello.encoded[...], to: &bytes)
        return bytes
    }

    func send(_ frames: Frame...) {
        var bytes: [UInt8] = []
        for frame in frames { frame.append(to: &bytes) }
        raw.send(bytes)
    }

    func request(_ operation: WireOperation, _ message: some WireMessage, stream: UInt32, deadline: UInt64? = nil) {
        var bytes: [UInt8] = []
        Frame.append(
            message: WireRequest(operation, deadlineMilliseconds: deadline, body: message.encoded).encoded, .request, stream: stream, pieceBytes: 64 << 10,
            to: &bytes)
        raw.send(bytes)
    }

    /// The next message; throws when none comes.
    func next() throws -> Frame {
        while true {
            while let frame = try decoder.next() {
                if let whole = try assembler.take(frame) { return whole }
            }
            guard let bytes = raw.next() else { throw Missing(description: "the connection has ended, or nothing comes") }
            decoder.feed(bytes)
        }
    }

    /// All that comes until the end.
    func rest() -> [Frame] {
        var frames: [Frame] = []
        while let frame = try? next() { frames.append(frame) }
        return frames
    }

    /// The code of the refusal that ends a stream.
    func refusal(_ frame: Frame) -> String {
        guard frame.kind == .error else { return "\(frame.kind)" }
        return (try? WireError(decoding: frame.payload).code) ?? "unreadable"
    }
}

/// Runs what blocks on a thread of its own.
func offPool<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
