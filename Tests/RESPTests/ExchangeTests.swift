// What connections share: places, subscriptions, bytes.
import RESP
import TestSupport
import Base
import Testing

@Suite struct ExchangeTests {
    private func bounds(_ change: (inout RESPExchange.Bounds) -> Void) -> RESPExchange.Bounds {
        var bounds = RESPExchange.Bounds()
        change(&bounds)
        return bounds
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func placesAreShared() {
        var exchange = RESPExchange(
            bounds {
                $0.readers.readersMax = 10
                $0.readers.readersPerPartyMax = 4
                $0.readers.strangersMax = 5
                $0.readers.strangersPerAddressMax = 2
            })
        func admitted(_ id: Int64, _ address: String, isStranger: Bool) -> Bool {
            exchange.admit(id, from: ReaderLedger.origin(address), isStranger: isStranger) == nil
        }
        // A stranger has few places, also from many addresses of one network.
        #expect((0..<5).map { admitted($0, "2001:db8::\($0)", isStranger: true) } == [true, true, false, false, false])
        #expect((10..<13).map { admitted($0, "10.0.0.1", isStranger: true) } == [true, true, false])
        #expect(admitted(20, "10.0.0.2", isStranger: true) && !admitted(21, "10.0.0.3", isStranger: true))
        // Whoever shows a key makes room, and counts for the key.
        #expect(exchange.setKey("k", of: 20) == nil && admitted(21, "10.0.0.3", isStranger: true))
        for id in [0, 1, 10] as [Int64] { #expect(exchange.setKey("k", of: id) == nil) }
        #expect(exchange.setKey("k", of: 11)?.contains("one API key is limited to 4") == true)
        #expect(exchange.checkInvariants() == [])
        exchange.remove(0)
        #expect(exchange.setKey("k", of: 11) == nil)
        #expect((30..<36).map { admitted($0, "10.0.0.9", isStranger: false) } == [true, true, true, true, false, false])
        #expect((40..<43).map { admitted($0, "10.0.0.8", isStranger: false) } == [true, false, false])
        #expect(exchange.connectionCount == 10 && exchange.checkInvariants() == [])
    }

    @Test func anOriginIsOneHousehold() {
        #expect(ReaderLedger.origin("10.1.2.3") == "10.1.2.3")
        #expect(ReaderLedger.origin("::ffff:10.1.2.3") == "10.1.2.3")
        #expect(ReaderLedger.origin("2001:db8:1:2:3:4:5:6") == ReaderLedger.origin("2001:db8:1:2::9%eth0"))
        #expect(ReaderLedger.origin("2001:db8::1") == ReaderLedger.origin("2001:db8::2:0:0:1"))
        #expect(ReaderLedger.origin("2001:db8:1:2::1") != ReaderLedger.origin("2001:db8:1:3::1"))
        #expect(ReaderLedger.origin("::1") == "0:0:0:0")
    }

    /// The same pattern of many connections is one; different ones have shares.
    @Test func patternsAreCountedOnce() {
        var exchange = RESPExchange(
            bounds {
                $0.patternsMax = 3
                $0.patternsPerPartyMax = 2
                $0.channelsPerPartyMax = 2
            })
        for id in 0..<Int64(6) { _ = exchange.admit(id, from: "a\(id / 2)", isStranger: false) }
        func subscribe(_ id: Int64, _ subscription: RESPSubscription) -> String? {
            let refusal = exchange.refusal(of: [subscription], for: id)
            if refusal == nil { exchange.subscribe(id, subscription) }
            return refusal
        }
        for id in 0..<Int64(6) { #expect(subscribe(id, .pattern(bytes("agent:*"))) == nil) }
        #expect(exchange.patternCount(ofKey: nil) == 1 && exchange.listeners(of: bytes("agent:a")).count == 6)
        #expect(subscribe(0, .pattern(bytes("b*"))) == nil)
        #expect(subscribe(1, .pattern(bytes("c*"))) == "ERR one address is limited to 2 patterns")
        #expect(subscribe(2, .pattern(bytes("c*"))) == nil)
        #expect(subscribe(4, .pattern(bytes("d*"))) == "ERR max number of patterns reached")
        #expect(subscribe(4, .pattern(bytes("b*"))) == nil)
        exchange.remove(0)
        exchange.remove(4)
        #expect(subscribe(5, .pattern(bytes("d*"))) == nil)
        #expect(subscribe(2, .channel(bytes("x"))) == nil && subscribe(3, .channel(bytes("x"))) == nil)
        #expect(subscribe(3, .channel(bytes("y"))) == "ERR one address is limited to 2 channels")
        #expect(exchange.checkInvariants() == [])
    }

    /// Sixty subscribers that never read and hear the same are one message; hearing different things they are cut, the slowest first.
    @Test func bytesThatAreSharedCountOnce() {
        let megabyte = 1 << 20
        var exchange = RESPExchange()
        let ids = (0..<60).map { Int64($0) }
        for id in ids { _ = exchange.admit(id, from: "one", isStranger: false) }
        for _ in 0..<20 { #expect(exchange.send(bytes: megabyte, to: ids.map { ($0, 1) }).cut.isEmpty) }
        #expect(exchange.unsentBytes == 20 * megabyte && exchange.checkInvariants() == [])

        var other = RESPExchange()
        for id in ids { _ = other.admit(id, from: "address \(id)", isStranger: false) }
        var cut: [Int64] = []
        for round in 0..<20 {
            for id in ids where !cut.contains(id) {
                // Number 7 is twice as slow.
                let sending = other.send(bytes: megabyte, to: [(id, id == 7 ? 2 : 1)])
                cut += sending.cut
            }
            #expect(other.unsentBytes <= 128 * megabyte, "round \(round)")
        }
        #expect(cut.first == 7 && cut.count > 40 && other.connectionCount == 60 - cut.count && other.checkInvariants() == [])
    }

    @Test func oneMessageOfAnySizeIsTried() {
        var exchange = RESPExchange(
            bounds {
                $0.readers.unsentBytesPerReaderMax = 10
                $0.readers.unsentBytesPerPartyMax = 20
                $0.readers.unsentBytesMax = 40
            })
        for id in 0..<Int64(4) { _ = exchange.admit(id, from: "a\(id / 2)", isStranger: false) }
        let large = exchange.send(bytes: 1_000, to: [(0, 1), (2, 1)])
        #expect(large.cut.isEmpty)
        // The next one finds them slow; who has read goes on.
        exchange.sent(large.message, by: 2)
        #expect(exchange.send(bytes: 5, to: [(0, 1), (2, 1)]).cut == [0])
        #expect(exchange.unsentBytes == 5 && exchange.connectionCount == 3)
        // Of one address, and of all.
        #expect(exchange.send(bytes: 10, to: [(2, 1)]).cut.isEmpty && exchange.send(bytes: 10, to: [(3, 1)]).cut == [2])
        #expect(exchange.setOwn(25, of: 1).isEmpty && exchange.setOwn(50, of: 1) == [1])
        #expect(exchange.checkInvariants() == [])
    }

    /// Random work against the counts made anew from what there is.
    @Test func countsHold() {
        var random = SeededRandom(seed: testSeed("countsHold"))
        var exchange = RESPExchange(
            bounds {
                $0.readers.readersMax = 12
                $0.readers.readersPerPartyMax = 5
                $0.readers.strangersMax = 4
                $0.patternsMax = 6
                $0.patternsPerPartyMax = 4
                $0.channelsMax = 20
                $0.channelsPerPartyMax = 8
                $0.readers.unsentBytesPerReaderMax = 200
                $0.readers.unsentBytesPerPartyMax = 400
                $0.readers.unsentBytesMax = 700
            })
        var open: [UInt64: [Int64]] = [:]
        var cuts = 0
        for step in 0..<20_000 {
            let id = Int64.random(in: 0..<16, using: &random)
            let isHere = exchange.refusal(of: [], for: id) == nil
            switch Int.random(in: 0..<9, using: &random) {
            case 0: if !isHere { _ = exchange.admit(id, from: "a\(id % 3)", isStranger: Bool.random(using: &random)) }
            case 1: _ = exchange.setKey([nil, "k", "l"].randomElement(using: &random)!, of: id)
            case 2: if Int.random(in: 0..<4, using: &random) == 0 { exchange.remove(id) }
            case 3, 4:
                let name = bytes(["a", "b", "c", "*", "a*", "?", "[ab]"].randomElement(using: &random)!)
                let subscription: RESPSubscription = Bool.random(using: &random) ? .channel(name) : .pattern(name)
                if Bool.random(using: &random) {
                    if exchange.refusal(of: [subscription], for: id) == nil { exchange.subscribe(id, subscription) }
                } else {
                    exchange.unsubscribe(id, subscription)
                }
            case 5, 6:
                let listeners = exchange.listeners(of: bytes(["a", "b", "c"].randomElement(using: &random)!))
                let sending = exchange.send(
                    bytes: .random(in: 0...90, using: &random), to: listeners.map { ($0.id, ($0.isExact ? 1 : 0) + $0.patterns.count) })
                open[sending.message] = listeners.map(\.id)
                cuts += sending.cut.count
            case 7: cuts += exchange.setOwn(.random(in: 0...120, using: &random), of: id).count
            default:
                guard let (message, ids) = open.randomElement(using: &random) else { continue }
                for id in ids { exchange.sent(message, by: id) }
                open[message] = nil
            }
            let findings = exchange.checkInvariants()
            #expect(findings == [], "step \(step)")
            if !findings.isEmpty { return }
        }
        #expect(cuts > 100)
        for id in 0..<Int64(16) { exchange.remove(id) }
        #expect(exchange.unsentBytes == 0 && exchange.subscriptionCount == 0 && exchange.checkInvariants() == [])
    }
}
