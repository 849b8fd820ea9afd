internal import Base
internal import Codings
internal import Service

/// How the body of a request is packed (RFC 9110, section 8.4).
enum ContentCoding: Sendable {
    case identity, gzip, deflate

    private static let known = "gzip, deflate"

    /// - Parameter header: `Content-Encoding`, nil when there is none.
    /// - Throws: 415 for another coding, or several one over the other.
    init(_ header: String?) throws(Refusal) {
        let codings = (header ?? "").split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }.filter { $0 != "identity" && !$0.isEmpty }
        switch codings.first {
        case nil: self = .identity
        case "gzip" where codings.count == 1, "x-gzip" where codings.count == 1: self = .gzip
        case "deflate" where codings.count == 1: self = .deflate
        default:
            throw Refusal(
                .codingUnsupported, "The body is packed as \((header ?? "").excerpt()): send it plain, or in one of \(Self.known)",
                headers: [("Accept-Encoding", Self.known)])
        }
    }

    /// What a body is once it is unpacked, found without unpacking it into memory: what memory is asked for before there is any of it.
    /// - Throws: as `decode` does.
    /// - Complexity: O(bytes that come out).
    func measure(_ bytes: [UInt8], bytesMax: Int) throws(ContexError) -> BodyMeasure {
        var measure = BodyMeasure()
        if self == .identity { measure.add(bytes[...]) } else { _ = try unpack(bytes, bytesMax: bytesMax) { measure.add($0) } }
        return measure
    }

    /// - Parameter count: what comes out, as `measure` has it.
    /// - Throws: `.badRequest` for bytes that are not packed so, `.tooLarge`.
    func decode(_ bytes: consuming [UInt8], count: Int, bytesMax: Int) throws(ContexError) -> [UInt8] {
        if self == .identity { return bytes }
        var plain: [UInt8] = []
        plain.reserveCapacity(count)
        _ = try unpack(bytes, bytesMax: bytesMax) { plain += $0 }
        return plain
    }

    private func unpack(_ bytes: [UInt8], bytesMax: Int, _ take: (ArraySlice<UInt8>) -> Void) throws(ContexError) -> Int {
        guard !bytes.isEmpty else { return 0 }
        let bounds = InflationBounds(bytesMax: bytesMax, ratioMax: Limits.expansionRatio, bytesFree: Limits.expandedBytesFree)
        do throws(InflationError) {
            return self == .gzip ? try Inflation.gzip(bytes, within: bounds, take) : try Inflation.deflate(bytes, within: bounds, take)
        } catch {
            switch error {
            case .damaged: throw ContexError(.bodyUnreadable, "The body is not what Content-Encoding says, or it is cut off")
            case .tooLong(let bytesMax): throw ContexError(.bodyTooLarge, "Request body too large: at most \(bytesMax) bytes are accepted, unpacked")
            case .grows(let ratioMax):
                throw ContexError(
                    .bodyTooLarge,
                    "Request body too large: over \(Limits.expandedBytesFree) bytes it may unpack to at most \(ratioMax) times its size")
            }
        }
    }
}
