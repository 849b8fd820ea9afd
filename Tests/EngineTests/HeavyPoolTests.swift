import Base
import Dispatch
import Engine
import Synchronization
import TestSupport
import Testing

@Suite("Heavy work")
struct HeavyPoolTests {
    private static func database() throws -> Database { try Fixture { $0.heavyThreads = 2 }.database }

    /// Everything that can be heavy at once is, and queries still have their threads.
    @Test func readsDoNotWaitForIt() async throws {
        let database = try Self.database()
        _ = try await database.publish(Fixture.tenant, [PublishCommand(project: Name(stored: "p"), key: Name(stored: "k"), data: ["a": "lighthouse"])])[0].get()
        let (began, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let heavy = (0..<6).map { _ in
            Task {
                try await database.onHeavyPool {
                    began.signal()
                    release.wait()
                }
            }
        }
        for _ in 0..<2 { await Task.detached { Self.wait(began) }.value }
        #expect(try await database.listKeys(Fixture.tenant, project: Name(stored: "p")) == ["k"])
        #expect(try await database.query(Fixture.tenant, QueryRequest(project: Name(stored: "p"), text: "lighthouse", threshold: 0)).matches.count == 1)
        for _ in heavy { release.signal() }
        for task in heavy { try await task.value }
        await database.close()
    }

    @Test func whatHasNotBegunWhenItIsCancelledNeverBegins() async throws {
        let database = try Self.database()
        let (began, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let blocking = (0..<2).map { _ in
            Task {
                try await database.onHeavyPool {
                    began.signal()
                    release.wait()
                }
            }
        }
        for _ in 0..<2 { await Task.detached { Self.wait(began) }.value }
        let ran = Atomic(false)
        let late = Task { try await database.onHeavyPool { ran.store(true, ordering: .relaxed) } }
        late.cancel()
        for _ in blocking { release.signal() }
        await #expect(throws: ContexError.self) { try await late.value }
        for task in blocking { try await task.value }
        let hasRun = ran.load(ordering: .relaxed)
        #expect(!hasRun)
        await database.close()
        await #expect(throws: ContexError.self) { try await database.onHeavyPool {} }
    }

    /// A task that prefers the executor runs on its threads between its waits too, and ends when the pool has been closed.
    @Test func tasksRunThere() async throws {
        let database = try Self.database()
        let executor = database.heavyExecutor
        let keys = try await Task(executorPreference: executor) {
            try await Task.sleep(for: .milliseconds(1))
            return try await database.listKeys(Fixture.tenant, project: Name(stored: "p"))
        }.value
        #expect(keys == [])
        await database.close()
        let after = await Task(executorPreference: executor) { await Task.yield(); return 1 }.value
        #expect(after == 1)
    }

    private static func wait(_ semaphore: DispatchSemaphore) { semaphore.wait() }
}
