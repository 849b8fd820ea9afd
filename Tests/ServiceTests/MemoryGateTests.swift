import Base
import Dispatch
import Service
import Synchronization
import Testing

@Suite("The gate of memory")
struct MemoryGateTests {
    @Test func waitsUntilOthersGiveBack() async throws {
        let gate = MemoryGate(total: 1_000)
        let others = [MemoryLease(of: gate, address: "a", key: nil), MemoryLease(of: gate, address: "b", key: nil)]
        for lease in others { try await gate.take(500, for: lease) }
        let late = MemoryLease(of: gate, address: "c", key: "k")
        let waiting = Task { try await gate.take(300, for: late, within: .seconds(60)) }
        for _ in 0..<1_000 where gate.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
        others[0].shrink(to: 100)
        try await waiting.value
        withExtendedLifetime(others) { #expect(late.held == 300 && gate.held == 900) }
    }

    /// Answers that nobody reads: half of the room is for one address, what is small or must be told is held over it, and all comes back.
    @Test func answersThatWaitHaveAShareOfTheirOwn() throws {
        let memory = InflightMemory(total: 32 << 20)
        let gate = memory.answering
        var held: [MemoryLease] = []
        func hold(_ count: Int, from address: String, mayRefuse: Bool = true) -> ErrorCode? {
            let lease = MemoryLease(of: gate, address: address, key: nil)
            held.append(lease)
            do throws(ContexError) {
                try gate.hold(count, for: lease, mayRefuse: mayRefuse)
                return nil
            } catch {
                return error.code
            }
        }
        for _ in 0..<8 { #expect(hold(1 << 20, from: "a") == nil) }
        #expect(hold(1 << 20, from: "a") == .busy && gate.held == 8 << 20)
        #expect(hold(1 << 20, from: "b") == nil)
        #expect(hold(16 << 10, from: "a") == nil && hold(1 << 20, from: "a", mayRefuse: false) == nil)
        #expect(gate.held == (10 << 20) + (16 << 10))
        // Nothing of it is in the way of work.
        #expect(memory.working.held == 0 && memory.arriving.held == 0)
        held = []
        #expect(gate.held == 0 && hold(1 << 20, from: "a") == nil)
        held = []
    }

    @Test func refusesAfterAWhileAndWhenTheTaskIsCancelled() async throws {
        let gate = MemoryGate(total: 1_000)
        let other = MemoryLease(of: gate, address: "a", key: nil)
        try await gate.take(500, for: other)
        let late = MemoryLease(of: gate, address: "a", key: nil)
        await #expect(throws: ContexError.self) { try await gate.take(100, for: late, within: .milliseconds(50)) }
        let cancelled = Task { try await gate.take(100, for: late, within: .seconds(60)) }
        for _ in 0..<1_000 where gate.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
        cancelled.cancel()
        await #expect(throws: ContexError.self) { try await cancelled.value }
        withExtendedLifetime(other) { #expect(gate.waitingCount == 0 && late.held == 0 && gate.held == 500) }
    }

    /// Behind one address may be a proxy: its small requests go on while its large ones hold, want and wait for all that there is.
    @Test func smallOnesDoNotDependOnLargeOnes() async throws {
        let gate = MemoryGate(total: 64 << 20)
        let large = (0..<8).map { _ in MemoryLease(of: gate, address: "proxy", key: nil) }
        // As bodies come: each step is as small as a small request.
        var refused = 0
        for _ in 0..<100 {
            for lease in large where gate.ask(64 << 10, for: lease) != .granted { refused += 1 }
        }
        #expect(refused > 0)
        #expect(gate.held <= (32 << 20) + 8 * gate.smallMax)
        for _ in 0..<50 {
            let small = MemoryLease(of: gate, address: "proxy", key: nil)
            #expect(gate.ask(16 << 10, for: small) == .granted)
        }
        // What is large by an answer that is there already is no small one any more.
        let answer = MemoryLease(of: gate, address: "proxy", key: nil)
        for _ in 0..<100 { answer.settle(at: 30 << 20) }
        let small = MemoryLease(of: gate, address: "proxy", key: nil)
        #expect(gate.ask(16 << 10, for: small) == .granted)
        withExtendedLifetime(large) {}
    }

    /// Sixty that will be large and hold their first bytes only are in nobody's way.
    @Test func whoWillBeLargeTakesNoRoomOfSmallOnes() async throws {
        let gate = MemoryGate(total: 4 << 20)
        var large: [MemoryLease] = []
        for _ in 0..<300 {
            let lease = MemoryLease(of: gate, address: "proxy", key: nil, expecting: 1 << 20)
            large.append(lease)
            _ = gate.ask(gate.smallMax, for: lease)
        }
        let small = MemoryLease(of: gate, address: "proxy", key: nil, expecting: 1_000)
        #expect(gate.ask(1_000, for: small) == .granted)
        withExtendedLifetime(large) { #expect(gate.held == (2 << 20) + 1_000) }
    }

    /// A request that needs more than its share is worked on, and while it is no other such.
    @Test func theLargestAreWorkedOnOneAtATime() async throws {
        let gate = MemoryGate(total: 1_000)
        let (first, second) = (MemoryLease(of: gate, address: "a", key: nil), MemoryLease(of: gate, address: "b", key: nil))
        try await gate.take(5_000, for: first)
        let waiting = Task { try await gate.take(5_000, for: second, within: .seconds(60)) }
        for _ in 0..<1_000 where gate.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(first.isAlone && first.held == 500 && second.held == 0)
        // Its answer counts as what it is; the place is free again.
        first.settle(at: 400)
        try await waiting.value
        #expect(!first.isAlone && second.isAlone && gate.held == 900)
    }

    /// Whatever becomes of a request, what it held comes back.
    @Test func aForgottenLeaseGivesBack() async throws {
        let gate = MemoryGate(total: 1_000)
        do {
            let lease = MemoryLease(of: gate, address: "a", key: "k")
            try await gate.take(5_000, for: lease)
            #expect(lease.held == 500)
            lease.settle(at: 2_000)
            #expect(gate.held == 2_000)
            lease.settle(at: 10)
            #expect(gate.held == 10)
        }
        #expect(gate.held == 0)
    }
}
