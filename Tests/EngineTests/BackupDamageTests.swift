import Archives
import Base
import Engine
import Foundation
import Hashing
import Journal
import Maintenance
import TestSupport
import Testing

/// Everything that can be wrong with a folder of backups, one thing at a time: each is refused with the backup and what is wrong, and leaves no store.
@Suite struct BackupDamageTests {
    private static func file(_ name: String, _ bytes: [UInt8], in folder: TemporaryFolder) throws -> String {
        let path = folder.path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// A full backup and two increments.
    private static func three(
        seed: UInt64, _ secret: BackupSecret? = nil, withSecrets: Bool = false
    ) async throws -> (data: TemporaryFolder, backups: TemporaryFolder) {
        let (data, backups, clock) = (TemporaryFolder(), TemporaryFolder(), CountingClock())
        var options = BackupOptions(writer: "test")
        options.secret = secret
        options.withSecrets = withSecrets
        for round in 0..<3 {
            let fixture = try Fixture(data, models: WordHash.ascii) {
                $0.journal = .all
                $0.clock = clock
            }
            var mixture = Mixture(fixture, seed: seed + UInt64(round))
            for _ in 0..<15 { try await mixture.step() }
            try await fixture.publish("p0", "round \(round)", .string("lion \(round)"))
            await fixture.database.close()
            _ = try Backup.run(data.path, to: backups.path, options)
        }
        return (data, backups)
    }

    private static let names = ["00000001-full", "00000002-increment", "00000003-increment"]

    /// - Parameter code: what it must be refused with.
    private static func expectRefused(
        _ backups: String, _ what: String, secret: BackupSecret? = nil, code: ErrorCode, says: [String], isFinding: Bool = true
    ) throws {
        let folder = TemporaryFolder()
        let error = #expect(throws: ContexError.self, "\(what)") {
            try Restore.run(from: backups, to: folder.path + "/restored", .latest, secret: secret, mapBytes: 4 << 30)
        }
        #expect(error?.code == code, "\(what): \(String(describing: error))")
        for word in says { #expect(error?.message.contains(word) == true, "\(what): \(error?.message ?? "")") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [], "\(what) left something")
        if isFinding { #expect(try !BackupVerification.run(backups, secret: secret).findings.isEmpty, "\(what)") }
    }

    private static func copied(_ backups: String) throws -> TemporaryFolder {
        let copy = TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: backups) {
            try FileManager.default.copyItem(atPath: backups + "/" + name, toPath: copy.path + "/" + name)
        }
        return copy
    }

    private static func change(_ path: String, _ change: (inout Data) -> Void) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        change(&bytes)
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test(arguments: [false, true]) func flippedBitsCutsAndMissingFiles(_ isEncrypted: Bool) async throws {
        let keys = TemporaryFolder()
        let secret = isEncrypted ? try BackupSecret.keyFile(Self.file("key", Array(0..<32), in: keys)) : nil
        let (data, backups) = try await Self.three(seed: testSeed("flippedBitsCutsAndMissingFiles"), secret, withSecrets: isEncrypted)
        var random = SeededRandom(seed: testSeed("places"))
        let files = ["manifest", "data-00001"] + (isEncrypted ? ["secrets"] : [])
        for name in Self.names {
            for file in files {
                let path = "/" + name + "/" + file
                let size = try Data(contentsOf: URL(fileURLWithPath: backups.path + path)).count
                // The newest pepper is taken; those before it are read by verify only.
                let isRead = file != "secrets" || name == Self.names[2]
                for _ in 0..<4 {
                    let copy = try Self.copied(backups.path)
                    let (place, bit) = (Int(random.below(UInt64(size))), UInt8(1 << random.below(8)))
                    try Self.change(copy.path + path) { $0[place] ^= bit }
                    let what = "byte \(place) of \(path)"
                    guard isRead else {
                        #expect(try !BackupVerification.run(copy.path, secret: secret).findings.isEmpty, "\(what)")
                        continue
                    }
                    // A version that no build knows, and a tag that no key gives, have codes of their own; of one that others follow only these know.
                    var code = ErrorCode.damaged
                    if file == "manifest", [8, 9].contains(place), name == Self.names[2] { code = .formatUnknown }
                    if file == "manifest", isEncrypted, place >= size - 32 { code = .backupKeyWrong }
                    try Self.expectRefused(copy.path, what, secret: secret, code: code, says: [name])
                }
                guard isRead else { continue }
                for change: (what: String, apply: (String) throws -> Void) in [
                    ("cut", { try Self.change($0) { $0.removeLast() } }), ("longer", { try Self.change($0) { $0.append(7) } }),
                    ("empty", { try Self.change($0) { $0.removeAll() } }), ("gone", { try FileManager.default.removeItem(atPath: $0) }),
                ] {
                    let copy = try Self.copied(backups.path)
                    try change.apply(copy.path + path)
                    let code: ErrorCode = file == "secrets" && change.what == "gone" ? .notFound : .damaged
                    try Self.expectRefused(copy.path, "\(path) \(change.what)", secret: secret, code: code, says: [name])
                }
            }
        }
        // Unharmed it is the store.
        let folder = TemporaryFolder()
        let report = try Restore.run(from: backups.path, to: folder.path + "/restored", secret: secret, mapBytes: 4 << 30)
        #expect(try report.contentHash == ContentHash.hex(directory: data.path) && report.hasPepper == isEncrypted)
        if isEncrypted {
            #expect(FileManager.default.contentsEqual(atPath: data.path + "/pepper", andPath: folder.path + "/restored/pepper"))
            let facts = try FileManager.default.attributesOfItem(atPath: folder.path + "/restored/pepper")
            #expect((facts[.posixPermissions] as? Int).map { $0 & 0o077 } == 0)
        }
    }

    @Test func incrementsThatAreMissingForeignOrSwapped() async throws {
        let seed = testSeed("incrementsThatAreMissingForeignOrSwapped")
        let (_, backups) = try await Self.three(seed: seed)
        let (_, others) = try await Self.three(seed: seed &+ 100)
        let files = FileManager.default
        for gone in 0..<2 {
            let copy = try Self.copied(backups.path)
            try files.removeItem(atPath: copy.path + "/" + Self.names[gone])
            try Self.expectRefused(copy.path, "\(Self.names[gone]) missing", code: .damaged, says: [Self.names[gone + 1], "not in"])
        }
        let foreign = try Self.copied(backups.path)
        try files.removeItem(atPath: foreign.path + "/" + Self.names[2])
        try files.copyItem(atPath: others.path + "/" + Self.names[2], toPath: foreign.path + "/" + Self.names[2])
        try Self.expectRefused(foreign.path, "another store's increment", code: .damaged, says: [Self.names[2]])
        // The blocks of another under a manifest of its own kind.
        let mixed = try Self.copied(backups.path)
        try files.removeItem(atPath: mixed.path + "/" + Self.names[2] + "/data-00001")
        try files.copyItem(atPath: backups.path + "/" + Self.names[1] + "/data-00001", toPath: mixed.path + "/" + Self.names[2] + "/data-00001")
        try Self.expectRefused(mixed.path, "another increment's blocks", code: .damaged, says: [Self.names[2], "data-00001"])
        // Names that tell another order.
        let renamed = try Self.copied(backups.path)
        try files.moveItem(atPath: renamed.path + "/" + Self.names[1], toPath: renamed.path + "/00000009-increment")
        try Self.expectRefused(renamed.path, "an increment under a later number", code: .damaged, says: [Self.names[2]], isFinding: true)
        // An increment called a full backup.
        let disguised = try Self.copied(backups.path)
        try files.moveItem(atPath: disguised.path + "/" + Self.names[2], toPath: disguised.path + "/00000003-full")
        try Self.expectRefused(disguised.path, "an increment called full", code: .damaged, says: ["00000003-full"])
        // What was before the damage can be had still, when it is asked for.
        let cut = try Self.copied(backups.path)
        try Self.change(cut.path + "/" + Self.names[2] + "/data-00001") { $0[0] ^= 1 }
        let last = try BackupFolder(cut.path).backups[1].manifest.to.position
        let folder = TemporaryFolder()
        #expect(try Restore.run(from: cut.path, to: folder.path + "/restored", .position(last), mapBytes: 4 << 30).position == last)
    }

    @Test func keysThatAreNotTheBackups() async throws {
        let keys = TemporaryFolder()
        let key = try BackupSecret.keyFile(Self.file("key", Array(0..<32), in: keys))
        let hex = try BackupSecret.keyFile(Self.file("hex", Array((Hexadecimal.text(0..<32) + "\n").utf8), in: keys))
        let other = try BackupSecret.keyFile(Self.file("other", Array(1...32), in: keys))
        let phrase = try BackupSecret.passphraseFile(Self.file("phrase", Array("correct horse battery staple\n".utf8), in: keys))
        let wrong = try BackupSecret.passphraseFile(Self.file("wrong", Array("correct horse battery stapler\n".utf8), in: keys))
        for bad: [UInt8] in [[], [1, 2, 3], Array(0..<33), Array(repeating: UInt8(ascii: "x"), count: 64)] {
            #expect(throws: ContexError.self) { try BackupSecret.keyFile(Self.file("bad", bad, in: keys)) }
        }
        #expect(throws: ContexError.self) { try BackupSecret.passphraseFile(Self.file("bad", Array("\n".utf8), in: keys)) }
        #expect(throws: ContexError.self) { try BackupSecret.keyFile(keys.path + "/none") }

        let seed = testSeed("keysThatAreNotTheBackups")
        let (data, byKey) = try await Self.three(seed: seed, key)
        let (_, byPhrase) = try await Self.three(seed: seed, phrase)
        let (_, plain) = try await Self.three(seed: seed)
        for (backups, secret, what) in [
            (byKey, other, "another key"), (byKey, nil, "no key"), (byKey, phrase, "a passphrase for a key"), (byPhrase, wrong, "another passphrase"),
            (byPhrase, key, "a key for a passphrase"), (plain, key, "a key for a backup in the clear"),
        ] as [(TemporaryFolder, BackupSecret?, String)] {
            try Self.expectRefused(backups.path, what, secret: secret, code: .backupKeyWrong, says: [Self.names[0]])
        }
        for (backups, secret) in [(byKey, hex), (byPhrase, phrase)] {
            let folder = TemporaryFolder()
            let report = try Restore.run(from: backups.path, to: folder.path + "/restored", secret: secret, mapBytes: 4 << 30)
            #expect(!report.hasPepper)
            if backups === byKey { #expect(try report.contentHash == ContentHash.hex(directory: data.path)) }
            // Nothing of what was published can be read in the files.
            for name in Self.names {
                let bytes = try Data(contentsOf: URL(fileURLWithPath: backups.path + "/" + name + "/data-00001"))
                #expect(bytes.range(of: Data("lion".utf8)) == nil)
            }
        }

        // A chain has one key, and stays encrypted.
        var options = BackupOptions(writer: "test")
        for (backups, secret) in [(byKey, other), (byKey, nil), (plain, key)] as [(TemporaryFolder, BackupSecret?)] {
            options.secret = secret
            let error = #expect(throws: ContexError.self) { try Backup.run(data.path, to: backups.path, options) }
            #expect(error?.code == .backupKeyWrong, "\(String(describing: error))")
            #expect(try BackupFolder(backups.path).backups.count == 3)
        }
        options.secret = nil
        options.withSecrets = true
        let open = #expect(throws: ContexError.self) { try Backup.run(data.path, to: plain.path, options) }
        #expect(open?.code == .invalid)
    }

    /// Files of a released version are read for ever.
    @Test func goldenBackupsAreRead() async throws {
        let golden = TestData.checkout.appendingPathComponent("Tests/Golden/backup-v1")
        let keys = TemporaryFolder()
        let secrets: [String: BackupSecret?] = [
            "plain": nil, "key-file": try .keyFile(Self.file("key", Array(0..<32), in: keys)),
            "passphrase": try .passphraseFile(Self.file("phrase", Array("correct horse battery staple".utf8), in: keys)),
        ]
        for (name, secret) in secrets {
            let folder = golden.appendingPathComponent(name).path
            if ProcessInfo.processInfo.environment["CONTEX_TEST_WRITE"] == "1" {
                let (data, backups) = try await Self.three(seed: 1, secret, withSecrets: secret != nil)
                try? FileManager.default.removeItem(atPath: folder)
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                for backup in Self.names { try FileManager.default.copyItem(atPath: backups.path + "/" + backup, toPath: folder + "/" + backup) }
                try Data((ContentHash.hex(directory: data.path) + "\n").utf8).write(to: URL(fileURLWithPath: folder + "/content-hash.txt"))
            }
            let verified = try BackupVerification.run(folder, secret: secret)
            #expect(verified.findings == [] && verified.backups == 3, "\(name)")
            let target = TemporaryFolder()
            let report = try Restore.run(from: folder, to: target.path + "/restored", secret: secret, mapBytes: 4 << 30)
            let hash = try String(contentsOfFile: folder + "/content-hash.txt", encoding: .utf8)
            #expect(report.contentHash + "\n" == hash && report.backups == Self.names && report.hasPepper == (secret != nil), "\(name)")
        }
    }
}
