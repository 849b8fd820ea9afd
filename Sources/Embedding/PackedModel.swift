// The weights in the form that the kernels read, mapped from a file beside the model.
//
// Packing reads the 90 MB of model.safetensors, checks their SHA-256 and writes 45 MB of halves in panels: about 0.2 s. It is
// done once: the result is written as `model.float32.packed` into the model folder when that can be written, whole and then
// renamed, and mapped from there at every later start, by every process. Where it cannot be written it stays in memory. The products in
// int8 are a second such file, `model.int8.packed`, 11 MB.
//
//     start:  header good, of this source (size, time of change), payload's checksum good?  --yes--> map and go: 10 ms
//                     | no                                                    | damaged
//             hash the source, check SHA256SUMS, pack, write, rename  <-------+
//
// The packed file names the source by its SHA-256. A source with another size or time of change is hashed and packed anew, so
// replacing the model needs no second step. A flipped bit in the packed file is found by its checksum, one in the
// source by the digest in SHA256SUMS, which tools/setup writes; without that file a changed source is a different model with a
// different identity.

internal import Base
internal import CKernels
internal import FoundationEssentials
internal import Hashing
internal import Synchronization
#if canImport(Glibc)
internal import Glibc
#endif

/// The payload of a packed model and what it was made from.
///
/// `@unchecked Sendable`: the bytes are written before the initializer returns and never after, and stay until the object goes.
@safe final class PackedModel: @unchecked Sendable {
    let layout: PackedLayout
    /// SHA-256 of model.safetensors.
    let sourceDigest: SHA256Digest
    /// False: packed into memory of this process.
    let isMapped: Bool
    let payload: UnsafeRawPointer
    private let file: MappedFile?
    private let memory: UnsafeMutableRawPointer?

    /// Maps the packed model, or makes it.
    /// - Parameters:
    ///   - checksums: the lines of SHA256SUMS, by file name.
    ///   - inputs: of the products, in their order, asked for when int8 is packed.
    static func open(
        folder: String, configuration: ModelConfiguration, precision: EmbeddingPrecision, checksums: [String: String],
        inputs: () -> [InputStatistics]
    ) throws(ContexError) -> PackedModel {
        let source = folder + "/" + sourceName
        let stamp = try SourceStamp(path: source)
        let path = folder + "/" + Header.fileName(precision)
        func check(_ digest: SHA256Digest) throws(ContexError) {
            if let expected = checksums[sourceName], expected != digest.hex {
                throw modelFolderError("\(sourceName) is damaged: its SHA-256 is \(digest.hex), SHA256SUMS says \(expected)")
            }
        }
        if let found = mapped(path, configuration, precision, stamp) {
            try check(found.sourceDigest)
            return found
        }
        let packed = try PackedModel(packing: source, configuration, precision, inputs, check)
        let header = unsafe Header(
            configuration, precision, stamp, packed.sourceDigest, checksum: PackedModel.checksum(packed.payload, packed.layout.byteCount))
        // Not being allowed to write beside the model is no fault: it stays in memory.
        guard unsafe write(header, packed.payload, packed.layout.byteCount, to: path) else { return packed }
        return mapped(path, configuration, precision, stamp) ?? packed
    }

    static let sourceName = "model.safetensors"

    // MARK: Reading

    /// Nil when there is no such file, or not of this source, or damaged.
    private static func mapped(
        _ path: String, _ configuration: ModelConfiguration, _ precision: EmbeddingPrecision, _ stamp: SourceStamp
    ) -> PackedModel? {
        guard let file = try? MappedFile(path: path, name: "") else { return nil }
        let layout = PackedLayout(configuration, precision)
        guard unsafe file.bytes.count == Header.byteCount + layout.byteCount,
            let header = unsafe Header(UnsafeRawBufferPointer(rebasing: file.bytes[..<Header.byteCount])), header.stamp == stamp,
            header.sizes == Header.sizes(configuration, precision)
        else { return nil }
        let payload = unsafe file.bytes.baseAddress! + Header.byteCount
        guard unsafe checksum(payload, layout.byteCount) == header.checksum else { return nil }
        return unsafe PackedModel(layout, header.digest, payload, file: file)
    }

    private static func checksum(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt32 { unsafe ck_crc32c(0, bytes, count) }

    private init(_ layout: PackedLayout, _ digest: SHA256Digest, _ payload: UnsafeRawPointer, file: MappedFile) {
        self.layout = layout
        sourceDigest = digest
        unsafe self.payload = unsafe payload
        self.file = file
        unsafe memory = nil
        isMapped = true
    }

    deinit { unsafe memory?.deallocate() }

    // MARK: Packing

    private init(
        packing source: String, _ configuration: ModelConfiguration, _ precision: EmbeddingPrecision, _ inputs: () -> [InputStatistics],
        _ check: (SHA256Digest) throws(ContexError) -> Void
    ) throws(ContexError) {
        let file = try SafetensorsFile(path: source, name: Self.sourceName)
        let weights = try SourceWeights(file, configuration)
        let digest = file.digest()
        try check(digest)
        let layout = PackedLayout(configuration, precision)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: layout.byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: layout.byteCount)
        let outside: Int
        do {
            outside = try unsafe weights.pack(into: memory, layout, inputs: inputs())
        } catch {
            unsafe memory.deallocate()
            throw error
        }
        self.layout = layout
        sourceDigest = digest
        unsafe payload = UnsafeRawPointer(memory)
        self.file = nil
        unsafe self.memory = unsafe memory
        isMapped = false
        if outside > 0 {
            throw modelFolderError("\(Self.sourceName) has \(outside) weights that are no numbers or beyond float16 (65504)")
        }
    }

    // MARK: Writing

    /// The whole file under a name of its own, then renamed; false when any of it does not work.
    private static func write(_ header: Header, _ payload: UnsafeRawPointer, _ count: Int, to path: String) -> Bool {
        var name = Array("\(path).\(getpid()).XXXXXX\0".utf8CString.dropLast())
        let descriptor = unsafe name.withUnsafeMutableBufferPointer { unsafe mkstemp($0.baseAddress!) }
        guard descriptor >= 0 else { return false }
        var good = unsafe header.bytes.withUnsafeBytes { unsafe writeAll(descriptor, $0.baseAddress!, $0.count) }
        good = unsafe good && writeAll(descriptor, payload, count) && fchmod(descriptor, 0o644) == 0 && fsync(descriptor) == 0
        close(descriptor)
        good = unsafe good && rename(name, path) == 0
        if !good { unsafe unlink(name) }
        return good
    }

    private static func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        var at = 0
        while at < count {
            let written = unsafe Glibc.write(descriptor, bytes + at, count - at)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return false }
            at += written
        }
        return true
    }
}

/// By what a source is taken for unchanged without reading it.
struct SourceStamp: Equatable, Sendable {
    let size: UInt64
    let changedNanoseconds: UInt64

    init(size: UInt64, changedNanoseconds: UInt64) {
        self.size = size
        self.changedNanoseconds = changedNanoseconds
    }

    init(path: String) throws(ContexError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw modelFolderError("\(PackedModel.sourceName) cannot be opened (\(unsafe String(cString: strerror(errno))))")
        }
        size = UInt64(status.st_size)
        changedNanoseconds = UInt64(bitPattern: Int64(status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec))
    }
}

/// The first page of a packed file.
private struct Header {
    static let byteCount = 4_096
    static let magic: [UInt8] = Array("CTXPACK2".utf8)

    let sizes: [UInt64]
    let stamp: SourceStamp
    let digest: SHA256Digest
    let checksum: UInt32

    static func fileName(_ precision: EmbeddingPrecision) -> String { "model.\(precision.rawValue).packed" }

    static func sizes(_ configuration: ModelConfiguration, _ precision: EmbeddingPrecision) -> [UInt64] {
        [
            precision == .int8 ? 1 : 0, configuration.hidden, configuration.layers, configuration.intermediate, configuration.vocabulary,
            configuration.positions,
        ].map { UInt64($0) }
    }

    init(
        _ configuration: ModelConfiguration, _ precision: EmbeddingPrecision, _ stamp: SourceStamp, _ digest: SHA256Digest, checksum: UInt32
    ) {
        sizes = Self.sizes(configuration, precision)
        self.stamp = stamp
        self.digest = digest
        self.checksum = checksum
    }

    private static let sizeCount = 6
    /// Magic, sizes, stamp, digest, checksum of the payload.
    private static let usedBytes = 8 + sizeCount * 8 + 16 + 32 + 4

    /// Nil when the bytes are no such header or damaged.
    init?(_ bytes: UnsafeRawBufferPointer) {
        let all = unsafe Array(bytes)
        func number(_ at: Int, _ count: Int) -> UInt64 { all[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        guard all.count == Self.byteCount, Array(all[..<8]) == Self.magic,
            number(Self.usedBytes, 4) == UInt64(CRC32C.of(Array(all[..<Self.usedBytes])))
        else { return nil }
        sizes = (0..<Self.sizeCount).map { number(8 + 8 * $0, 8) }
        let after = 8 + Self.sizeCount * 8
        stamp = SourceStamp(size: number(after, 8), changedNanoseconds: number(after + 8, 8))
        digest = SHA256Digest(all[after + 16..<after + 48])!
        checksum = UInt32(number(after + 48, 4))
    }

    var bytes: [UInt8] {
        var all = Self.magic
        func append(_ value: UInt64, _ count: Int) { for byte in 0..<count { all.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))) } }
        for size in sizes { append(size, 8) }
        append(stamp.size, 8)
        append(stamp.changedNanoseconds, 8)
        all += digest.bytes
        append(UInt64(checksum), 4)
        append(UInt64(CRC32C.of(all)), 4)
        return all + [UInt8](repeating: 0, count: Self.byteCount - all.count)
    }
}
