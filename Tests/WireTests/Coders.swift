// A coder beside those of the module: it fills a message at random. `WireTeller` tells what is in one.

import Base
import Wire

/// Every message there is.
let allMessages: [any WireMessage.Type] = [
    WireHello.self, WireWelcome.self, WireRequest.self, WireCredit.self, WireError.self, WirePublish.self, WireReceipt.self, WirePublishBatch.self,
    WireReceipts.self, WireDataKey.self, WireHeldData.self, WireListing.self, WireKeys.self, WireProjects.self, WireJSON.self, WireNothing.self,
    WireQuery.self, WireQueryAnswer.self, WireQueryBatch.self, WireQueryAnswers.self, WireEmbed.self, WireEmbeddings.self, WireRegister.self,
    WireRegistration.self, WireAgent.self, WireRemoved.self, WireAgents.self, WireReadEvents.self, WireEvents.self, WireReadInbox.self, WireInbox.self,
    WireAcknowledge.self, WireFollowInbox.self, WireFollowEvents.self, WireOpened.self, WireUpdates.self, WireTryNeeds.self,
]

/// Gives fields random values; a share of them keeps its default.
struct Filler: FieldCoder {
    private var random: SeededRandom
    /// Of ten fields so many are filled.
    private let share: Int
    private let depth: Int

    init(seed: UInt64, share: Int = 7, depth: Int = 3) {
        random = SeededRandom(seed: seed)
        self.share = share
        self.depth = depth
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
    private mutating func isFilled() -> Bool { below(10) < share }
    private mutating func number() -> UInt64 { random.next() >> UInt64(below(64)) }
    private mutating func text() -> String { (0..<below(6)).map { _ in ["a", "é", "漢", "😀", "\u{0}", " "][below(6)] }.joined() }
    private mutating func float() -> Float { Float(below(2_000) - 1_000) / 8 }

    mutating func number(_ field: Int, _ value: inout UInt64) { if isFilled() { value = number() } }
    mutating func number(_ field: Int, _ value: inout UInt64?) { if isFilled() { value = number() } }
    mutating func signed(_ field: Int, _ value: inout Int64?) { if isFilled() { value = Int64(bitPattern: number()) * (below(2) == 0 ? 1 : -1) } }
    mutating func flag(_ field: Int, _ value: inout Bool) { if isFilled() { value = true } }
    mutating func double(_ field: Int, _ value: inout Double) { if isFilled() { value = Double(below(1_000)) / 7 } }
    mutating func double(_ field: Int, _ value: inout Double?) { if isFilled() { value = -Double(below(1_000)) / 7 } }
    mutating func text(_ field: Int, _ value: inout String) { if isFilled() { value = text() } }
    mutating func text(_ field: Int, _ value: inout String?) { if isFilled() { value = text() } }
    mutating func bytes(_ field: Int, _ value: inout [UInt8]?) {
        if isFilled() { value = (0..<below(8)).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
    }
    mutating func floats(_ field: Int, _ value: inout [Float]?) { if isFilled() { value = (0..<below(5)).map { _ in float() } } }
    mutating func halves(_ field: Int, _ value: inout [Float]?) { floats(field, &value) }
    mutating func numbers(_ field: Int, _ value: inout [UInt64], most: Int) { if isFilled() { value = (0..<below(4)).map { _ in number() } } }
    mutating func texts(_ field: Int, _ value: inout [String], most: Int) { if isFilled() { value = (0..<below(4)).map { _ in text() } } }
    mutating func message<M: WireMessage>(_ field: Int, _ value: inout M?) throws(WireFault) {
        if depth > 0, isFilled() { value = try made() }
    }
    mutating func messages<M: WireMessage>(_ field: Int, _ value: inout [M], most: Int) throws(WireFault) {
        guard depth > 0, isFilled() else { return }
        for _ in 0..<below(4) { value.append(try made()) }
    }
    private mutating func made<M: WireMessage>() throws(WireFault) -> M {
        var message = M()
        var filler = Filler(seed: random.next(), share: share, depth: depth - 1)
        try message.fields(&filler)
        return message
    }
}
