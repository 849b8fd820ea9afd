// How much memory requests may take together, as a value: who asks gets it, waits for it, or is refused. It knows no clock, no
// lock and no socket; its caller holds the lock, takes the outcome out, and tells whoever may go on outside of it.
//
//     ask ---- fits --------------------------------> granted ---> release
//        \---- does not, a place in the queue is free -> waiting --/   \--> those who wait, in their order
//         \--- else ---------------------------------> refused
//
// Nobody has more than half of it, by address and by key, so that a stranger who takes all he can get leaves as much to others.
// Who waits because of his own half keeps nobody behind him waiting; who waits because everything is taken does, or else many
// small ones would keep a large one out for ever.
//
// Who needs more than a half could never get it. He counts as half, and is let in when no other such is there: one at a time, in turns
// between parties, so that what is held beyond the count is held once.

/// Bytes that are held for somebody, out of a bounded number.
public struct ByteBudget: Sendable {
    /// Who bytes are held for. A request has one or two of them.
    public enum Party: Hashable, Sendable {
        case address(String)
        case key(String)
    }

    /// A place in the queue.
    public struct Ticket: Hashable, Sendable {
        fileprivate let number: Int
    }

    public enum Outcome: Equatable, Sendable {
        case granted
        /// `release` or `withdraw` will name the ticket, unless it is withdrawn itself.
        case waiting(Ticket)
        case refused
    }

    private struct Waiting {
        let ticket: Ticket
        let bytes: Int
        let isAlone: Bool
        let parties: [Party]
    }

    public let total: Int
    /// What one party may hold.
    public let share: Int
    /// Places in the queue: of all, and of one party.
    public let waitingMax: Int
    public let waitingPerPartyMax: Int

    public private(set) var held = 0
    private var shares: [Party: Int] = [:]
    private var queue: [Waiting] = []
    private var lastTicket = 0
    /// Somebody is there who needs more than a half.
    public private(set) var isAloneTaken = false
    /// Who was that last.
    private var lastAlone: [Party] = []

    public init(total: Int, waitingMax: Int = 128) {
        self.total = max(2, total)
        share = self.total / 2
        self.waitingMax = waitingMax
        waitingPerPartyMax = max(1, waitingMax / 2)
    }

    public var waitingCount: Int { queue.count }

    public func held(by party: Party) -> Int { shares[party] ?? 0 }

    /// What is counted when somebody needs `bytes`.
    public func chargeable(_ bytes: Int) -> Int { min(max(0, bytes), share) }

    /// - Parameters:
    ///   - bytes: as `chargeable` has it.
    ///   - isAlone: it stands for more than a half; `release` must be told.
    public mutating func ask(_ bytes: Int, isAlone: Bool = false, for parties: [Party], mayWait: Bool = true) -> Outcome {
        let wanted = Waiting(ticket: Ticket(number: lastTicket + 1), bytes: bytes, isAlone: isAlone, parties: parties)
        if held + bytes <= total, isInShare(wanted), !queue.contains(where: isInShare) {
            add(wanted)
            return .granted
        }
        guard mayWait, queue.count < waitingMax,
            parties.allSatisfy({ party in queue.count { $0.parties.contains(party) } < waitingPerPartyMax })
        else { return .refused }
        lastTicket += 1
        queue.append(wanted)
        return .waiting(wanted.ticket)
    }

    /// Takes what is there already and cannot be refused any more: an answer that was made. It may go over the total, which then
    /// keeps others out.
    public mutating func charge(_ bytes: Int, to parties: [Party]) { add(bytes, parties) }

    /// Gives back; returns those in the queue that are granted now.
    public mutating func release(_ bytes: Int, wasAlone: Bool = false, of parties: [Party]) -> [Ticket] {
        held -= bytes
        if wasAlone { isAloneTaken = false }
        for party in parties {
            let left = (shares[party] ?? 0) - bytes
            shares[party] = left > 0 ? left : nil
        }
        return grantWaiting()
    }

    /// Leaves the queue; returns those behind who are granted now. A ticket that is not in it any more was granted.
    public mutating func withdraw(_ ticket: Ticket) -> (wasWaiting: Bool, granted: [Ticket]) {
        guard let place = queue.firstIndex(where: { $0.ticket == ticket }) else { return (false, []) }
        queue.remove(at: place)
        return (true, grantWaiting())
    }

    /// Whether only what all hold together can keep it out.
    private func isInShare(_ wanted: Waiting) -> Bool {
        (!wanted.isAlone || !isAloneTaken) && wanted.parties.allSatisfy { (shares[$0] ?? 0) + wanted.bytes <= share }
    }

    private mutating func add(_ granted: Waiting) {
        add(granted.bytes, granted.parties)
        guard granted.isAlone else { return }
        isAloneTaken = true
        lastAlone = granted.parties
    }

    private mutating func add(_ bytes: Int, _ parties: [Party]) {
        held += bytes
        for party in parties where bytes > 0 { shares[party, default: 0] += bytes }
    }

    private mutating func grantWaiting() -> [Ticket] {
        var granted: [Ticket] = []
        var place = 0
        while place < queue.count {
            let waiting = queue[place]
            guard isInShare(waiting), !mustLetBefore(waiting) else {
                place += 1
                continue
            }
            guard held + waiting.bytes <= total else { break }
            queue.remove(at: place)
            add(waiting)
            granted.append(waiting.ticket)
        }
        return granted
    }

    /// Whoever had the place for one alone last lets another have it.
    private func mustLetBefore(_ waiting: Waiting) -> Bool {
        guard waiting.isAlone, !lastAlone.allSatisfy({ !waiting.parties.contains($0) }) else { return false }
        return queue.contains { other in other.isAlone && isInShare(other) && lastAlone.allSatisfy { !other.parties.contains($0) } }
    }

    /// For tests: what is held is the sum of its parts, and within bounds but for what was charged.
    public func checkInvariants(charged: Int = 0) -> [String] {
        var faults: [String] = []
        if held < 0 || held > total + charged { faults.append("\(held) of \(total) held") }
        for (party, bytes) in shares where bytes <= 0 || bytes > share + charged { faults.append("\(party) holds \(bytes) of \(share)") }
        if queue.count > waitingMax { faults.append("\(queue.count) wait, \(waitingMax) may") }
        if let first = queue.first(where: isInShare), held + first.bytes <= total {
            faults.append("one who could go on waits")
        }
        return faults
    }
}
