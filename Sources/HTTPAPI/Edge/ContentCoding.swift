internal import Base
internal import Codings

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

    /// - Throws: `.badRequest` for bytes that are not packed so, `.tooLarge`.
    func decode(_ bytes: [UInt8], bytesMax: Int) throws(ContexError) -> [UInt8] {
        guard self != .identity, !bytes.isEmpty else { return bytes }
        let bounds = InflationBounds(bytesMax: bytesMax, ratioMax: Limits.expansionRatio, bytesFree: Limits.expandedBytesFree)
        do throws(InflationError) {
            return self == .gzip ? try Inflation.gzip(bytes, within: bounds) : try Inflation.deflate(bytes, within: bounds)
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
