// safetensors: eight bytes with the length of a header (little-endian), the header in JSON, then the numbers.
//
//     | u64 n | {"name": {"dtype": "F32", "shape": [384, 384], "data_offsets": [begin, end]}, ...} | data ... |
//
// Offsets count from the end of the header. Every one is checked against the file before anything is read through it.

internal import Base
internal import FoundationEssentials
internal import Hashing

/// Named tensors of float32 inside a mapped file, used where they lie.
@safe struct SafetensorsFile: Sendable {
    struct Tensor: Sendable, Decodable {
        let type: String
        let shape: [Int]
        let range: [Int]

        private enum CodingKeys: String, CodingKey {
            case type = "dtype"
            case shape
            case range = "data_offsets"
        }
    }

    /// The header's members but `__metadata__`, which has another form.
    private struct Header: Decodable {
        struct Key: CodingKey {
            let stringValue: String
            init?(stringValue: String) { self.stringValue = stringValue }
            var intValue: Int? { nil }
            init?(intValue: Int) { nil }
        }
        let tensors: [String: Tensor]

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            var tensors: [String: Tensor] = [:]
            for key in container.allKeys where key.stringValue != "__metadata__" {
                tensors[key.stringValue] = try container.decode(Tensor.self, forKey: key)
            }
            self.tensors = tensors
        }
    }

    private let file: MappedFile
    private let name: String
    private let tensors: [String: Tensor]
    private let dataStart: Int

    /// Headers of real models are a few kilobytes; the format's own limit is 100 MB.
    private static let headerBytesMax = 16 << 20

    init(path: String, name: String) throws(ContexError) {
        let file = try MappedFile(path: path, name: name)
        let size = unsafe file.bytes.count
        guard size >= 8 else { throw modelFolderError("\(name) has \(size) bytes, less than a header's length takes") }
        let length = UInt64(littleEndian: unsafe file.bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(min(size - 8, Self.headerBytesMax)) else {
            throw modelFolderError("\(name) says that its header has \(length) bytes, but the file has \(size)")
        }
        let dataStart = 8 + Int(length)
        let header: Header
        do {
            header = try unsafe JSONDecoder().decode(Header.self, from: Data(file.bytes[8..<dataStart]))
        } catch {
            throw modelFolderError("the header of \(name) is no table of tensors in JSON")
        }
        for (key, tensor) in header.tensors {
            guard tensor.range.count == 2, tensor.range[0] >= 0, tensor.range[0] <= tensor.range[1], tensor.range[1] <= size - dataStart else {
                throw modelFolderError("\(name) is cut or damaged: the tensor \(key) lies outside the file")
            }
        }
        self.file = file
        self.name = name
        self.dataStart = dataStart
        tensors = header.tensors
    }

    /// The numbers of a float32 tensor of exactly this shape.
    ///
    /// The pointer lives as long as this value.
    @unsafe func floats(_ key: String, _ shape: [Int]) throws(ContexError) -> UnsafePointer<Float> {
        guard let tensor = tensors[key] else { throw modelFolderError("\(name) has no tensor \(key)") }
        guard tensor.type == "F32" else { throw modelFolderError("the tensor \(key) of \(name) has type \(tensor.type), F32 is expected") }
        guard tensor.shape == shape else { throw modelFolderError("the tensor \(key) of \(name) has shape \(tensor.shape), \(shape) is expected") }
        var bytes = 4
        for side in shape {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: side)
            guard !overflow else { throw modelFolderError("the tensor \(key) of \(name) is larger than memory") }
            bytes = product
        }
        guard tensor.range[1] - tensor.range[0] == bytes else {
            throw modelFolderError("the tensor \(key) of \(name) has \(tensor.range[1] - tensor.range[0]) bytes, its shape takes \(bytes)")
        }
        let start = dataStart + tensor.range[0]
        guard start % MemoryLayout<Float>.alignment == 0 else { throw modelFolderError("the tensor \(key) of \(name) is not aligned to four bytes") }
        return unsafe file.bytes.baseAddress!.advanced(by: start).assumingMemoryBound(to: Float.self)
    }

    func has(_ key: String) -> Bool { tensors[key] != nil }

    /// SHA-256 of the whole file.
    /// - Complexity: O(bytes); 90 MB take about 60 ms where the processor has SHA instructions.
    func digest() -> SHA256Digest { unsafe SHA256.digest(RawSpan(_unsafeBytes: file.bytes)) }
}
