import Base
import TestSupport
import Testing
import Wire

@Suite struct MessageTests {
    private static func example<M: WireMessage>(_ type: M.Type, seed: UInt64, share: Int = 7) -> M {
        var (message, filler) = (M(), Filler(seed: seed, share: share))
        try? message.fields(&filler)
        return message
    }

    private static func check<M: WireMessage>(_ type: M.Type, seed: UInt64) throws {
        for turn in 0..<40 {
            let message = example(type, seed: seed &+ UInt64(turn), share: turn % 11)
            let bytes = message.encoded
            #expect(try M(decoding: bytes) == message, "\(type), seed \(seed), turn \(turn)")
            // Fields that a later version may have are passed over, in whatever way they are written.
            let later: [UInt8] = [0xC8, 0x3E, 7, 0xCA, 0x3E, 2, 1, 2, 0xC9, 0x3E, 1, 2, 3, 4, 5, 6, 7, 8, 0xCD, 0x3E, 1, 2, 3, 4]
            #expect(try M(decoding: later + bytes) == message)
            #expect(try M(decoding: bytes + later) == message)
            // A piece of it, or it with a byte that is another, is read or refused, and what is read is written again.
            for count in 0..<min(bytes.count, 200) { again(type, Array(bytes.prefix(count))) }
            for place in 0..<min(bytes.count, 200) {
                var changed = bytes
                changed[place] ^= UInt8(1 << (turn % 8))
                again(type, changed)
            }
        }
    }

    private static func again<M: WireMessage>(_ type: M.Type, _ bytes: [UInt8]) {
        guard let message = try? M(decoding: bytes) else { return }
        // By their bytes: a number that is none does not equal itself.
        #expect((try? M(decoding: message.encoded))?.encoded == message.encoded)
    }

    @Test(arguments: allMessages.indices) func everyMessageComesBack(_ place: Int) throws {
        try Self.check(allMessages[place], seed: testSeed("wire message \(place)"))
    }

    @Test func defaultsAreNotWritten() {
        for type in allMessages { #expect((type.init() as any WireMessage).encoded.isEmpty) }
    }

    @Test func whatIsNoFieldIsRefused() {
        func fault(_ bytes: [UInt8]) -> WireFault? {
            do throws(WireFault) {
                _ = try WireQuery(decoding: bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(fault([0x00, 1]) == .malformed(field: 0), "field number 0")
        #expect(fault([0x0B]) == .malformed(field: 1), "a group")
        #expect(fault([0x80]) == .truncated && fault([0x20]) == .truncated && fault([0x0A, 5, 1]) == .truncated && fault([0x29, 1]) == .truncated)
        #expect(fault([0x20] + [UInt8](repeating: 0xFF, count: 9) + [2]) == .malformed(field: 4), "over 64 bits")
        #expect(fault([0x0A, 1, 0xFF]) == .malformed(field: 1), "no UTF-8")
        #expect(fault([0x08, 1]) == .mismatched(field: 1), "a text as a number")
        #expect(fault([0x1A, 3, 0, 0, 0]) == .malformed(field: 3), "three bytes of a float")
        #expect(fault([0x60, 2]) == .malformed(field: 12), "a flag of 2")
        #expect(fault((0...Limits.namedKeys).flatMap { _ in [0x7A, 0] as [UInt8] }) == .tooMany(field: 15, most: Limits.namedKeys))
        // What comes twice counts as it came last.
        #expect(try! WireQuery(decoding: [0x20, 3, 0x20, 9]).topK == 9)
    }

    /// A match in a match in a match ...: bounded, so that no depth is a crash.
    @Test func nestingIsBounded() throws {
        var bytes: [UInt8] = []
        for _ in 0..<2_000 {
            var writer = ByteWriter()
            writer.u8(0x6A)
            writer.blob(bytes)
            bytes = writer.bytes
        }
        #expect(throws: WireFault.tooDeep) { try WireMatch(decoding: bytes) }
    }

    @Test func errorsKeepWhatTheySay() {
        let error = ContexError(
            .agentAmbiguous, "which?", field: "agent_id", kind: "value_error", requiredPermission: "p", role: "r", candidates: ["a", "b"])
        let back = WireError(error).contexError
        #expect(back.code == error.code && back.message == error.message && back.field == error.field && back.kind == error.kind)
        #expect(back.requiredPermission == "p" && back.role == "r" && back.candidates == ["a", "b"])
        #expect(WireError(ContexError(.busy, "later")).retryMilliseconds == 1_000)
        // What went wrong inside is told to the log.
        #expect(!WireError(.damaged("node 7 of project secret")).message.contains("secret"))
        // A code that is younger than the reader.
        var later = WireError(error)
        later.code = "moon_too_full"
        #expect(later.contexError.code == .conflict)
        later.category = 99
        #expect(later.contexError.category == .unavailable)
    }

    @Test func halvesKeepElevenBits() throws {
        var query = WireQuery(project: "p", text: "")
        query.vectorOfHalves = [1, -0.5, 0.1, 65_504, 0]
        let back = try #require(try WireQuery(decoding: query.encoded).vectorOfHalves)
        #expect(back[0] == 1 && back[1] == -0.5 && abs(back[2] - 0.1) < 0.000_1 && back[3] == 65_504 && back[4] == 0)
    }
}
