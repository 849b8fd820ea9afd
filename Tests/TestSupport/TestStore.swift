internal import Base
public import KeySpace
public import LMDB

/// An LMDB store that goes away with the test, and ways to look at its bytes and to damage them.
public struct TestStore: Sendable {
    private let folder = TemporaryFolder()
    public let environment: Environment
    public let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7))

    public init() throws {
        environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
    }

    @discardableResult
    public func write<R>(_ body: (inout WriteTransaction) throws -> R) throws -> R {
        var transaction = try environment.beginWrite()
        let result = try body(&transaction)
        try transaction.commit()
        return result
    }

    public func read<R>(_ body: (borrowing TransactionView) throws -> R) throws -> R { try environment.read(body) }

    public func payload(_ key: [UInt8]) throws -> [UInt8]? {
        try environment.read { (view: borrowing TransactionView) throws in try view.loadBytes(key) }
    }

    /// Stores a payload under a seal of its own, nil deletes; then runs `body` on the state and forgets the change.
    public func afterPlanting<R>(
        _ payload: [UInt8]?, under key: [UInt8], _ body: (borrowing TransactionView) throws -> R
    ) throws -> R {
        var transaction = try environment.beginWrite()
        if let payload { try transaction.store(key, payload) } else { try transaction.delete(key) }
        return try body(transaction.view)
    }

    /// Every key and sealed value, in the order of the keys.
    public func records() throws -> [GoldenRecord] {
        try environment.read { (view: borrowing TransactionView) throws in
            var all: [GoldenRecord] = []
            try view.scan(prefix: []) { key, value in
                all.append(GoldenRecord(key: Array(key), value: Array(value)))
                return .onward
            }
            return all
        }
    }

    /// What a decoder makes of damaged payloads: the payload under `key` cut at every length, lengthened, and with each byte
    /// changed, each under a sound seal.
    ///
    /// - Returns: a sentence for each cut or lengthened payload that was read, and for each error that is neither `ByteError` nor
    ///   a `ContexError`. A changed byte may be read (it may be another name), only not trap.
    public func decoderFaults(under key: [UInt8], _ read: (borrowing TransactionView) throws -> Void) throws -> [String] {
        guard let sound = try payload(key) else { return ["no record to damage"] }
        var faults: [String] = []
        func attempt(_ payload: [UInt8], _ what: String, mayRead: Bool) throws {
            var transaction = try environment.beginWrite()
            try transaction.store(key, payload)
            do {
                try read(transaction.view)
                if !mayRead { faults.append("\(what) was read") }
            } catch is ByteError {
            } catch is ContexError {
            } catch {
                faults.append("\(what) threw \(error)")
            }
        }
        try attempt(sound, "sound payload", mayRead: true)
        for length in sound.indices { try attempt(Array(sound[..<length]), "payload cut to \(length) bytes", mayRead: false) }
        for excess in [[0], [0xFF], [1, 2, 3]] as [[UInt8]] { try attempt(sound + excess, "payload with \(excess.count) bytes more", mayRead: false) }
        for place in sound.indices {
            for byte: UInt8 in [0, 0x7F, 0x80, 0xFF, sound[place] &+ 1, sound[place] ^ 0x40] {
                var changed = sound
                changed[place] = byte
                try attempt(changed, "payload with byte \(place) set to \(byte)", mayRead: true)
            }
        }
        return faults
    }
}

extension TestStore {
    /// A store that holds what another build wrote.
    public init(records: [GoldenRecord]) throws {
        try self.init()
        try write { (transaction: inout WriteTransaction) throws in
            for record in records { try transaction.put(record.key, record.value) }
        }
    }
}
