import Base
import TestSupport
import Testing

@Suite("A budget of bytes")
struct ByteBudgetTests {
    private static func address(_ name: String) -> [ByteBudget.Party] { [.address(name)] }

    @Test func nobodyHasMoreThanHalf() {
        var budget = ByteBudget(total: 100)
        #expect(budget.ask(50, for: Self.address("a")) == .granted)
        #expect(budget.ask(1, for: Self.address("a"), mayWait: false) == .refused)
        #expect(budget.ask(50, for: Self.address("b")) == .granted)
        #expect(budget.ask(1, for: Self.address("c"), mayWait: false) == .refused)
        #expect(budget.held == 100)
        #expect(budget.held(by: .address("a")) == 50)
    }

    /// A key that comes from many addresses is one, and so is an address with many keys.
    @Test func keysAndAddressesAreHeldToTheirHalfAlike() {
        var budget = ByteBudget(total: 100)
        #expect(budget.ask(30, for: [.address("a"), .key("k")]) == .granted)
        #expect(budget.ask(30, for: [.address("b"), .key("k")], mayWait: false) == .refused)
        #expect(budget.ask(30, for: [.address("a"), .key("l")], mayWait: false) == .refused)
        #expect(budget.ask(30, for: [.address("b"), .key("l")]) == .granted)
        // The same text as a name of both is two parties.
        #expect(budget.ask(20, for: [.address("k"), .key("a")]) == .granted)
    }

    @Test func whatNobodyCouldGetCountsAsAHalf() {
        var budget = ByteBudget(total: 100)
        #expect(budget.chargeable(1_000) == 50)
        #expect(budget.chargeable(-1) == 0)
        #expect(budget.ask(budget.chargeable(1_000), for: Self.address("a")) == .granted)
    }

    @Test func thoseWhoWaitGoOnInTheirOrder() throws {
        var budget = ByteBudget(total: 1_000)
        #expect(budget.ask(500, for: Self.address("a")) == .granted)
        #expect(budget.ask(400, for: Self.address("b")) == .granted)
        let large = try ticket(budget.ask(300, for: Self.address("c")))
        let small = try ticket(budget.ask(90, for: Self.address("d")))
        // There would be room for the small one, but then the large one might wait for ever.
        #expect(budget.waitingCount == 2)
        #expect(budget.release(400, of: Self.address("b")) == [large, small])
        #expect(budget.checkInvariants() == [])
    }

    /// Who needs more than a half is there alone among his like, and keeps nobody else out.
    @Test func oneAtATimeNeedsMoreThanAHalf() throws {
        var budget = ByteBudget(total: 1_000)
        #expect(budget.ask(500, isAlone: true, for: Self.address("a")) == .granted)
        let second = try ticket(budget.ask(500, isAlone: true, for: Self.address("b")))
        #expect(budget.ask(400, for: Self.address("c")) == .granted)
        // His bytes alone do not let the next in, nor does the place while the bytes are others'.
        #expect(budget.release(500, of: Self.address("a")) == [])
        #expect(budget.release(0, wasAlone: true, of: Self.address("a")) == [second])
        #expect(budget.isAloneTaken && budget.held == 900)
        #expect(budget.release(500, wasAlone: true, of: Self.address("b")) == [])
        #expect(!budget.isAloneTaken && budget.checkInvariants() == [])
    }

    /// However many one party has in the queue, another waits for one of them only.
    @Test func largeOnesOfSeveralPartiesTakeTurns() throws {
        var budget = ByteBudget(total: 1_000)
        #expect(budget.ask(500, isAlone: true, for: Self.address("a")) == .granted)
        var own: [ByteBudget.Ticket] = []
        for _ in 0..<3 { own.append(try ticket(budget.ask(500, isAlone: true, for: Self.address("a")))) }
        let other = try ticket(budget.ask(500, isAlone: true, for: Self.address("b")))
        #expect(budget.release(500, wasAlone: true, of: Self.address("a")) == [other])
        #expect(budget.release(500, wasAlone: true, of: Self.address("b")) == [own[0]])
        #expect(budget.release(500, wasAlone: true, of: Self.address("a")) == [own[1]])
        #expect(budget.checkInvariants() == [])
    }

    @Test func whoWaitsForHisOwnHalfHoldsUpNobody() throws {
        var budget = ByteBudget(total: 1_000)
        #expect(budget.ask(500, for: Self.address("greedy")) == .granted)
        let greedy = try ticket(budget.ask(100, for: Self.address("greedy")))
        #expect(budget.ask(100, for: Self.address("other")) == .granted)
        #expect(budget.release(500, of: Self.address("greedy")) == [greedy])
    }

    @Test func theQueueIsBoundedForAllAndForOne() throws {
        var budget = ByteBudget(total: 1_000, waitingMax: 4)
        #expect(budget.ask(500, for: Self.address("a")) == .granted)
        #expect(budget.ask(500, for: Self.address("b")) == .granted)
        for _ in 0..<2 { _ = try ticket(budget.ask(10, for: Self.address("a"))) }
        #expect(budget.ask(10, for: Self.address("a")) == .refused)
        for _ in 0..<2 { _ = try ticket(budget.ask(10, for: Self.address("c"))) }
        #expect(budget.ask(10, for: Self.address("d")) == .refused)
        #expect(budget.checkInvariants() == [])
    }

    @Test func whoLeavesTheQueueLetsOthersThrough() throws {
        var budget = ByteBudget(total: 1_000)
        #expect(budget.ask(500, for: Self.address("a")) == .granted)
        #expect(budget.ask(300, for: Self.address("b")) == .granted)
        let large = try ticket(budget.ask(400, for: Self.address("c")))
        let small = try ticket(budget.ask(150, for: Self.address("d")))
        let left = budget.withdraw(large)
        #expect(left.wasWaiting && left.granted == [small])
        #expect(!budget.withdraw(small).wasWaiting)
        #expect(budget.held == 950)
    }

    /// An answer that is there cannot be refused; it keeps others out instead.
    @Test func whatIsChargedMayGoOver() throws {
        var budget = ByteBudget(total: 100)
        budget.charge(250, to: Self.address("a"))
        let waiting = try ticket(budget.ask(10, for: Self.address("b")))
        #expect(budget.release(150, of: Self.address("a")) == [])
        #expect(budget.release(100, of: Self.address("a")) == [waiting])
        #expect(budget.held == 10)
    }

    /// Random asking, waiting, leaving and releasing never goes over a bound, and nothing is left when everybody has gone.
    @Test(arguments: [1, 2, 3, 4, 5]) func anyOrderKeepsTheBounds(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var budget = ByteBudget(total: 10_000, waitingMax: 16)
        var holding: [(bytes: Int, isAlone: Bool, parties: [ByteBudget.Party])] = []
        var waiting: [ByteBudget.Ticket: (bytes: Int, isAlone: Bool, parties: [ByteBudget.Party])] = [:]
        func admit(_ tickets: [ByteBudget.Ticket]) {
            for ticket in tickets {
                guard let grant = waiting.removeValue(forKey: ticket) else { continue }
                holding.append(grant)
            }
        }
        for _ in 0..<5_000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let parties: [ByteBudget.Party] = [
                    .address("\(Int.random(in: 0..<4, using: &random))"), .key("\(Int.random(in: 0..<6, using: &random))"),
                ]
                let wanted = Int.random(in: 0..<7_000, using: &random)
                let (bytes, isAlone) = (budget.chargeable(wanted), wanted > budget.share)
                switch budget.ask(bytes, isAlone: isAlone, for: parties) {
                case .granted: holding.append((bytes, isAlone, parties))
                case .waiting(let ticket): waiting[ticket] = (bytes, isAlone, parties)
                case .refused: break
                }
            case 2:
                if let ticket = waiting.keys.sorted(by: { "\($0)" < "\($1)" }).first {
                    waiting[ticket] = nil
                    admit(budget.withdraw(ticket).granted)
                }
            default:
                if !holding.isEmpty {
                    let (bytes, isAlone, parties) = holding.remove(at: Int.random(in: 0..<holding.count, using: &random))
                    admit(budget.release(bytes, wasAlone: isAlone, of: parties))
                }
            }
            #expect(budget.checkInvariants() == [])
            #expect(budget.held == holding.reduce(0) { $0 + $1.bytes })
            #expect(holding.count { $0.isAlone } == (budget.isAloneTaken ? 1 : 0))
            #expect(budget.waitingCount == waiting.count)
        }
        while let (bytes, isAlone, parties) = holding.popLast() { admit(budget.release(bytes, wasAlone: isAlone, of: parties)) }
        #expect(budget.held == 0 && budget.waitingCount == 0 && budget.held(by: .address("0")) == 0)
    }

    private func ticket(_ outcome: ByteBudget.Outcome) throws -> ByteBudget.Ticket {
        guard case .waiting(let ticket) = outcome else {
            Issue.record("\(outcome)")
            throw NotWaiting()
        }
        return ticket
    }
    private struct NotWaiting: Error {}
}
