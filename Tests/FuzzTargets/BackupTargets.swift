// Backups: manifests, blocks and items, behind the sums that would keep every other byte from them.

internal import Archives
internal import Base
internal import Hashing
internal import TestSupport

extension FuzzTargets {
    static let backups: [FuzzTarget] = [manifests, blocks, items]

    private static func refused(_ error: ContexError) throws {
        try require([.damaged, .formatUnknown].contains(error.code) && !error.message.isEmpty, "refused as \(error.code)")
    }

    private static let manifests = FuzzTarget(
        "backup-manifest", "what is read as a manifest is written and read to the same again; the rest is refused as damage",
        seeds: { try GoldenRecord.file("backup-v1/manifests.txt").map { Array($0.value.dropLast(SHA256Digest.byteCount)) } }
    ) { input in
        // With the sum that it would have, and with a tag behind it.
        let whole = input + SHA256.digest(input).bytes
        for bytes in [whole, whole + [UInt8](repeating: 0, count: SHA256Digest.byteCount)] {
            let manifest: BackupManifest
            do throws(ContexError) {
                manifest = try BackupManifest.decode(bytes).manifest
            } catch {
                try refused(error)
                continue
            }
            let key = manifest.encryption == .none ? nil : BackupKey(SecretKey(Array(0..<32))!, of: manifest.id)
            let written = manifest.encode(key: key)
            try require(written.count <= bytes.count, "a manifest that grows when it is read")
            try require(try BackupManifest.decode(written).manifest == manifest, "a manifest that changes when it is read")
        }
    }

    /// The size that the block claims in two bytes, then the frame.
    private static let blocks = FuzzTarget(
        "backup-block", "a block gives as many bytes as it claims, or is refused as damage",
        seeds: {
            var sealer = BlockSealer(id: blockID, key: nil)
            return [[UInt8](repeating: 7, count: 300), Array("a block of a few words, a block of a few words".utf8)].map {
                [UInt8($0.count >> 8), UInt8($0.count & 0xFF)] + sealer.seal($0, at: .data(0)).stored
            }
        }
    ) { input in
        var reader = InputReader(input)
        let size = 1 + (reader.byte() << 8 | reader.byte())
        let frame = reader.rest
        for claimed in [size - 1, size] where claimed > 0 {
            let block = BackupBlock(plainBytes: claimed, storedBytes: frame.count, digest: SHA256.digest(frame))
            let plain: [UInt8]
            do throws(ContexError) {
                plain = try anyManifest.open(frame[...], as: block, at: .data(0), key: nil)
            } catch {
                try refused(error)
                continue
            }
            try require(plain.count == claimed, "\(plain.count) bytes of \(claimed)")
        }
    }

    private static let blockID = BackupID([UInt8](repeating: 1, count: BackupID.byteCount))!
    private static let anyManifest = BackupManifest(
        id: blockID, content: .full(contentHash: .zero), to: BackupPlace(position: .zero, time: Timestamp(rawValue: 0)), link: nil,
        taken: Timestamp(rawValue: 0), finished: Timestamp(rawValue: 0), storeFormat: 2, model: "", dimension: 1, items: 0, writer: "", encryption: .none,
        files: [], blocks: [], secrets: nil)

    /// How many bytes are fed at a time, then the content.
    private static let items = FuzzTarget(
        "backup-items", "items are the same however their bytes are cut, or refused as damage",
        seeds: {
            var (records, commands): ([UInt8], [UInt8]) = ([3], [200])
            var cutter = BlockCutter()
            for value in [[], [1, 2, 3], [UInt8](repeating: 9, count: 200)] as [[UInt8]] {
                let key: [UInt8] = [0, 0, 0, 1, UInt8(value.count)]
                unsafe cutter.record(key.span.bytes, value.span.bytes) { records += $0 }
            }
            cutter.finish { records += $0 }
            var second = BlockCutter()
            for number in 1...3 {
                let place = BackupPlace(position: Position(rawValue: UInt64(number)), time: Timestamp(rawValue: Int64(number)))
                second.command(place, [UInt8](repeating: 5, count: 70 * number)) { commands += $0 }
            }
            second.finish { commands += $0 }
            return [records, commands]
        }
    ) { input in
        var reader = InputReader(input)
        let size = 1 + reader.byte()
        let content = reader.rest
        try require(try read(content, size, record) == read(content, max(1, content.count), record), "records that depend on how they were cut")
        try require(try read(content, size, command) == read(content, max(1, content.count), command), "commands that depend on how they were cut")
    }

    private static func record(_ reader: inout ItemReader) throws(ContexError) -> [UInt8]? {
        try reader.record().map { Array($0.key) + [0] + Array($0.value) }
    }

    private static func command(_ reader: inout ItemReader) throws(ContexError) -> [UInt8]? {
        try reader.command().map { Array("\($0.place)".utf8) + Array($0.command) }
    }

    /// The items until the end or the first fault, and whether there was one.
    private static func read(
        _ content: [UInt8], _ size: Int, _ next: (inout ItemReader) throws(ContexError) -> [UInt8]?
    ) throws -> [[UInt8]] {
        var (reader, items, place) = (ItemReader(), [[UInt8]](), 0)
        do throws(ContexError) {
            while place < content.count {
                let end = min(content.count, place + size)
                reader.feed(Array(content[place..<end]))
                place = end
                while let item = try next(&reader) { items.append(item) }
            }
            try reader.finish()
        } catch {
            try refused(error)
            items.append([])
        }
        return items
    }
}
