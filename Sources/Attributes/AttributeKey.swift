// Where a value lies in the index: the bytes of a key after tenant, project and kind (docs/formats/attributes-v1.md).
//
//     field, 1 byte  |  path and 0x00 (metadata only)  |  kind of value, 1 byte  |  value  |  number of the chunk, 4 bytes
//
// Every encoding of a value ends by itself (a fixed size, or an end byte), so that the keys of one value are a prefix, the
// keys of a range of values a stretch, and the keys of the texts with a common beginning a prefix again. Paths are spelled out rather than
// numbered: a table of paths would need counting to lose those that nobody uses any more.

internal import Base
internal import Hashing

/// An attribute that a filter can name.
public enum AttributeField: Sendable, Hashable {
    /// The keys on the way to a value, joined by dots. An array has the path of its items.
    case metadata(path: String)
    case dataKey
    case dataFormat
    case publishedBy
    case updatedAt
}

enum AttributeKey {
    /// Bytes of a text inside a key; of a longer one a digest follows. 9 of prefix, 1, 192 of path, 1, 1, this, 1, 16 and 4 are 481 of LMDB's 511.
    static let textBytes = Limits.filterOrderedTextBytes
    /// Of SHA-256: two texts of one beginning are taken for equal when these are.
    static let digestBytes = 16

    /// Of every number that a document has.
    static let every: [UInt8] = [0x01, 0x00]
    /// Of those that are no nodes but the further passages of long ones.
    static let furtherPassages: [UInt8] = [0x01, 0x01]
    /// What every field of metadata begins with.
    static let anyMetadata: [UInt8] = [0x10]

    /// - Precondition: not `.updatedAt`, which has a column of its own.
    static func prefix(_ field: AttributeField) -> [UInt8] {
        switch field {
        case .dataKey: [0x02]
        case .dataFormat: [0x03]
        case .publishedBy: [0x04]
        case .metadata(let path): anyMetadata + Array(path.utf8) + [0x00]
        case .updatedAt: preconditionFailure("times are not kept by value")
        }
    }

    /// Of the nodes for which the field is there at all.
    static func exists(_ field: AttributeField) -> [UInt8] { prefix(field) + [Kind.exists.rawValue] }

    enum Kind: UInt8 {
        case exists = 0x00
        case null = 0x10
        case bool = 0x20
        case number = 0x30
        case date = 0x40
        case text = 0x50

        init(_ value: AttributeValue) {
            self =
                switch value {
                case .null: .null
                case .bool: .bool
                case .number: .number
                case .date: .date
                case .text: .text
                }
        }
    }

    static func key(_ field: AttributeField, _ value: AttributeValue) -> [UInt8] {
        var key = prefix(field)
        key.append(Kind(value).rawValue)
        switch value {
        case .null: break
        case .bool(let bool): key.append(bool ? 1 : 0)
        case .number(let number):
            let bits = number.double.bitPattern
            // Doubles in the order of unsigned numbers: the sign flipped, negative ones upside down.
            key.append(bigEndian: number.double.sign == .minus ? ~bits : bits | 1 << 63)
            key.append(bigEndian: number.rest)
        case .date(let time): key.append(bigEndian: UInt64(bitPattern: time.rawValue) ^ 1 << 63)
        case .text(let text):
            let utf8 = Array(text.text.utf8)
            guard utf8.count > textBytes else {
                key += utf8
                // No text has NUL in it, so this ends it, and a text comes before those that go on where it ends.
                key.append(0x00)
                break
            }
            key += utf8[..<textBytes]
            key.append(0x01)
            key += SHA256.digest(utf8).bytes[..<digestBytes]
        }
        return key
    }

    /// The attribute that a key is about, in the words of a filter.
    static func describe(_ key: some Collection<UInt8>) -> String {
        switch key.first {
        case 0x01 where key.dropFirst().first == 0x01: "further passages"
        case 0x01: "every node"
        case 0x02: "data_key"
        case 0x03: "data_format"
        case 0x04: "published_by"
        case 0x10: "metadata." + String(decoding: key.dropFirst().prefix { $0 != 0 }, as: UTF8.self)
        default: "an attribute that this build does not know"
        }
    }
}
