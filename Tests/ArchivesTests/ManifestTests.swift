import Archives
import Base
import Hashing
import TestSupport
import Testing

@Suite struct ManifestTests {
    static func digest(_ number: UInt8) -> SHA256Digest { SHA256.digest([number]) }
    static let id = BackupID(Array(0..<16))!
    static let scrypt = ScryptParameters(logN: 10, r: 8, p: 1, salt: Array(100..<116))

    static func manifest(
        _ content: BackupManifest.Content, _ encryption: BackupEncryption = .none, blocks: Int = 3, files: [Int] = [2, 1], secrets: Bool = false
    ) -> BackupManifest {
        BackupManifest(
            id: id, content: content, to: BackupPlace(position: Position(rawValue: 77), time: Timestamp(rawValue: 1_700_000_000_000_123)), link: digest(9),
            taken: Timestamp(rawValue: 1_700_000_001_000_000), finished: Timestamp(rawValue: 1_700_000_002_000_000), storeFormat: 2, model: "words@1",
            dimension: 384, items: UInt64(blocks) * 10, writer: "0.1.0", encryption: encryption, files: files,
            blocks: (0..<blocks).map { BackupBlock(plainBytes: 1_000 + $0, storedBytes: 500 + $0, digest: digest(UInt8($0))) },
            secrets: secrets ? BackupBlock(plainBytes: 40, storedBytes: 60, digest: digest(200)) : nil)
    }

    static let increment = BackupManifest.Content.increment(
        follows: BackupID(Array(50..<66))!, from: BackupPlace(position: Position(rawValue: 70), time: Timestamp(rawValue: 1_600_000_000_000_000)),
        baseLink: digest(8))
    static let full = BackupManifest.Content.full(contentHash: digest(7))
    static let secret = SecretKey(Array(32..<64))!
    static let key = BackupKey(secret, of: id)

    /// In the order of the golden file.
    static let all: [(name: String, manifest: BackupManifest, key: BackupKey?)] = [
        ("full", manifest(full), nil),
        ("increment", manifest(increment), nil),
        ("full, key file, secrets", manifest(full, .keyFile, secrets: true), key),
        ("increment, passphrase", manifest(increment, .passphrase(scrypt), blocks: 1, files: [1]), key),
    ]

    @Test func theBytesAreThoseOfVersion1() throws {
        let path = "backup-v1/manifests.txt"
        let made = Self.all.map { GoldenRecord(key: Array($0.name.utf8), value: $0.manifest.encode(key: $0.key)) }
        try GoldenRecord.rewriteIfAsked(path, made)
        #expect(try GoldenRecord.file(path) == made)
        for (record, known) in zip(try GoldenRecord.file(path), Self.all) {
            let (manifest, signature) = try BackupManifest.decode(record.value)
            #expect(manifest == known.manifest)
            if let key = known.key { try signature.verify(key) }
        }
    }

    @Test(arguments: all.map(\.name)) func anyOtherByteIsRefused(_ name: String) throws {
        let (_, manifest, key) = Self.all.first { $0.name == name }!
        let bytes = manifest.encode(key: key)
        for length in bytes.indices { #expect(throws: ContexError.self) { try BackupManifest.decode(Array(bytes[..<length])) } }
        #expect(throws: ContexError.self) { try BackupManifest.decode(bytes + [0]) }
        for place in bytes.indices {
            for bit in [UInt8(1), 0x10, 0x80] {
                var changed = bytes
                changed[place] ^= bit
                let refused: ContexError? = #expect(throws: ContexError.self, "byte \(place)") {
                    let (_, signature) = try BackupManifest.decode(changed)
                    // Of the tag alone, which stands last, only a key can tell.
                    if let key { try signature.verify(key) }
                }
                let expected: Set<ErrorCode> = place >= bytes.count - 32 && key != nil ? [.backupKeyWrong] : [.damaged, .formatUnknown]
                #expect(refused.map { expected.contains($0.code) } == true, "byte \(place): \(String(describing: refused))")
            }
        }
    }

    @Test func anotherVersionIsNamed() throws {
        var bytes = Self.all[0].manifest.encode(key: nil)
        bytes[9] = 2
        let error = #expect(throws: ContexError.self) { try BackupManifest.decode(bytes) }
        #expect(error?.code == .formatUnknown && error?.message.contains("format 2") == true)
    }

    @Test func whatContradictsItselfIsRefused() {
        var wrong = Self.manifest(Self.increment)
        wrong = BackupManifest(
            id: wrong.id, content: wrong.content, to: BackupPlace(position: Position(rawValue: 70), time: wrong.to.time), link: wrong.link, taken: wrong.taken,
            finished: wrong.finished, storeFormat: 2, model: "", dimension: 1, items: 30, writer: "", encryption: .none, files: wrong.files,
            blocks: wrong.blocks, secrets: nil)
        #expect(throws: ContexError.self) { try BackupManifest.decode(wrong.encode(key: nil)) }
        #expect(throws: ContexError.self, "secrets in the clear") { try BackupManifest.decode(Self.manifest(Self.full, secrets: true).encode(key: nil)) }
        #expect(throws: ContexError.self, "items without blocks") { try BackupManifest.decode(Self.emptyWithItems.encode(key: nil)) }
        let greedy = Self.manifest(Self.full, .passphrase(ScryptParameters(logN: 25, r: 8, p: 1, salt: Self.scrypt.salt)))
        #expect(throws: ContexError.self, "4 GiB for a key") { try BackupManifest.decode(greedy.encode(key: Self.key)) }
    }

    private static let emptyWithItems = BackupManifest(
        id: id, content: full, to: BackupPlace(position: .zero, time: Timestamp(rawValue: 0)), link: nil, taken: Timestamp(rawValue: 0),
        finished: Timestamp(rawValue: 0), storeFormat: 2, model: "", dimension: 1, items: 3, writer: "", encryption: .none, files: [], blocks: [], secrets: nil)

    @Test(arguments: [true, false]) func aBlockOpensInItsPlaceOnly(_ isEncrypted: Bool) throws {
        let key = isEncrypted ? Self.key : nil
        let other = BackupKey(Self.secret, of: BackupID(Array(1...16))!)
        var sealer = BlockSealer(id: Self.id, key: key)
        let plain = Array("A block of text, a block of text, a block of text.".utf8)
        let (stored, block) = sealer.seal(plain, at: .data(5))
        let manifest = Self.manifest(Self.full, isEncrypted ? .keyFile : .none)
        #expect(try manifest.open(stored[...], as: block, at: .data(5), key: key) == plain)
        for place in stored.indices {
            var changed = stored
            changed[place] ^= 1
            #expect(throws: ContexError.self) { try manifest.open(changed[...], as: block, at: .data(5), key: key) }
            // Whoever changes a block can change its sum in a manifest that is not signed, and then still has to make a frame of it.
            let forged = BackupBlock(plainBytes: block.plainBytes, storedBytes: block.storedBytes, digest: SHA256.digest(changed))
            if isEncrypted { #expect(throws: ContexError.self) { try manifest.open(changed[...], as: forged, at: .data(5), key: key) } }
        }
        #expect(throws: ContexError.self) { try manifest.open(stored.dropLast(), as: block, at: .data(5), key: key) }
        let larger = BackupBlock(plainBytes: block.plainBytes + 1, storedBytes: block.storedBytes, digest: block.digest)
        #expect(throws: ContexError.self) { try manifest.open(stored[...], as: larger, at: .data(5), key: key) }
        guard isEncrypted else { return }
        #expect(throws: ContexError.self) { try manifest.open(stored[...], as: block, at: .data(6), key: key) }
        #expect(throws: ContexError.self) { try manifest.open(stored[...], as: block, at: .secrets, key: key) }
        #expect(throws: ContexError.self) { try manifest.open(stored[...], as: block, at: .data(5), key: other) }
        #expect(!String(decoding: stored, as: UTF8.self).contains("block of text"))
    }
}
