import Access
import Base
import Engine
import Service
import TestSupport
import Testing

/// Failed logins by address: the guesser is slowed, whoever has a key is not.
@Suite struct LoginTests {
    private func outcome(_ operations: Operations, _ key: String?, from address: String?) -> ContexError.Category? {
        do throws(ContexError) {
            _ = try operations.authenticate(Caller(apiKey: key, address: address, requestID: "test", client: nil))
            return nil
        } catch {
            return error.category
        }
    }

    @Test func aGuesserIsSlowedAndAKeyPasses() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let guesses = (0..<LoginGuard.freeFailures + 5).map { outcome(operations, "guess \($0)", from: "192.0.2.1") }
        #expect(guesses == Array(repeating: .unauthenticated, count: LoginGuard.freeFailures) + Array(repeating: .limited, count: 5))
        // The same address, a shared proxy: who has a key passes, who has none is told so, and nobody else is slowed.
        #expect(outcome(operations, fixture.root.text, from: "192.0.2.1") == nil)
        #expect(outcome(operations, nil, from: "192.0.2.1") == .unauthenticated)
        #expect(outcome(operations, "guess", from: "192.0.2.2") == .unauthenticated)
        #expect(operations.failedLogins == guesses.count + 1)

        // Requests without a key are no guesses, and neither are those with a key that was made while anybody could.
        let open = try await fixture.database.createKey(.standard, name: "open", isOpen: true)
        for _ in 0..<50 {
            #expect(outcome(operations, "", from: "192.0.2.3") == .unauthenticated)
            #expect(outcome(operations, open.text, from: "192.0.2.3") == .unauthenticated)
        }
        #expect(operations.failedLogins == guesses.count + 1)
        #expect(operations.isValid(fixture.admin) && !operations.isValid(fixture.caller("guess")))
        #expect(operations.failedLogins == guesses.count + 1)
        await fixture.database.close()
    }

    /// Who was let in and whose key was revoked since hears that, whatever others of his address have done, and does not count among them.
    @Test func whoFollowsWithARevokedKeyIsNoGuesser() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        _ = try await operations.publish(fixture.command("p"), by: fixture.admin)
        let issued = try await fixture.database.createKey(.standard, name: "follower")
        let caller = Caller(apiKey: issued.text, address: "192.0.2.1", requestID: "test", client: nil)
        let feed = try await operations.feed(of: Name(stored: "p"), by: caller)
        let start = try await feed.page(after: nil).start
        for number in 0..<LoginGuard.freeFailures + 2 { _ = outcome(operations, "guess \(number)", from: "192.0.2.1") }
        let failed = operations.failedLogins
        try await operations.revokeKey("\(issued.record.keyID)", by: fixture.admin)
        for _ in 0..<30 {
            let refusal = await #expect(throws: ContexError.self) { try await feed.page(after: start) }
            #expect(refusal?.code == .keyUnknown)
        }
        #expect(operations.failedLogins == failed)
        // A request with it is one.
        #expect(outcome(operations, issued.text, from: "192.0.2.1") == .limited && operations.failedLogins == failed + 1)
        await fixture.database.close()
    }

    @Test func everyRefusedLoginIsWrittenDown() async throws {
        let fixture = try await Fixture()
        let caller = Caller(apiKey: "guess", address: "192.0.2.1", requestID: "test", client: nil)
        for _ in 0..<LoginGuard.freeFailures + 2 { _ = try? await fixture.operations.projects(by: caller) }
        let failures = fixture.journal.audited.map(\.failure)
        #expect(failures == Array(repeating: .unauthenticated, count: LoginGuard.freeFailures) + [.limited, .limited])
        await fixture.database.close()
    }

    @Test func silenceForgives() {
        let guarded = LoginGuard()
        let start = ContinuousClock.now
        func fail(_ seconds: Int) -> LoginGuard.Verdict { guarded.failed(from: "192.0.2.1", now: start + .seconds(seconds)) }
        for count in 1...LoginGuard.freeFailures { #expect(fail(0) == .refused(count: count)) }
        #expect(fail(0) == .slowed(count: LoginGuard.freeFailures + 1))
        // One try for each span of silence, not more.
        #expect(fail(LoginGuard.secondsPerFailure - 1) == .slowed(count: LoginGuard.freeFailures + 2))
        #expect(fail(3 * LoginGuard.secondsPerFailure) == .refused(count: LoginGuard.freeFailures + 3))
        #expect(fail(3 * LoginGuard.secondsPerFailure) == .slowed(count: LoginGuard.freeFailures + 4))
        // However long somebody has guessed, a minute and some is enough for the next who mistypes; all of it, and the count begins anew.
        for _ in 0..<100_000 { _ = fail(20) }
        #expect(fail(20 + 61) == .refused(count: LoginGuard.freeFailures + 4 + 100_001))
        #expect(fail(100_000) == .refused(count: 1))
    }

    @Test func oneNetworkIsOneAddress() {
        let guarded = LoginGuard()
        let now = ContinuousClock.now
        for host in 1...LoginGuard.freeFailures { #expect(guarded.failed(from: "2001:db8:0:7::\(host)", now: now) == .refused(count: host)) }
        #expect(guarded.failed(from: "2001:db8:0:7:ffff:ffff:ffff:ffff", now: now) == .slowed(count: LoginGuard.freeFailures + 1))
        #expect(guarded.failed(from: "2001:db8:0:8::1", now: now) == .refused(count: 1))
        // The same machine by both ways of writing it, and with a zone.
        #expect(guarded.failed(from: "192.0.2.1", now: now) == .refused(count: 1))
        #expect(guarded.failed(from: "::ffff:192.0.2.1", now: now) == .refused(count: 2))
        #expect(guarded.failed(from: "fe80::1%eth0", now: now) == .refused(count: 1))
        #expect(guarded.failed(from: "fe80::2", now: now) == .refused(count: 2))
        #expect(guarded.failed(from: nil, now: now) == .refused(count: 1))
        #expect(guarded.failed(from: "no address", now: now) == .refused(count: 2))
    }

    @Test func theTableIsBounded() {
        let guarded = LoginGuard()
        let now = ContinuousClock.now
        var most = 0
        for number in 0..<50_000 {
            _ = guarded.failed(from: "10.\(number >> 16).\(number >> 8 & 255).\(number & 255)", now: now)
            // One who goes on guessing is not forgotten for all the others.
            if number % 1_000 == 0 { _ = guarded.failed(from: "192.0.2.1", now: now) }
            most = max(most, guarded.addressCount)
        }
        #expect(most <= 2 * LoginGuard.addressesMax)
        #expect(guarded.failed(from: "192.0.2.1", now: now) == .slowed(count: 51))
        #expect(guarded.total == 50_051)
    }
}
