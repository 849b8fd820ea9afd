// Large commands are proposed in parts (Commands/CommandParts.swift), so that no entry of the journal is larger than one.

public import Base
internal import Hashing
internal import Synchronization

/// The commands whose parts are on their way in this process; what else there is of parts in the store, nobody will make whole.
final class PartsUnderWay: Sendable {
    private let numbers = Mutex<Set<UInt64>>([])

    func begin() -> UInt64 {
        numbers.withLock { numbers in
            while true {
                let number = UInt64.random(in: .min ... .max)
                if numbers.insert(number).inserted { return number }
            }
        }
    }

    func end(_ number: UInt64) { _ = numbers.withLock { $0.remove(number) } }
    func has(_ number: UInt64) -> Bool { numbers.withLock { $0.contains(number) } }
}

extension Database {
    /// Submits a command as it is, or, when it is larger than a part, in parts.
    /// - Throws: what refuses the command; nothing of it is left then.
    func submitInParts(_ command: Command) async throws {
        guard command.weight > Limits.commandPartBytes else { return _ = try await submit(command) }
        let bytes = try await onHeavyPool { CommandCodec.encode(command) }
        let (size, tenant, time) = (Limits.commandPartBytes, command.tenant, command.time)
        let parts = (bytes.count + size - 1) / size
        guard parts <= Limits.commandParts else {
            let most = Limits.commandParts * size
            throw ContexError(.tooLarge, "The import comes to \(bytes.count) bytes with its vectors, \(most) are the most: import it line by line")
        }
        let number = partsUnderWay.begin()
        defer { partsUnderWay.end(number) }
        do {
            for part in 0..<parts {
                let piece = Array(bytes[part * size..<min(bytes.count, (part + 1) * size)])
                _ = try await submit(.keepPart(.init(tenant: tenant, number: number, part: part, bytes: piece, time: time)))
            }
            let digest = try await onHeavyPool { SHA256.digest(bytes) }
            _ = try await submit(.assembled(.init(tenant: tenant, number: number, parts: parts, digest: digest, time: time)))
        } catch {
            // What stays, because even this is refused, goes with `dropAbandonedParts`.
            _ = try? await submit(.keepPart(.init(tenant: tenant, number: number, part: nil, bytes: [], time: time)))
            throw error
        }
    }

    /// Lets parts go that nobody will make whole: of a process that was stopped, and of commands that were refused when nothing could be written.
    /// To be called now and then.
    /// - Returns: how many there were.
    @discardableResult
    public func dropAbandonedParts(_ tenant: TenantID) async throws -> Int {
        var gone = 0
        for number in try await read({ try CommandParts.numbers(tenant, in: $0) }) where !partsUnderWay.has(number) {
            let outcome = try await submit(.keepPart(.init(tenant: tenant, number: number, part: nil, bytes: [], time: now())))
            guard case .removed(let count) = outcome else { throw outcome.mismatch }
            gone += count
        }
        return gone
    }
}
