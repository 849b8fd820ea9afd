// What is kept in memory between calls, for each project that was used lately: nothing of it is needed to be right, all of
// it can be made again. It belongs to the environment and goes with it.

internal import Base
internal import KeySpace
internal import LMDB
internal import Synchronization

/// Of all projects of one environment.
final class VectorMemory: Sendable {
    private struct Entry {
        let memory: IndexMemory
        var lastUse: UInt64
    }

    private struct State {
        var entries: [TenantScope: Entry] = [:]
        var uses: UInt64 = 0
        /// The latest write transaction that changed an index: its projects must not be forgotten before the next.
        var lastWrite: UInt64 = 0
    }

    private let state = Mutex(State())
    /// A project costs 11 kB (the rotation and a search's buffers) and 10 bytes a slot. docs/formats/vectors-v1.md
    private static let projectsMax = 256

    func memory(_ scope: TenantScope, _ layout: ChunkLayout) -> IndexMemory {
        state.withLock { state in
            state.uses += 1
            if let entry = state.entries[scope], entry.memory.layout == layout {
                state.entries[scope]!.lastUse = state.uses
                return entry.memory
            }
            // Of another layout: the project was emptied and began again.
            let replaced = state.entries[scope]?.memory.lastWrite ?? 0
            if state.entries.count >= Self.projectsMax { Self.forgetHalf(&state) }
            let made = IndexMemory(layout: layout, project: scope.project.rawValue, lastWrite: replaced)
            state.entries[scope] = Entry(memory: made, lastUse: state.uses)
            Invariants.hold(Self.checkInvariants(state))
            return made
        }
    }

    func noteWrite(_ number: UInt64) { state.withLock { $0.lastWrite = max($0.lastWrite, number) } }

    /// As many projects as there may be, but for those that a write under way has changed; each was used at a time of its own, the one just
    /// made last. Each finding is a sentence; for tests.
    private static func checkInvariants(_ state: State) -> [String] {
        var faults: [String] = []
        let kept = state.lastWrite == 0 ? 0 : state.entries.values.count { $0.memory.lastWrite >= state.lastWrite }
        if state.entries.count > projectsMax + kept { faults.append("\(state.entries.count) projects are remembered") }
        if Set(state.entries.values.map(\.lastUse)).count != state.entries.count { faults.append("two projects were used at one time") }
        if state.entries.values.map(\.lastUse).max() != state.uses { faults.append("the last use is not known") }
        return faults
    }

    private static func forgetHalf(_ state: inout State) {
        let byAge = state.entries.sorted { $0.value.lastUse < $1.value.lastUse }
        for (scope, entry) in byAge.prefix(byAge.count / 2) where entry.memory.lastWrite < state.lastWrite || state.lastWrite == 0 {
            state.entries[scope] = nil
        }
    }
}

/// Of one project.
final class IndexMemory: Sendable {
    let layout: ChunkLayout
    let quantiser: Quantiser

    private struct State {
        var table: PointerTable?
        var session: WriteSession?
        var sessionTable: PointerTable?
        /// The last write transaction that had a session here.
        var lastWrite: UInt64
        var idle: [SearchScratch] = []
    }

    private let state: Mutex<State>

    init(layout: ChunkLayout, project: UInt32, lastWrite: UInt64) {
        self.layout = layout
        quantiser = Quantiser(layout: layout, project: project)
        state = Mutex(State(lastWrite: lastWrite))
    }

    var lastWrite: UInt64 { state.withLock { $0.lastWrite } }

    /// A search's buffers, for the caller alone until `body` ends.
    func withScratch<R>(_ body: (SearchScratch) throws -> R) rethrows -> R {
        let scratch = state.withLock { $0.idle.popLast() } ?? SearchScratch(padded: layout.padded)
        defer { state.withLock { if $0.idle.count < 64 { $0.idle.append(scratch) } } }
        return try body(scratch)
    }

    /// The table of addresses for a snapshot, with room for so many slots.
    func table(snapshot: UInt64, slots: Int) -> PointerTable {
        state.withLock { state in
            if let table = state.table {
                if table.era == snapshot / PointerTable.tagNumbers && table.slots >= slots { return table }
                // A reader that is older than the table: it must not put its tags among those of the next era.
                if table.era > snapshot / PointerTable.tagNumbers { return PointerTable(slots: slots, layout: layout, number: snapshot) }
            }
            let made = PointerTable(slots: Self.roomy(slots), layout: layout, number: snapshot)
            state.table = made
            return made
        }
    }

    /// The table of addresses for a write transaction.
    func sessionTable(number: UInt64, slots: Int, isFirst: Bool) -> PointerTable {
        guard isFirst else { return PointerTable(slots: Self.roomy(slots), layout: layout, number: number) }
        return state.withLock { state in
            if let table = state.sessionTable, table.era == number / PointerTable.tagNumbers, table.slots >= slots { return table }
            let made = PointerTable(slots: Self.roomy(slots), layout: layout, number: number)
            state.sessionTable = made
            return made
        }
    }

    /// A quarter more than needed, and no table for every single insert of a small project.
    private static func roomy(_ slots: Int) -> Int { max(1_024, slots + slots / 4) }

    /// The session of a write transaction, out of here until it is put back. A session that is dropped in the middle of its
    /// transaction (an error, an index emptied) is followed by one that copies everything: pages that the first has written
    /// are no longer those of the snapshot.
    func takeSession(_ number: UInt64, state graph: GraphState?) -> WriteSession {
        state.withLock { state in
            let known = state.session
            state.session = nil
            if let known, known.number == number, known.state == graph { return known }
            let begun = state.lastWrite == number
            state.lastWrite = number
            return WriteSession(number: number, state: graph, copiesAll: begun, memory: self)
        }
    }

    func putSession(_ session: WriteSession) { state.withLock { $0.session = session } }
}
