import Base
import TestSupport
import Testing
import Wire

@Suite struct FrameTests {
    /// All that a decoder makes of the pieces: its frames, then its fault.
    private func frames(_ pieces: [[UInt8]], payloadMax: Int = 1_000, preface: Bool = false) -> ([Frame], WireFault?) {
        var decoder = FrameDecoder(payloadMax: payloadMax, expectingPreface: preface)
        var found: [Frame] = []
        for piece in pieces {
            decoder.feed(piece)
            do throws(WireFault) {
                while let frame = try decoder.next() { found.append(frame) }
            } catch {
                return (found, error)
            }
        }
        return (found, nil)
    }

    private func bytes(_ frames: [Frame]) -> [UInt8] {
        var bytes: [UInt8] = []
        for frame in frames { frame.append(to: &bytes) }
        return bytes
    }

    private static let examples: [Frame] = [
        Frame(.hello, payload: [8, 1]), Frame(.ping, payload: Array("12345678".utf8)), Frame(.request, stream: 1, payload: Array(0..<200)),
        Frame(.request, .more, stream: .max, payload: [1]), Frame(.answer, .open, stream: 7), Frame(.error, payload: [8, 2]), Frame(.cancel, stream: 9),
    ]

    @Test func framesComeBackHoweverTheyAreCut() {
        let whole = bytes(Self.examples)
        for step in [1, 2, 3, 7, 14, 64, whole.count] {
            let pieces = stride(from: 0, to: whole.count, by: step).map { Array(whole[$0..<min(whole.count, $0 + step)]) }
            #expect(frames(pieces) == (Self.examples, nil), "step \(step)")
        }
        #expect(frames([Frame.preface + whole], preface: true) == (Self.examples, nil))
        #expect(frames((Frame.preface + whole).map { [$0] }, preface: true) == (Self.examples, nil))
    }

    /// Half a frame is none, and no error: more may come.
    @Test func everyTruncationWaits() {
        for example in Self.examples {
            let whole = bytes([example])
            for count in 0..<whole.count { #expect(frames([Array(whole.prefix(count))]) == ([], nil)) }
        }
    }

    /// Whatever byte changes, no frame comes of it: it is an error, or a frame that says that it is longer than what came.
    @Test func everyFlippedBitIsFound() {
        for example in Self.examples {
            let whole = bytes([example])
            for place in whole.indices {
                for bit in 0..<8 {
                    var changed = whole
                    changed[place] ^= 1 << UInt8(bit)
                    let (found, fault) = frames([changed])
                    #expect(found.isEmpty, "\(example.kind), byte \(place), bit \(bit)")
                    if place >= 4 { #expect(fault != nil, "\(example.kind), byte \(place), bit \(bit)") }
                    // The next frames push the damage to its end.
                    let (later, sooner) = frames([changed, [UInt8](repeating: 0, count: 1_100)])
                    #expect(later.isEmpty && sooner != nil, "\(example.kind), byte \(place), bit \(bit)")
                }
            }
        }
    }

    @Test func whatHasNoPlaceIsRefused() {
        func fault(_ frame: Frame, payloadMax: Int = 100) -> WireFault? { frames([bytes([frame])], payloadMax: payloadMax).1 }
        #expect(fault(Frame(.request, stream: 0)) == .misplaced(.request))
        #expect(fault(Frame(.ping, stream: 3)) == .misplaced(.ping))
        #expect(fault(Frame(.request, .open, stream: 3)) == .unknownFlags(2))
        #expect(fault(Frame(.cancel, .more, stream: 3)) == .unknownFlags(1))
        #expect(fault(Frame(.answer, .init(rawValue: 4), stream: 3)) == .unknownFlags(4))
        #expect(fault(Frame(.request, stream: 1, payload: Array(0..<101))) == .frameTooLarge(bytes: 101, most: 100))
        // An unknown kind is refused by its head: nobody waits for what it announces.
        var unknown = bytes([Frame(.ping)])
        unknown[4] = 99
        #expect(frames([Array(unknown.prefix(10))]).1 == .unknownKind(99))
        var huge = bytes([Frame(.ping)])
        huge.replaceSubrange(0..<4, with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(frames([Array(huge.prefix(10))]).1 == .frameTooLarge(bytes: Int(UInt32.max), most: 1_000))
        #expect(frames([Array("GET / HTTP/1.1".utf8)], preface: true).1 == .preface)
        #expect(frames([Array("CONTEX/2".utf8)], preface: true).1 == .preface)
        // Once broken it stays so.
        var decoder = FrameDecoder(payloadMax: 10, expectingPreface: true)
        decoder.feed(Array("x".utf8))
        for _ in 0..<2 { #expect(throws: WireFault.preface) { try decoder.next() } }
    }

    @Test func messagesOfSeveralFramesComeTogether() throws {
        var assembler = MessageAssembler(bytesMax: 30, partialMax: 2)
        var sent: [UInt8] = []
        Frame.append(message: Array(0..<25), .request, stream: 1, pieceBytes: 10, to: &sent)
        let parts = frames([sent]).0
        #expect(parts.map(\.payload.count) == [10, 10, 5] && parts.map { $0.flags.contains(.more) } == [true, true, false])
        let other = Frame(.answer, .more, stream: 2, payload: [9])
        #expect(try assembler.take(parts[0]) == nil)
        #expect(try assembler.take(other) == nil)
        #expect(try assembler.take(Frame(.ping)) == Frame(.ping))
        #expect(assembler.bufferedBytes == 11)
        #expect(try assembler.take(parts[1]) == nil)
        #expect(throws: WireFault.tooManyPartial(most: 2)) { try assembler.take(Frame(.request, .more, stream: 3)) }
        #expect(throws: WireFault.misplaced(.request)) { try assembler.take(Frame(.request, stream: 2)) }
        #expect(throws: WireFault.messageTooLarge(most: 30)) { try assembler.take(Frame(.request, .more, stream: 1, payload: Array(0..<11))) }
        assembler.forget(2)
        #expect(assembler.bufferedBytes == 20)
        #expect(try assembler.take(parts[2]) == Frame(.request, stream: 1, payload: Array(0..<25)))
        #expect(assembler.bufferedBytes == 0)
        // An empty message is one frame.
        var empty: [UInt8] = []
        Frame.append(message: [], .answer, .open, stream: 4, pieceBytes: 10, to: &empty)
        #expect(frames([empty]).0 == [Frame(.answer, .open, stream: 4)])
    }
}
